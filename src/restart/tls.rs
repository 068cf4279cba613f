//! TLS connections that remember which certificate the server showed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use zeroize::Zeroizing;

use super::endpoint::Address;
use super::read_bounded;
use crate::pki::{Certificate, private_key_der};

/// The bound of each step towards an answer: connecting, the handshake, a response.
pub(super) const STEP_BOUND: Duration = Duration::from_secs(3);

/// Why a TLS connection did not come about.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Nobody listens, or the way there is cut.
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
            aws_lc_rs::sign::any_supported_type(&der).map_err(|error| unusable(&error))?;
        let certified = CertifiedKey::new(chain, signing);
        certified
            .keys_match()
            .map_err(|error| IdentityError::Unusable(format!("certificate and key: {error}")))?;
        Ok(Self(Arc::new(certified)))
    }

    /// From two files, or one that holds both.
    ///
    /// # Errors
    /// [`IdentityError`] naming the file.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let read = |path: &Path| {
            read_bounded(path)
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
    pub(super) fn fingerprint(&self) -> Option<String> {
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

/// Connects and remembers what the server shows. Only its possession of the key is verified, neither names nor trust.
///
/// # Errors
/// [`TlsError`] when it showed no certificate, or one that cannot be read.
pub async fn handshake(
    address: &Address,
    server_name: &str,
    identity: Option<&Identity>,
) -> Result<Served, TlsError> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let outcome = connect(address, server_name, Trust::Anybody(&seen), identity).await;
    let chain = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let note = match outcome {
        Ok(_) => None,
        Err(error) if chain.is_empty() => return Err(error),
        Err(error) => Some(error.to_string()),
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
    Ok(Served { leaf, chain, note })
}

/// Whom a connection trusts.
pub(super) enum Trust<'a> {
    /// Anybody who has the key of the certificate he shows; it is put here.
    Anybody(&'a Arc<Mutex<Vec<Vec<u8>>>>),
    /// Holders of a certificate for the server's name from one of these authorities.
    Authorities(&'a [CertificateDer<'static>]),
}

/// The certificates of a PEM bundle.
pub(super) fn authorities_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
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

/// A TLS connection, each step within the bound.
pub(super) async fn connect(
    address: &Address,
    server_name: &str,
    trust: Trust<'_>,
    identity: Option<&Identity>,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let config = client_config(trust, identity)?;
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|error| TlsError::Setup(format!("{server_name}: no server name: {error}")))?;
    let stream = connect_tcp(address).await?;
    timeout(
        STEP_BOUND,
        TlsConnector::from(Arc::new(config)).connect(name, stream),
    )
    .await
    .map_err(|_| silent(address))?
    .map_err(|error| TlsError::Handshake {
        address: address.clone(),
        reason: error.to_string(),
    })
}

fn silent(address: &Address) -> TlsError {
    TlsError::Silent {
        address: address.clone(),
        bound: STEP_BOUND,
    }
}

/// The provider is named, not taken from the process: nothing then depends on who starts first.
fn client_config(trust: Trust<'_>, identity: Option<&Identity>) -> Result<ClientConfig, TlsError> {
    let setup = |error: Error| TlsError::Setup(format!("TLS cannot be set up: {error}"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Anybody(seen) => Arc::new(Recorder {
            seen: Arc::clone(seen),
            provider: Arc::clone(&provider),
        }),
        Trust::Authorities(authorities) => {
            let mut roots = RootCertStore::empty();
            let (added, _) = roots.add_parsable_certificates(authorities.iter().cloned());
            if added == 0 {
                return Err(TlsError::Setup(
                    "none of the trusted CA certificates can be used".to_owned(),
                ));
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| TlsError::Setup(format!("TLS cannot be set up: {error}")))?
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
    };
    // A resumed session shows no certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Records the chain and trusts it; signatures are verified, so whoever shows a certificate has its key.
#[derive(Debug)]
struct Recorder {
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clear();
        seen.push(end_entity.to_vec());
        seen.extend(intermediates.iter().map(|der| der.to_vec()));
        Ok(ServerCertVerified::assertion())
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
