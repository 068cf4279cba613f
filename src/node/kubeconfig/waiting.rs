//! A kubeconfig that may have a key and wait for its certificate, as `kubeadm certs generate-csr` makes it.

use zeroize::Zeroizing;

use super::current::Current;
use super::error::KubeconfigError;
use super::written::{Written, decode};
use crate::node::encoding::Text;

/// What it says; the certificate and the authorities may still be missing.
pub struct Waiting {
    /// Name of the current user's entry.
    pub user: String,
    /// Name of the current cluster's entry.
    pub cluster: String,
    /// `server`
    pub server: String,
    /// PEM of the embedded key; `None` where its credentials are files, or are none.
    pub key: Option<Zeroizing<Vec<u8>>>,
    /// PEM of the embedded certificate.
    pub certificate: Option<Zeroizing<Vec<u8>>>,
    /// PEM of the embedded authorities.
    pub authorities: Option<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Waiting")
            .field("user", &self.user)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Waiting {
    /// Reads one.
    ///
    /// # Errors
    /// [`KubeconfigError`].
    pub fn parse(contents: impl AsRef<[u8]>) -> Result<Self, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        let written = Written::parse(&text.text)?;
        let current = Current::of(&written)?;
        let read = |field: &str, data: Option<&str>| {
            data.filter(|data| !data.is_empty())
                .map(decode)
                .transpose()
                .map_err(|reason| KubeconfigError::Syntax(format!("{field}: {reason}")))
        };
        let user = current.credentials;
        let cluster = current.cluster.value();
        Ok(Self {
            user: current.user.name().to_owned(),
            cluster: current.cluster.name().to_owned(),
            server: cluster
                .and_then(|cluster| cluster.server.as_ref())
                .map(|server| server.value.clone())
                .unwrap_or_default(),
            key: read("client-key-data", user.client_key_data.as_deref())?,
            certificate: read(
                "client-certificate-data",
                user.client_certificate_data.as_deref(),
            )?,
            authorities: read(
                "certificate-authority-data",
                cluster.and_then(|cluster| cluster.certificate_authority_data.as_deref()),
            )?,
        })
    }
}
