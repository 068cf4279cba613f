//! The current context of a kubeconfig and the credentials it leads to.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::KubeconfigError;
use super::written::{Cluster, Named, User, Written, decode};
use crate::node::encoding::Text;

/// The current context of a kubeconfig.
pub struct Kubeconfig {
    /// Name of the current context.
    pub context: String,
    /// Name of its user entry.
    pub user: String,
    /// Name of its cluster entry.
    pub cluster: String,
    /// `server`
    pub server: String,
    /// `tls-server-name`
    pub tls_server_name: Option<String>,
    /// The client certificate.
    pub certificate: Credential,
    /// The client key.
    pub key: Credential,
    /// The CA bundle's PEM, embedded or `None` when in a file or absent.
    pub certificate_authority: Option<Vec<u8>>,
    /// `certificate-authority`, as written (relative paths are relative to the kubeconfig).
    pub certificate_authority_file: Option<PathBuf>,
}

/// Where a credential is.
pub enum Credential {
    /// In the kubeconfig, decoded.
    Embedded(Zeroizing<Vec<u8>>),
    /// In a file, as written (relative paths are relative to the kubeconfig).
    File(PathBuf),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded(_) => formatter.write_str("Embedded(..)"),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
        }
    }
}

impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Kubeconfig")
            .field("context", &self.context)
            .field("user", &self.user)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Kubeconfig {
    /// Reads the current context, as kubectl does.
    ///
    /// # Errors
    /// [`KubeconfigError`].
    pub fn parse(contents: impl AsRef<[u8]>) -> Result<Self, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        Self::of(&Written::parse(&text.text)?)
    }

    /// The current context of what was read.
    pub(super) fn of(written: &Written) -> Result<Self, KubeconfigError> {
        let current = Current::of(written)?;
        let user_field = |field: &str| format!("users[{}].{field}", current.user.name());
        let certificate = credential(
            &user_field("client-certificate-data"),
            current.credentials.client_certificate_data.as_deref(),
            current.credentials.client_certificate.as_deref(),
        )?
        .ok_or_else(|| no_certificate(&current))?;
        let key = credential(
            &user_field("client-key-data"),
            current.credentials.client_key_data.as_deref(),
            current.credentials.client_key.as_deref(),
        )?
        .ok_or_else(|| {
            KubeconfigError::NoCertificate(format!(
                "the user {:?} has a client certificate but no key (client-key-data or client-key)",
                current.user.name()
            ))
        })?;
        let cluster = current.cluster.value();
        let authority = credential(
            &format!(
                "clusters[{}].certificate-authority-data",
                current.cluster.name()
            ),
            cluster.and_then(|cluster| cluster.certificate_authority_data.as_deref()),
            cluster.and_then(|cluster| cluster.certificate_authority.as_deref()),
        )?;
        let (certificate_authority, certificate_authority_file) = match authority {
            Some(Credential::Embedded(pem)) => (Some(pem.to_vec()), None),
            Some(Credential::File(path)) => (None, Some(path)),
            None => (None, None),
        };
        Ok(Self {
            context: current.context.to_owned(),
            user: current.user.name().to_owned(),
            cluster: current.cluster.name().to_owned(),
            server: cluster
                .and_then(|cluster| cluster.server.as_ref())
                .map(|server| server.value.clone())
                .unwrap_or_default(),
            tls_server_name: cluster
                .and_then(|cluster| cluster.tls_server_name.clone())
                .filter(|name| !name.is_empty()),
            certificate,
            key,
            certificate_authority,
            certificate_authority_file,
        })
    }
}

/// The entries that the current context leads to.
pub(super) struct Current<'a> {
    pub(super) context: &'a str,
    pub(super) cluster: &'a Named<Cluster>,
    pub(super) user: &'a Named<User>,
    pub(super) credentials: &'a User,
}

impl<'a> Current<'a> {
    pub(super) fn of(written: &'a Written) -> Result<Self, KubeconfigError> {
        let name = written.current_context.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Err(KubeconfigError::Context(
                "current-context is not set; set it with `kubectl config use-context`".to_owned(),
            ));
        }
        let context = one(&written.contexts, "context", name, "current-context")?;
        let refers = context.value();
        let cluster = refers.and_then(|context| context.cluster.as_deref());
        let user = refers.and_then(|context| context.user.as_deref());
        let by = format!("the context {name:?}");
        let cluster = one(
            &written.clusters,
            "cluster",
            cluster.unwrap_or_default(),
            &by,
        )?;
        let user = one(&written.users, "user", user.unwrap_or_default(), &by)?;
        let credentials = user.value().ok_or_else(|| {
            KubeconfigError::NoCertificate(format!("the user {:?} is empty", user.name()))
        })?;
        Ok(Self {
            context: name,
            cluster,
            user,
            credentials,
        })
    }
}

/// The only entry of that name.
fn one<'a, T>(
    list: &'a Option<Vec<Named<T>>>,
    kind: &str,
    name: &str,
    wanted_by: &str,
) -> Result<&'a Named<T>, KubeconfigError> {
    let mut found = list.iter().flatten().filter(|entry| entry.name() == name);
    let first = found.next().ok_or_else(|| {
        KubeconfigError::Context(if name.is_empty() {
            format!("{wanted_by} names no {kind}")
        } else {
            format!("{wanted_by} names the {kind} {name:?}, which is not in the file")
        })
    })?;
    if found.next().is_some() {
        return Err(KubeconfigError::Duplicate(format!(
            "two {kind}s are called {name:?}, so which one counts cannot be told; remove one of them"
        )));
    }
    Ok(first)
}

/// Embedded data counts before a file, as in client-go; an empty field is none.
fn credential(
    field: &str,
    data: Option<&str>,
    file: Option<&str>,
) -> Result<Option<Credential>, KubeconfigError> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        return decode(data)
            .map(|decoded| Some(Credential::Embedded(decoded)))
            .map_err(|reason| KubeconfigError::Data {
                field: field.to_owned(),
                reason,
            });
    }
    Ok(file
        .filter(|file| !file.is_empty())
        .map(|file| Credential::File(PathBuf::from(file))))
}

fn no_certificate(current: &Current<'_>) -> KubeconfigError {
    let instead = if current.credentials.exec.is_some() {
        " but an exec plugin"
    } else if current.credentials.token.is_some() || current.credentials.token_file.is_some() {
        " but a token"
    } else {
        ""
    };
    KubeconfigError::NoCertificate(format!(
        "the user {:?} has no client certificate{instead}",
        current.user.name()
    ))
}
