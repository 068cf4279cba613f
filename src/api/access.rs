//! By what the API server is verified, and who asks.

use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::net::{Address, Anchors, Identity, Security};

/// What a kubeconfig says of its server and its holder.
#[derive(Debug, Clone)]
pub struct Access {
    /// Who asks.
    pub(crate) identity: Identity,
    /// Those that may have signed the server's certificate.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    /// The kubeconfig's own server.
    pub(crate) address: Address,
    /// What that one's certificate has to name, where it is not the host.
    pub(crate) tls_server_name: Option<String>,
    /// What comes before every path.
    pub(crate) prefix: String,
}

impl Access {
    /// For a connection to `address`, which need not be the kubeconfig's own: another API server of the cluster bears its
    /// own host in its certificate.
    pub(crate) fn security<'a>(&'a self, address: &'a Address) -> Security<'a> {
        let named = self.tls_server_name.as_deref();
        Security::Verified {
            anchors: Anchors {
                authorities: &self.authorities,
                exactly: None,
            },
            server_name: named
                .filter(|_| *address == self.address)
                .unwrap_or(&address.host),
            identity: Some(&self.identity),
        }
    }
}
