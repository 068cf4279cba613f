//! A TLS listener that reads its certificate from disk at every handshake, as etcd does, and answers HTTP.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kubecertd::pki::{Certificate, CertificateAuthority};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};

/// What a request is answered by: (first line of the request, the client's common name) to (status, body).
pub type Handler = Arc<dyn Fn(&str, Option<&str>) -> (u16, String) + Send + Sync>;

/// A request, as far as it came with its head.
pub struct Asked {
    /// Its first line.
    pub line: String,
    /// All of it: lines, an empty one, the body.
    pub text: String,
    /// The client's common name.
    pub client: Option<String>,
}

/// What becomes of a request.
pub enum Reply {
    /// A status and a body.
    Answer(u16, String),
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, and the connection stays.
    Silence,
}

/// Decides that.
pub type Replier = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

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
    listen_as(address, pair, clients, tls13, answers(handler)).await
}

/// The same for one that need not answer.
pub async fn listen_as(
    address: (&str, u16),
    pair: (PathBuf, PathBuf),
    clients: Clients,
    tls13: bool,
    replier: Replier,
) -> Listener {
    let listener = bind(address).await;
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let config = config(&pair, &clients, if tls13 { &TLS13 } else { &TLS12 });
            let replier = Arc::clone(&replier);
            tokio::spawn(serve(stream, config, replier));
        }
    });
    Listener { port, task }
}

/// One without TLS.
pub async fn listen_plainly(address: (&str, u16), replier: Replier) -> Listener {
    let listener = bind(address).await;
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(converse(stream, None, Arc::clone(&replier)));
        }
    });
    Listener { port, task }
}

fn answers(handler: Handler) -> Replier {
    Arc::new(move |asked| {
        let (status, body) = handler(&asked.line, asked.client.as_deref());
        Reply::Answer(status, body)
    })
}

/// A listener that was dropped gives its port back only when the runtime gets to it.
async fn bind(address: (&str, u16)) -> TcpListener {
    for _ in 0..100 {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            bound => return bound.unwrap(),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{address:?} stays in use");
}

/// Answers `ok` to everything.
pub fn well() -> Handler {
    Arc::new(|_, _| (200, "ok".to_owned()))
}

/// What an API server shows to whoever asks for its own connection to itself: `NAME.loopback.crt`, where that is there.
#[derive(Debug)]
struct ByName {
    own: Arc<CertifiedKey>,
    loopback: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello.server_name() == Some("apiserver-loopback-client");
        let loopback = self.loopback.as_ref().filter(|_| wanted);
        Some(Arc::clone(loopback.unwrap_or(&self.own)))
    }
}

fn certified(certificate: &Path, key: &Path) -> Arc<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let signing = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(chain, signing))
}

fn config(
    pair: &(PathBuf, PathBuf),
    clients: &Clients,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let beside = |end: &str| pair.0.with_extension(format!("loopback.{end}"));
    let resolver = Arc::new(ByName {
        own: certified(&pair.0, &pair.1),
        loopback: beside("crt")
            .exists()
            .then(|| certified(&beside("crt"), &beside("key"))),
    });
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap();
    let (der, required) = match clients {
        Clients::Anybody => {
            let config = builder.with_no_client_auth();
            return Arc::new(config.with_cert_resolver(resolver));
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
    Arc::new(config.with_cert_resolver(resolver))
}

/// A listener that shows the certificate of `shown` and signs with the key of `key`, whosever that is. It asks every client for a
/// certificate and takes any.
pub struct Rogue {
    pub listener: Listener,
    /// The common names of the clients that showed it a certificate.
    pub seen: Arc<Mutex<Vec<String>>>,
}

pub async fn rogue(
    address: (&str, u16),
    (shown, key): (&Path, &Path),
    tls13: bool,
    handler: Handler,
) -> Rogue {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(shown)
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let signing = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let pair = SingleCertAndKey::from(CertifiedKey::new(chain, signing));
    let seen = Arc::default();
    let takes_any = TakesAny {
        seen: Arc::clone(&seen),
        provider: Arc::clone(&provider),
    };
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[if tls13 { &TLS13 } else { &TLS12 }])
        .unwrap()
        .with_client_cert_verifier(Arc::new(takes_any))
        .with_cert_resolver(Arc::new(pair));
    let config = Arc::new(config);
    let replier = answers(handler);
    let listener = bind(address).await;
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, Arc::clone(&config), Arc::clone(&replier)));
        }
    });
    Rogue {
        listener: Listener { port, task },
        seen,
    }
}

#[derive(Debug)]
struct TakesAny {
    seen: Arc<Mutex<Vec<String>>>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for TakesAny {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let name = Certificate::from_der(end_entity).unwrap().common_name;
        self.seen.lock().unwrap().push(name.unwrap());
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

async fn serve(stream: TcpStream, config: Arc<ServerConfig>, replier: Replier) {
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else {
        return;
    };
    let client = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| Certificate::from_der(&chain[0]).ok())
        .and_then(|certificate| certificate.common_name);
    converse(stream, client, replier).await;
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    client: Option<String>,
    replier: Replier,
) {
    let mut request = Vec::new();
    loop {
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if is_whole(&String::from_utf8_lossy(&request)) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    let bytes = match replier(&Asked { line, text, client }) {
        Reply::Bytes(bytes) => bytes,
        Reply::Silence => return std::future::pending().await,
        Reply::Answer(status, body) => format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    };
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    body.len() >= length.unwrap_or(0)
}
