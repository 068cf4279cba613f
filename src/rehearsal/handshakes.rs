//! Serving each new server certificate and connecting with each new client certificate, on loopback.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::identity::identity;
use crate::node::{AuthorityState, Entry, Inventory};
use crate::pki::{AuthorityName, SubjectAltName};

/// More than a handshake on loopback ever takes.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(10);

/// One handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The certificate it was about.
    pub name: String,
    /// What was tried: `as server under kubernetes.default`, `as client of apiserver`.
    pub what: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Serves and connects for each of `names`.
pub async fn handshakes(inventory: &Inventory, names: &[&str]) -> Vec<Check> {
    let mut checks = Vec::new();
    for entry in names.iter().filter_map(|name| inventory.entry(name)) {
        let Some(present) = entry.present() else {
            checks.push(Check {
                name: entry.name.clone(),
                what: "reading it again".to_owned(),
                error: Some("the new certificate cannot be read".to_owned()),
            });
            continue;
        };
        let usage = &present.leaf.extended_key_usage;
        if usage.iter().any(|oid| oid == SERVER_AUTH) {
            for name in &present.leaf.subject_alt_names {
                if let Some((shown, server_name)) = server_name(name) {
                    checks.push(Check {
                        name: entry.name.clone(),
                        what: format!("as server under {shown}"),
                        error: serve(inventory, entry, server_name).await.err(),
                    });
                }
            }
        }
        if usage.iter().any(|oid| oid == CLIENT_AUTH) {
            checks.push(connect(inventory, entry).await);
        }
    }
    checks
}

/// id-kp-serverAuth (RFC 5280 §4.2.1.12)
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// id-kp-clientAuth
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

fn server_name(name: &SubjectAltName) -> Option<(String, ServerName<'static>)> {
    match name {
        SubjectAltName::Dns(dns) => {
            // A wildcard stands for any one label.
            let concrete = dns.replacen('*', "any", 1);
            Some((dns.clone(), ServerName::try_from(concrete).ok()?))
        }
        SubjectAltName::Ip(address) => Some((address.to_string(), ServerName::from(*address))),
        SubjectAltName::Email(_) | SubjectAltName::Uri(_) | SubjectAltName::Other(_) => None,
    }
}

/// A client that trusts the entry's authority connects under one of its names.
async fn serve(
    inventory: &Inventory,
    entry: &Entry,
    name: ServerName<'static>,
) -> Result<(), String> {
    let server = server_config(inventory, entry, None)?;
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(trust(inventory, entry.authority)?)
        .with_no_client_auth();
    exchange(server, client, name).await
}

/// The entry's client certificate is shown to a server that trusts its authority; the server is the API server's
/// certificate for Kubernetes' and the front proxy's clients, etcd's for etcd's.
async fn connect(inventory: &Inventory, entry: &Entry) -> Check {
    let server = match entry.authority {
        Some(AuthorityName::Etcd) => "etcd-server",
        Some(AuthorityName::Kubernetes | AuthorityName::FrontProxy) | None => "apiserver",
    };
    let error = try_connect(inventory, entry, server).await.err();
    Check {
        name: entry.name.clone(),
        what: format!("as client of {server}"),
        error,
    }
}

async fn try_connect(inventory: &Inventory, entry: &Entry, server: &str) -> Result<(), String> {
    let server = inventory
        .entry(server)
        .ok_or_else(|| format!("there is no {server} certificate to connect to"))?;
    let present = server
        .present()
        .ok_or_else(|| format!("the {} certificate cannot be read", server.name))?;
    let (_, name) = present
        .leaf
        .subject_alt_names
        .iter()
        .find_map(server_name)
        .ok_or_else(|| {
            format!(
                "the {} certificate has no name to connect under",
                server.name
            )
        })?;
    let mine = entry
        .present()
        .ok_or_else(|| "the new certificate cannot be read".to_owned())
        .and_then(|present| identity(entry, present))?;
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(trust(inventory, server.authority)?)
        .with_client_cert_resolver(mine.resolver());
    let config = server_config(inventory, server, entry.authority)?;
    exchange(config, client, name).await
}

fn server_config(
    inventory: &Inventory,
    entry: &Entry,
    clients: Option<AuthorityName>,
) -> Result<ServerConfig, String> {
    let present = entry
        .present()
        .ok_or_else(|| "the new certificate cannot be read".to_owned())?;
    let identity = identity(entry, present)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let roots = Arc::new(trust(inventory, Some(authority))?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|error| error.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(builder.with_cert_resolver(identity.resolver()))
}

fn trust(inventory: &Inventory, authority: Option<AuthorityName>) -> Result<RootCertStore, String> {
    let found = authority
        .and_then(|name| inventory.authority(name))
        .ok_or_else(|| "nobody knows which authority signs it".to_owned())?;
    let AuthorityState::Present { certificates, .. } = &found.state else {
        return Err(format!(
            "{} cannot be read",
            found.certificate_path.display()
        ));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(CertificateDer::from(certificate.der().to_vec()))
            .map_err(|error| format!("{}: {error}", found.certificate_path.display()))?;
    }
    Ok(roots)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// One byte each way: with TLS 1.3 a refused client certificate shows only when something is read.
async fn exchange(
    server: ServerConfig,
    client: ClientConfig,
    name: ServerName<'static>,
) -> Result<(), String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .map_err(|error| format!("no listener on loopback: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let serving = async {
        let (stream, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        stream.write_all(&byte).await?;
        stream.shutdown().await
    };
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(Arc::new(client))
            .connect(name, stream)
            .await?;
        stream.write_all(b"?").await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        Ok::<(), std::io::Error>(())
    };
    let both = async { tokio::join!(serving, connecting) };
    match tokio::time::timeout(HANDSHAKE_BOUND, both).await {
        Err(_) => Err("the handshake did not end".to_owned()),
        Ok((Ok(()), Ok(()))) => Ok(()),
        // The side that refused says why; the other only sees the connection end.
        Ok((Err(server), Err(client))) => Err(format!("{client}; the server said: {server}")),
        Ok((Err(error), Ok(()))) | Ok((Ok(()), Err(error))) => Err(error.to_string()),
    }
}
