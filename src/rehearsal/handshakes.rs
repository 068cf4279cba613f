//! Trying handshakes, on loopback.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::identity::identity;
use super::trials::{Bundle, Client, Kind, Server, Trial, trials};
use crate::host::Root;
use crate::net::Identity;
use crate::node::{CertificateId, Inventory};
use crate::pki::{
    Certificate, CertificateAuthority, IssueError, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey,
    SubjectAltName, Validity, certificates_to_pem,
};

/// More than a handshake on loopback ever takes.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(10);

/// One handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The certificate it was about.
    pub id: CertificateId,
    /// What was tried: `as server under kubernetes.default`, `as client of apiserver`.
    pub what: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// How a handshake ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was completed.
    Passed,
    /// It was not, or not tried, which has nothing to do with the renewal and breaks nothing on this node: why.
    Noted(String),
    /// It was not: why.
    Failed(String),
}

/// How a handshake ended at one time.
pub(super) struct Tried {
    id: CertificateId,
    what: String,
    kind: Kind,
    error: Option<String>,
}

/// Tries every handshake of the node below `root`.
pub(super) async fn handshakes(root: &Root, inventory: &Inventory) -> Vec<Tried> {
    let occasion = Occasion::make();
    let (trials, untried) = trials(root, inventory);
    let mut all: Vec<Tried> = untried
        .into_iter()
        .map(|(id, reason)| Tried {
            id: id.clone(),
            what: "no handshake".to_owned(),
            kind: Kind::Aside,
            error: Some(reason),
        })
        .collect();
    for trial in trials {
        let error = attempt(root, &trial, &occasion).await.err();
        all.push(Tried {
            id: trial.id.clone(),
            what: trial.what,
            kind: trial.kind,
            error,
        });
    }
    all
}

/// What the handshakes after a renewal say, seen beside those before it.
pub(super) fn compared(before: &[Tried], after: Vec<Tried>) -> Vec<Check> {
    let failed_before = |one: &Tried| {
        before
            .iter()
            .any(|other| (&other.id, &other.what) == (&one.id, &one.what) && other.error.is_some())
    };
    after
        .into_iter()
        .map(|one| {
            let verdict = match &one.error {
                None => Verdict::Passed,
                Some(reason) if !failed_before(&one) => Verdict::Failed(reason.clone()),
                Some(reason) => {
                    let reason = format!("{reason}; it was so before the renewal");
                    match one.kind {
                        Kind::Aside => Verdict::Noted(reason),
                        Kind::Pair => Verdict::Failed(reason),
                    }
                }
            };
            Check {
                id: one.id,
                what: one.what,
                verdict,
            }
        })
        .collect()
}

/// A server's certificate for where the real one is not on this node.
struct Occasion(Result<(Certificate, Identity), String>);

impl Occasion {
    fn make() -> Self {
        Self(Self::try_make().map_err(|error| error.to_string()))
    }

    fn try_make() -> Result<(Certificate, Identity), IssueError> {
        let now = crate::host::now();
        let day = SignedDuration::from_hours(24);
        let validity = Validity {
            not_before: now - day,
            not_after: now + day,
        };
        let authority = CertificateAuthority::generate(&NewAuthority {
            common_name: "kubecertd-rehearsal".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: validity.not_before,
            not_after: validity.not_after,
        })?;
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256)?;
        let leaf = NewLeaf {
            common_name: "kubecertd-rehearsal".to_owned(),
            organizations: Vec::new(),
            subject_alt_names: vec![SubjectAltName::Ip([127, 0, 0, 1].into())],
            server_auth: true,
            client_auth: false,
        }
        .sign(&key, &authority, validity)?;
        let pem = certificates_to_pem([&leaf]);
        let identity = Identity::from_pem(pem.as_bytes(), key.to_pem()?.as_bytes())
            .map_err(|error| IssueError::Signing(error.to_string()))?;
        Ok((authority.certificate().clone(), identity))
    }
}

async fn attempt(root: &Root, trial: &Trial<'_>, occasion: &Occasion) -> Result<(), String> {
    let server = server_config(root, &trial.server, occasion)?;
    let is_own = trial.server.serves.is_some();
    let client = client_config(root, &trial.client, is_own, occasion)?;
    exchange(server, client, trial.client.under.clone()).await
}

fn server_config(
    root: &Root,
    server: &Server<'_>,
    occasion: &Occasion,
) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &server.accepts {
        None => builder.with_no_client_auth(),
        Some(accepted) => {
            let roots = Arc::new(roots(accepted)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|error| error.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let resolver = match server.serves {
        Some((entry, present)) => identity(root, entry, present)?.resolver(),
        None => match &occasion.0 {
            Ok((_, identity)) => identity.resolver(),
            Err(reason) => return Err(reason.clone()),
        },
    };
    Ok(builder.with_cert_resolver(resolver))
}

fn client_config(
    root: &Root,
    client: &Client<'_>,
    is_own_server: bool,
    occasion: &Occasion,
) -> Result<ClientConfig, String> {
    let roots = match (&occasion.0, is_own_server) {
        (_, true) => roots(&client.trusts)?,
        (Ok((authority, _)), false) => roots(&Ok(vec![authority.clone()]))?,
        (Err(reason), false) => return Err(reason.clone()),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    Ok(match client.shows {
        None => builder.with_no_client_auth(),
        Some((entry, present)) => {
            builder.with_client_cert_resolver(identity(root, entry, present)?.resolver())
        }
    })
}

fn roots(bundle: &Bundle) -> Result<RootCertStore, String> {
    let certificates = bundle.as_ref().map_err(Clone::clone)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(CertificateDer::from(certificate.der().to_vec()))
            .map_err(|error| format!("{}: {}", certificate.subject, in_words(&error)))?;
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
        Ok::<(), io::Error>(())
    };
    let both = async { tokio::join!(serving, connecting) };
    match tokio::time::timeout(HANDSHAKE_BOUND, both).await {
        Err(_) => Err("the handshake did not end".to_owned()),
        Ok((Ok(()), Ok(()))) => Ok(()),
        // The side that refused knows why; the other only sees the connection end.
        Ok((server, client)) => Err(match (refused(&server), refused(&client)) {
            (_, Some(reason)) => format!("the client refuses the server's certificate: {reason}"),
            (Some(reason), None) => {
                format!("the server refuses the client's certificate: {reason}")
            }
            (None, None) => client.or(server).err().map_or_else(
                || "the handshake failed".to_owned(),
                |error| error.to_string(),
            ),
        }),
    }
}

/// Why this side refused the other's certificate, if it did.
fn refused(side: &io::Result<()>) -> Option<String> {
    let error = side.as_ref().err()?.get_ref()?.downcast_ref::<Error>()?;
    matches!(
        error,
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented
    )
    .then(|| in_words(error))
}

/// What the library only has words of its code for.
fn in_words(error: &Error) -> String {
    let reason = match error {
        Error::NoCertificatesPresented => "it shows none",
        Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer => {
                "it is signed by none of the CAs that are trusted here"
            }
            CertificateError::BadSignature => {
                "it is signed by none of the CAs that are trusted here, though one has its issuer's name"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "it is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it does not have this name"
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its extended key usage does not allow this"
            }
            CertificateError::BadEncoding => "it is not encoded as the standards want it",
            _ => return error.to_string(),
        },
        _ => return error.to_string(),
    };
    reason.to_owned()
}
