//! TLS connections that remember which certificate the server showed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, Error};
use zeroize::Zeroizing;

use super::witness::{Shown, Trust, Witness, refusal, tls_error};
use super::words::{in_words, of_tls};
use crate::host::read_on_machine;
use crate::net::Address;
use crate::pki::{Certificate, private_key_der};

/// The bound of each step towards an answer: connecting, the handshake, a response.
pub(crate) const STEP_BOUND: Duration = Duration::from_secs(3);

/// Why a TLS connection did not come about.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Nothing listens there, or the way is cut.
    #[error("{address}: cannot connect: {source}")]
    Connect {
        /// Where to.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// Connected, or not even that, and then silence.
    #[error("{address}: no answer within {} s", bound.as_secs())]
    Silent {
        /// Who.
        address: Address,
        /// The bound.
        bound: Duration,
    },
    /// The handshake failed.
    #[error("{address}: TLS handshake failed: {reason}")]
    Handshake {
        /// Who.
        address: Address,
        /// What rustls or the other side said.
        reason: String,
    },
    /// It showed a certificate and did not prove to have its key: another process, or a signature that cannot be checked
    /// here.
    #[error(
        "{address}: shows the certificate with serial {serial}, but does not prove that it has the key: {reason}"
    )]
    NoKey {
        /// Who.
        address: Address,
        /// The certificate's.
        serial: String,
        /// What rustls said.
        reason: String,
    },
    /// A server that was verified refuses the client's certificate.
    #[error("{address}: refuses the client certificate (TLS alert {alert})")]
    Refused {
        /// Who.
        address: Address,
        /// The alert's name in the TLS standard.
        alert: &'static str,
    },
    /// The address, the trusted certificates or the client certificate cannot be used at all.
    #[error("{0}")]
    Setup(String),
}

impl TlsError {
    /// Whether nobody answered, so that another way to the same server may be tried.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Silent { .. })
    }
}

/// Why a certificate and key cannot be shown to a server.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// They are no certificate and key, or do not belong together.
    #[error("{0}")]
    Unusable(String),
}

/// A client certificate with its key, ready to be shown to servers.
#[derive(Debug, Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// From PEM.
    ///
    /// # Errors
    /// [`IdentityError::Unusable`] when one of them is damaged or the key is another certificate's.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = authorities_from_pem(certificates)
            .map_err(|reason| IdentityError::Unusable(format!("certificate: {reason}")))?;
        let unusable =
            |error: &dyn std::fmt::Display| IdentityError::Unusable(format!("key: {error}"));
        // Read here and lent to rustls: its own reader leaves copies of the key behind.
        let der = private_key_der(key).map_err(|error| unusable(&error))?;
        let der = PrivateKeyDer::try_from(der.as_slice()).map_err(|error| unusable(&error))?;
        let signing =
            aws_lc_rs::sign::any_supported_type(&der).map_err(|error| unusable(&of_tls(&error)))?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|error| {
            IdentityError::Unusable(format!("certificate and key: {}", of_tls(&error)))
        })?;
        Ok(Self(Arc::new(certified)))
    }

    /// From two files, or one that holds both.
    ///
    /// # Errors
    /// [`IdentityError`] naming the file.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let read = |path: &Path| {
            read_on_machine(path)
                .map(Zeroizing::new)
                .map_err(|source| IdentityError::File {
                    path: path.to_path_buf(),
                    source,
                })
        };
        Self::from_pem(&read(certificate)?, &read(key)?).map_err(|error| match error {
            IdentityError::Unusable(reason) => {
                IdentityError::Unusable(format!("{}: {reason}", certificate.display()))
            }
            file @ IdentityError::File { .. } => file,
        })
    }

    /// For a client that shows it, or a server that serves it.
    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.0)))
    }

    /// SHA-256 of the certificate's DER as lower-case hexadecimal, as the API server reports it.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        let leaf = self.0.cert.first()?;
        Certificate::from_der(leaf)
            .map(|certificate| certificate.fingerprint())
            .ok()
    }
}

/// What a server showed.
#[derive(Debug, Clone)]
pub struct Served {
    /// Its certificate.
    pub leaf: Certificate,
    /// The DER of all certificates it sent, its own first.
    pub chain: Vec<Vec<u8>>,
    /// How the handshake failed after that; servers that demand a client certificate end it so.
    pub note: Option<String>,
}

/// Connects and remembers what the server shows, if it proves to have the key. Neither names nor trust are verified.
///
/// # Errors
/// [`TlsError`] when it showed no certificate, one without its key, or one that cannot be read.
pub async fn handshake(
    address: &Address,
    server_name: &str,
    identity: Option<&Identity>,
) -> Result<Served, TlsError> {
    let shown = Arc::default();
    let (trust, protocol) = (Trust::KeyHolder, Protocol::Http1);
    let outcome = connect_seen(address, server_name, trust, identity, protocol, &shown).await;
    let Shown { chain, has_key } =
        std::mem::take(&mut *shown.lock().unwrap_or_else(PoisonError::into_inner));
    let note = match outcome {
        Ok(_) => None,
        Err(error) if chain.is_empty() => return Err(error),
        Err(error) => Some(error),
    };
    let leaf = chain
        .first()
        .ok_or_else(|| TlsError::Handshake {
            address: address.clone(),
            reason: "the server showed no certificate".to_owned(),
        })
        .and_then(|der| {
            Certificate::from_der(der).map_err(|error| TlsError::Handshake {
                address: address.clone(),
                reason: format!("the server's certificate cannot be read: {error}"),
            })
        })?;
    let note = note.map(|error| match error {
        TlsError::Handshake { reason, .. } => reason,
        other => other.to_string(),
    });
    if !has_key {
        return Err(TlsError::NoKey {
            address: address.clone(),
            serial: leaf.serial,
            reason: note.unwrap_or_default(),
        });
    }
    Ok(Served { leaf, chain, note })
}

/// The certificates of a PEM bundle.
pub(crate) fn authorities_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        // Not the crate's own message: it shows a line, which may be a key's, where one file holds both.
        .map_err(|_| "a damaged PEM block; restore the file from a backup".to_owned())?;
    if certificates.is_empty() {
        return Err("no PEM block CERTIFICATE found".to_owned());
    }
    Ok(certificates)
}

/// A TCP connection within the bound.
pub(super) async fn connect_tcp(address: &Address) -> Result<TcpStream, TlsError> {
    timeout(
        STEP_BOUND,
        TcpStream::connect((address.host.as_str(), address.port)),
    )
    .await
    .map_err(|_| silent(address))?
    .map_err(|source| TlsError::Connect {
        address: address.clone(),
        source,
    })
}

/// A TLS connection, each step within the bound. With [`Trust::Anchors`] nothing is shown to a server before it was verified.
pub(super) async fn connect(
    address: &Address,
    server_name: &str,
    trust: Trust<'_>,
    identity: Option<&Identity>,
) -> Result<TlsStream<TcpStream>, TlsError> {
    connect_seen(
        address,
        server_name,
        trust,
        identity,
        Protocol::Http1,
        &Arc::default(),
    )
    .await
}

/// What is spoken over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1, which need not be asked for.
    Http1,
    /// HTTP/2, which gRPC needs and servers speak only with those that ask for it.
    Http2,
}

pub(super) async fn connect_seen(
    address: &Address,
    server_name: &str,
    trust: Trust<'_>,
    identity: Option<&Identity>,
    protocol: Protocol,
    shown: &Arc<Mutex<Shown>>,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let mut config = client_config(trust, identity, shown)?;
    if protocol == Protocol::Http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|error| TlsError::Setup(format!("{server_name}: no server name: {error}")))?;
    let stream = connect_tcp(address).await?;
    let error = match timeout(
        STEP_BOUND,
        TlsConnector::from(Arc::new(config)).connect(name, stream),
    )
    .await
    {
        Err(_) => return Err(silent(address)),
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => error,
    };
    // Anybody can send an alert; only a server that is the right one refuses by it.
    let verified = matches!(trust, Trust::Anchors(_))
        && shown.lock().unwrap_or_else(PoisonError::into_inner).has_key;
    let alert = tls_error(&error).and_then(refusal);
    Err(match alert {
        Some(alert) if verified && identity.is_some() => TlsError::Refused {
            address: address.clone(),
            alert,
        },
        _ => TlsError::Handshake {
            address: address.clone(),
            reason: in_words(&error),
        },
    })
}

fn silent(address: &Address) -> TlsError {
    TlsError::Silent {
        address: address.clone(),
        bound: STEP_BOUND,
    }
}

/// The provider is named, not taken from the process: nothing then depends on who starts first.
fn client_config(
    trust: Trust<'_>,
    identity: Option<&Identity>,
    shown: &Arc<Mutex<Shown>>,
) -> Result<ClientConfig, TlsError> {
    let setup = |error: Error| TlsError::Setup(format!("TLS cannot be set up: {}", of_tls(&error)));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let witness =
        Witness::new(trust, Arc::clone(shown), Arc::clone(&provider)).map_err(TlsError::Setup)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(witness));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
    };
    // A resumed session shows no certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}
