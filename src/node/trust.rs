//! Who on this node checks certificates against which authorities.

use std::path::PathBuf;

use super::{CertificateId, Problem};
use crate::pki::Certificate;

/// What one client or server on this node trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Who trusts it.
    pub holder: TrustHolder,
    /// The entries whose certificates it checks.
    pub checks: &'static [CertificateId],
    /// The file that holds the authorities' certificates: a kubeconfig that embeds them, or one of certificates.
    pub path: PathBuf,
    /// Those certificates; `None` where they cannot be read, or are too many.
    pub authorities: Option<Vec<Certificate>>,
    /// What is wrong with them.
    pub problem: Option<Problem>,
}

/// Who trusts authorities.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum TrustHolder {
    /// Whoever uses a kubeconfig.
    Kubeconfig {
        /// Which; to scripts its name.
        #[serde(rename = "name")]
        id: CertificateId,
        /// Whether the certificates are in the kubeconfig itself.
        embedded: bool,
    },
    /// A static pod.
    Pod {
        /// Its component.
        component: String,
        /// The flag that names the file, without dashes.
        flag: &'static str,
    },
    /// The kubelet, by its configuration.
    Kubelet,
}

impl Trust {
    /// Whether it checks the certificate.
    #[must_use]
    pub fn concerns(&self, id: &CertificateId) -> bool {
        self.checks.contains(id)
    }
}
