//! The serving certificate that the kubelet made itself when it first started, and makes never again.

use jiff::{SignedDuration, Timestamp};

use super::expired::{NODE, is_a_nodes, signing_obstacle};
use super::schedule::due_at;
use crate::config::Renewal;
use crate::node::{CertificateId, Entry, Inventory, Present, Signer};
use crate::pki::{AuthorityId, Certificate, SubjectAltName};

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
    let asked = SignedDuration::try_from(renewal.of(name).validity).unwrap_or(SignedDuration::MAX);
    let asked = now.checked_add(asked).unwrap_or(Timestamp::MAX);
    if asked <= present.leaf.not_after {
        return ServingNeed::Nothing;
    }
    // A CA that ends before would have it renewed again and again.
    let lasts = signer_ends(inventory).is_some_and(|end| end >= asked);
    match known_name(inventory) {
        Some(node) if lasts && is_only_for(present, &node) && can_sign(inventory, now) => {
            ServingNeed::Signed { id, node }
        }
        _ => ServingNeed::SignedForOnce { id },
    }
}

fn can_sign(inventory: &Inventory, now: Timestamp) -> bool {
    signing_obstacle(inventory, now).is_none()
}

/// When the last of the cluster's CA certificates ends.
pub(super) fn signer_ends(inventory: &Inventory) -> Option<Timestamp> {
    let authority = inventory.authority(AuthorityId::Kubernetes)?;
    let ends = authority.certificates()?.iter().map(|one| one.not_after);
    ends.max()
}

/// The name of the node, where the cluster's CA vouches for it: whoever may write beside the kubelet's certificates could have written
/// any other.
fn known_name(inventory: &Inventory) -> Option<String> {
    let clients = [CertificateId::KubeletClient, CertificateId::KubeletConfig];
    clients.iter().find_map(|id| {
        let present = inventory.entry(id)?.present()?;
        let is_known = present.signer == Signer::Expected && is_a_nodes(&present.leaf);
        let name = present.leaf.common_name.as_deref().filter(|_| is_known)?;
        name.strip_prefix(NODE).map(str::to_owned)
    })
}

/// The file of the one that the kubelet makes itself, where it is that which it serves.
pub(super) fn own_entry(inventory: &Inventory) -> Option<&Entry> {
    let path = inventory.directories.kubelet_pki.join(OWN);
    let kubelet = &inventory.kubelet;
    let is_its_to_make =
        kubelet.present && kubelet.tls_certificate.is_none() && !kubelet.server_tls_bootstrap;
    let mut entries = inventory.entries.iter().filter(|_| is_its_to_make);
    entries.find(|entry| entry.id.is_kubelets_server() && entry.certificate_path == path)
}

/// The one that the kubelet made itself, or that was put in its place by this program. What an administrator put there is his.
fn own(inventory: &Inventory) -> Option<(&Entry, &Present)> {
    let entry = own_entry(inventory)?;
    let present = entry.present()?;
    (is_self_made(present) || is_the_clusters(inventory, &present.leaf)).then_some((entry, present))
}

/// `HOST@SECONDS` by `HOST-ca@SECONDS` (client-go, util/cert).
fn is_self_made(present: &Present) -> bool {
    let parts = |name: &str| {
        let (host, made) = name.rsplit_once('@')?;
        let is_made = !made.is_empty() && made.bytes().all(|byte| byte.is_ascii_digit());
        is_made.then(|| (host.to_owned(), made.to_owned()))
    };
    let leaf = &present.leaf;
    let name = leaf.common_name.as_deref().and_then(parts);
    let authority = present
        .chain
        .iter()
        .find(|one| one.is_ca && leaf.is_signed_by(one));
    let authority = authority.and_then(|one| one.common_name.as_deref().and_then(parts));
    leaf.organizations.is_empty()
        && name
            .zip(authority)
            .is_some_and(|((host, made), (by, then))| by == format!("{host}-ca") && made == then)
}

/// Of this cluster's CA, as this program makes it.
fn is_the_clusters(inventory: &Inventory, leaf: &Certificate) -> bool {
    is_a_nodes(leaf)
        && inventory
            .authority(AuthorityId::Kubernetes)
            .and_then(|authority| authority.certificates())
            .is_some_and(|all| all.iter().any(|one| leaf.is_signed_by(one)))
}

/// Nobody but the file says what else it is for, and whoever could write it must get no name of another server from the cluster's CA.
fn is_only_for(present: &Present, node: &str) -> bool {
    let is_it = |name: &SubjectAltName| matches!(name, SubjectAltName::Dns(name) if name == node);
    present.leaf.subject_alt_names.iter().all(is_it)
}
