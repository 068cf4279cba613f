//! A TLS listener that reads its certificate from disk at every handshake, as etcd does, and answers HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use kubecertd::pki::{Certificate, CertificateAuthority};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// What a request is answered by: (first line of the request, the client's common name) to (status, body).
pub type Handler = Arc<dyn Fn(&str, Option<&str>) -> (u16, String) + Send + Sync>;

pub struct Listener {
    pub port: u16,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is asked of clients.
#[derive(Clone)]
pub enum Clients {
    Anybody,
    /// A certificate of this authority or none, as at the API server.
    May(Vec<u8>),
    /// A certificate of this authority, as at etcd.
    Must(Vec<u8>),
}

impl Clients {
    pub fn may(authority: &CertificateAuthority) -> Self {
        Self::May(authority.certificate().der().to_vec())
    }

    pub fn must(authority: &CertificateAuthority) -> Self {
        Self::Must(authority.certificate().der().to_vec())
    }
}

pub async fn listen(
    address: (&str, u16),
    pair: (PathBuf, PathBuf),
    clients: Clients,
    tls13: bool,
    handler: Handler,
) -> Listener {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let config = config(&pair, &clients, if tls13 { &TLS13 } else { &TLS12 });
            let handler = Arc::clone(&handler);
            tokio::spawn(serve(stream, config, handler));
        }
    });
    Listener { port, task }
}

/// Answers `ok` to everything.
pub fn well() -> Handler {
    Arc::new(|_, _| (200, "ok".to_owned()))
}

fn config(
    pair: &(PathBuf, PathBuf),
    clients: &Clients,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(&pair.0)
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(&pair.1).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap();
    let (der, required) = match clients {
        Clients::Anybody => {
            let config = builder.with_no_client_auth();
            return Arc::new(config.with_single_cert(chain, key).unwrap());
        }
        Clients::May(der) => (der, false),
        Clients::Must(der) => (der, true),
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der.clone())).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if required {
        verifier.build().unwrap()
    } else {
        verifier.allow_unauthenticated().build().unwrap()
    };
    let config = builder.with_client_cert_verifier(verifier);
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

async fn serve(stream: TcpStream, config: Arc<ServerConfig>, handler: Handler) {
    let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else {
        return;
    };
    let name = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| Certificate::from_der(&chain[0]).ok())
        .and_then(|certificate| certificate.common_name);
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let (status, body) = handler(text.lines().next().unwrap_or_default(), name.as_deref());
    let response = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}
