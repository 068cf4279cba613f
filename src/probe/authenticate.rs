//! Whether a kubeconfig lets its holder in.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio_rustls::rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::api::Access;
use crate::net::{
    Address, Answer, HttpError, Identity, Security, Server, TlsError, authorities_from_pem, http,
    parse_url,
};

use crate::host::read_on_machine;
use crate::node::{Credential, Kubeconfig};

/// What the API server made of a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The server that said so: the kubeconfig's own, or the API server of this node in its place.
    pub server: String,
    /// Who the holder is, where the server tells (Kubernetes 1.28 and newer).
    pub user: Option<String>,
    /// In words, for the receipt.
    pub evidence: String,
}

/// Why a kubeconfig is not known to let its holder in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthenticationError {
    /// The kubeconfig itself cannot be used.
    #[error("{}: {reason}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer, or none that says anything: asking again may help.
    #[error("{0}")]
    NoAnswer(String),
    /// The server was verified, and does not accept the certificate.
    #[error("{server} refuses it: {reason}")]
    Refused {
        /// Which server.
        server: String,
        /// What it said.
        reason: String,
    },
}

/// `SelfSubjectReview` is answered to whoever is authenticated, and names him and the certificate he showed.
const REVIEW_PATH: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
const CREDENTIAL_ID: &str = "/status/userInfo/extra/authentication.kubernetes.io~1credential-id/0";
const ANONYMOUS: &str = "system:anonymous";

/// Asks the kubeconfig's server, verified against the kubeconfig's authorities, with its client certificate. When nobody
/// answers there (a load balancer that is down, say), the API server of this node at `local` is asked in its place,
/// under the same name.
///
/// # Errors
/// [`AuthenticationError`].
pub async fn authenticate(
    path: &Path,
    local: Option<&Address>,
) -> Result<Authenticated, AuthenticationError> {
    let holder = Holder::read(path)?;
    let (address, security) = (&holder.access.address, holder.security());
    let question = Question {
        server: Server { address, security },
        prefix: &holder.access.prefix,
        identity: &holder.access.identity,
    };
    match (question.ask().await, local) {
        (Err(Attempt::Unreachable(reason)), Some(local)) if local != address => {
            let instead = Question {
                server: Server {
                    address: local,
                    security,
                },
                ..question
            };
            let mut authenticated = instead.ask().await.map_err(Attempt::into_error)?;
            authenticated.evidence = format!(
                "{}, asked in place of {} ({reason})",
                authenticated.evidence, holder.kubeconfig.server
            );
            Ok(authenticated)
        }
        (outcome, _) => outcome.map_err(Attempt::into_error),
    }
}

/// Asks for one path of the API as the kubeconfig's holder; at `local` where nobody answers at its own server.
///
/// # Errors
/// [`AuthenticationError`].
pub(super) async fn as_holder(
    path: &Path,
    local: Option<&Address>,
    request: &str,
) -> Result<Answer, AuthenticationError> {
    let holder = Holder::read(path)?;
    let security = holder.security();
    let request = format!("{}{request}", holder.access.prefix);
    let ask = async |address: &Address| {
        http::get_object(Server { address, security }, &request)
            .await
            .map_err(Attempt::from)
    };
    match (ask(&holder.access.address).await, local) {
        (Err(Attempt::Unreachable(_)), Some(local)) if *local != holder.access.address => {
            ask(local).await.map_err(Attempt::into_error)
        }
        (outcome, _) => outcome.map_err(Attempt::into_error),
    }
}

/// Asks this one API server for one path as the kubeconfig's holder, whichever server the kubeconfig names.
///
/// # Errors
/// [`AuthenticationError`].
pub(super) async fn as_holder_at(
    path: &Path,
    address: &Address,
    request: &str,
) -> Result<Answer, AuthenticationError> {
    let holder = Holder::read(path)?;
    let security = holder.security();
    http::get_object(Server { address, security }, request)
        .await
        .map_err(|error| Attempt::from(error).into_error())
}

/// What a kubeconfig says of its server and its holder.
///
/// # Errors
/// [`AuthenticationError::Kubeconfig`].
pub fn access(path: &Path) -> Result<Access, AuthenticationError> {
    Holder::read(path).map(|holder| holder.access)
}

/// A kubeconfig with all that its holder needs to ask its server.
struct Holder {
    kubeconfig: Kubeconfig,
    access: Access,
}

impl Holder {
    fn read(path: &Path) -> Result<Self, AuthenticationError> {
        let unusable = |reason: String| AuthenticationError::Kubeconfig {
            path: path.to_path_buf(),
            reason,
        };
        let (kubeconfig, identity) = kubeconfig_identity(path).map_err(unusable)?;
        let authorities = authorities(path, &kubeconfig).map_err(unusable)?;
        let (https, address, prefix) = parse_url(&kubeconfig.server)
            .ok_or_else(|| unusable(format!("server: {:?} is no URL", kubeconfig.server)))?;
        if !https {
            return Err(unusable(format!(
                "server: {} is not https, so no certificate is asked for",
                kubeconfig.server
            )));
        }
        let access = Access {
            identity,
            authorities,
            address,
            tls_server_name: kubeconfig.tls_server_name.clone(),
            prefix,
        };
        Ok(Self { kubeconfig, access })
    }

    /// Whoever answers in place of the kubeconfig's server has to bear that one's name.
    fn security(&self) -> Security<'_> {
        self.access.security(&self.access.address)
    }
}

/// A kubeconfig and the client certificate of its current context.
fn kubeconfig_identity(path: &Path) -> Result<(Kubeconfig, Identity), String> {
    let bytes = Zeroizing::new(read_on_machine(path).map_err(|error| error.to_string())?);
    let kubeconfig = Kubeconfig::parse(&bytes).map_err(|error| error.to_string())?;
    let certificate = credential(path, &kubeconfig.certificate)?;
    let key = credential(path, &kubeconfig.key)?;
    let identity = Identity::from_pem(&certificate, &key).map_err(|error| error.to_string())?;
    Ok((kubeconfig, identity))
}

fn credential(kubeconfig: &Path, credential: &Credential) -> Result<Zeroizing<Vec<u8>>, String> {
    match credential {
        Credential::Embedded(bytes) => Ok(bytes.clone()),
        Credential::File(file) => {
            let path = beside(kubeconfig, file);
            read_on_machine(&path)
                .map(Zeroizing::new)
                .map_err(|error| format!("{}: {error}", path.display()))
        }
    }
}

fn authorities(
    path: &Path,
    kubeconfig: &Kubeconfig,
) -> Result<Vec<CertificateDer<'static>>, String> {
    match (
        &kubeconfig.certificate_authority,
        &kubeconfig.certificate_authority_file,
    ) {
        (Some(pem), _) => authorities_from_pem(pem)
            .map_err(|reason| format!("certificate-authority-data: {reason}")),
        (None, Some(file)) => {
            let file = beside(path, file);
            let pem =
                read_on_machine(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            authorities_from_pem(&pem).map_err(|reason| format!("{}: {reason}", file.display()))
        }
        (None, None) => Err(format!(
            "cluster {:?} has no certificate-authority, so its server cannot be verified",
            kubeconfig.cluster
        )),
    }
}

/// Relative paths in a kubeconfig are relative to it.
fn beside(kubeconfig: &Path, file: &Path) -> PathBuf {
    kubeconfig
        .parent()
        .map_or_else(|| file.to_path_buf(), |directory| directory.join(file))
}

#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    server: Server<'a>,
    prefix: &'a str,
    identity: &'a Identity,
}

/// An outcome that is not the one hoped for.
enum Attempt {
    Unreachable(String),
    Failed(AuthenticationError),
}

impl Attempt {
    fn into_error(self) -> AuthenticationError {
        match self {
            Self::Unreachable(reason) => AuthenticationError::NoAnswer(reason),
            Self::Failed(error) => error,
        }
    }
}

impl From<HttpError> for Attempt {
    fn from(error: HttpError) -> Self {
        if error.is_unreachable() {
            Self::Unreachable(error.to_string())
        } else if let HttpError::Tls(TlsError::Refused { address, alert }) = error {
            Self::Failed(AuthenticationError::Refused {
                server: format!("https://{address}"),
                reason: format!("TLS alert {alert}"),
            })
        } else {
            Self::Failed(AuthenticationError::NoAnswer(error.to_string()))
        }
    }
}

impl Question<'_> {
    async fn ask(&self) -> Result<Authenticated, Attempt> {
        let url = format!("https://{}{}", self.server.address, self.prefix);
        let review = http::post(
            self.server,
            &format!("{}{REVIEW_PATH}", self.prefix),
            REVIEW,
        )
        .await
        .map_err(Attempt::from)?;
        if review.status == 201 {
            return read_review(&url, &review, self.identity.fingerprint())
                .map_err(Attempt::Failed);
        }
        let answer = http::get(self.server, &format!("{}/api", self.prefix))
            .await
            .map_err(Attempt::from)?;
        read_discovery(&url, &answer).map_err(Attempt::Failed)
    }
}

/// The server says who asked. The certificate's digest is there from 1.32 on and proves that it was this one.
fn read_review(
    url: &str,
    review: &Answer,
    fingerprint: Option<String>,
) -> Result<Authenticated, AuthenticationError> {
    let refused = |reason: String| AuthenticationError::Refused {
        server: url.to_owned(),
        reason,
    };
    let unreadable = |reason: &dyn std::fmt::Display| {
        AuthenticationError::NoAnswer(format!("{url}: SelfSubjectReview cannot be read: {reason}"))
    };
    let body: Value = serde_json::from_str(&review.body).map_err(|error| unreadable(&error))?;
    let user = body
        .pointer("/status/userInfo/username")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if user.is_empty() {
        return Err(unreadable(&"it names no user"));
    }
    if user == ANONYMOUS {
        return Err(refused("the holder is taken for anonymous".to_owned()));
    }
    let shown = body.pointer(CREDENTIAL_ID).and_then(Value::as_str);
    let evidence = match (shown, fingerprint) {
        (Some(shown), Some(own)) if shown == format!("X509SHA256={own}") => {
            format!("{url} knows this certificate's holder as {user}")
        }
        (Some(shown), Some(own)) => {
            return Err(refused(format!(
                "it saw the certificate {shown} of {user}, not SHA-256 {own}"
            )));
        }
        _ => format!("{url} knows its holder as {user}"),
    };
    Ok(Authenticated {
        server: url.to_owned(),
        user: Some(user),
        evidence,
    })
}

/// `GET /api`: 200 is for the authenticated; 403 for those without the right, and then it says who is meant.
fn read_discovery(url: &str, answer: &Answer) -> Result<Authenticated, AuthenticationError> {
    let accepted = |evidence: String| Authenticated {
        server: url.to_owned(),
        user: None,
        evidence,
    };
    match answer.status {
        200 => Ok(accepted(format!("{url} accepts it"))),
        403 if !answer.body.contains(ANONYMOUS) => Ok(accepted(format!(
            "{url} accepts it, but gives its holder no right to read /api"
        ))),
        401 | 403 => Err(AuthenticationError::Refused {
            server: url.to_owned(),
            reason: answer.describe(),
        }),
        _ => Err(AuthenticationError::NoAnswer(format!(
            "{url}: {}",
            answer.describe()
        ))),
    }
}

#[cfg(test)]
mod tests;
