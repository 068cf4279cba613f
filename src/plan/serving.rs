//! The serving certificate that the kubelet made itself when it first started, and makes never again.

use jiff::Timestamp;

use super::expired::signing_obstacle;
use super::schedule::due_at;
use crate::config::Renewal;
use crate::node::{CertificateId, Entry, Inventory, Present, Signer};
use crate::pki::{AuthorityId, SubjectAltName};

/// Its file in the kubelet's `--cert-dir` (pkg/kubelet/certificate, `kubelet.crt`).
const OWN: &str = "kubelet.crt";

/// What the kubelet's serving certificate needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServingNeed {
    /// It is not due, or somebody else's to renew: the kubelet rotates it (serverTLSBootstrap), or a file is configured.
    Nothing,
    /// A new one of the cluster's CA.
    Signed {
        /// Which.
        id: CertificateId,
        /// The name of the node.
        node: String,
    },
    /// A new one of a CA for once, as the kubelet makes it: the cluster's cannot sign here.
    SignedForOnce {
        /// Which.
        id: CertificateId,
    },
}

impl ServingNeed {
    /// Whether it is about that certificate.
    #[must_use]
    pub fn concerns(&self, certificate: &CertificateId) -> bool {
        match self {
            Self::Nothing => false,
            Self::Signed { id, .. } | Self::SignedForOnce { id } => id == certificate,
        }
    }
}

/// From when on it counts as due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// As any certificate.
    AsAnyOther,
    /// Once it has ended.
    Ended,
}

/// What it needs at `now`.
pub(super) fn serving_need(
    inventory: &Inventory,
    renewal: &Renewal,
    due: Due,
    now: Timestamp,
) -> ServingNeed {
    let Some((entry, present)) = own(inventory) else {
        return ServingNeed::Nothing;
    };
    let name = entry.id.as_str();
    let moment = match due {
        Due::AsAnyOther => due_at(present, present.leaf.not_after, renewal.of(name).before),
        Due::Ended => present.leaf.not_after,
    };
    if now < moment || renewal.skipped_by(name).is_some() {
        return ServingNeed::Nothing;
    }
    let id = entry.id.clone();
    match &inventory.node_name {
        // Nobody but the file says what else it is for, and whoever could write it must get no name of another server from this CA.
        Some(node) if is_only_for(present, node) && signing_obstacle(inventory, now).is_none() => {
            ServingNeed::Signed {
                id,
                node: node.clone(),
            }
        }
        _ => ServingNeed::SignedForOnce { id },
    }
}

/// The one that the kubelet made itself, or that was put in its place by this program.
fn own(inventory: &Inventory) -> Option<(&Entry, &Present)> {
    let path = inventory.directories.kubelet_pki.join(OWN);
    let entry = inventory.entries.iter().find(|entry| {
        matches!(entry.id, CertificateId::KubeletServing(_)) && entry.certificate_path == path
    })?;
    let is_configured =
        inventory.kubelet.tls_certificate.is_some() || inventory.kubelet.server_tls_bootstrap;
    let present = entry.present().filter(|_| !is_configured)?;
    let is_the_clusters = || {
        inventory
            .authority(AuthorityId::Kubernetes)
            .and_then(|authority| authority.certificates())
            .is_some_and(|all| all.iter().any(|one| present.leaf.is_signed_by(one)))
    };
    (present.signer == Signer::SelfSigned || is_the_clusters()).then_some((entry, present))
}

fn is_only_for(present: &Present, node: &str) -> bool {
    let is_it = |name: &SubjectAltName| matches!(name, SubjectAltName::Dns(name) if name == node);
    present.leaf.subject_alt_names.iter().all(is_it)
}
