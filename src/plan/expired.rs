//! A node whose certificates have expired or are not valid yet, and what the kubelet needs to start again.
//!
//! The kubelet rotates its own client certificate, but only while the API server still accepts the one it has. Once that has
//! expired it cannot even start, and then neither can any static pod.

use jiff::Timestamp;

use super::obstacle::{KubeletFault, Obstacle};
use super::schedule::begins_later;
use super::signing::{Signing, signing};
use crate::node::{CertificateId, CertificateState, Entry, Inventory, KeyState, Present, Signer};
use crate::pki::{AuthorityId, Certificate, LeafName, date};

/// Without one of these the control plane does not work.
const CONTROL_PLANE: [CertificateId; 4] = [
    CertificateId::leaf(LeafName::Apiserver),
    CertificateId::leaf(LeafName::ApiserverEtcdClient),
    CertificateId::leaf(LeafName::EtcdServer),
    CertificateId::leaf(LeafName::EtcdPeer),
];

/// Before the name of a node that makes itself known.
pub(super) const NODE: &str = "system:node:";

/// Which of this node's own parts of Kubernetes answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reachability {
    /// The kubelet, on its health port.
    pub kubelet: bool,
    /// This node's API server.
    pub api_server: bool,
}

/// What the kubelet's client credentials need, so that it can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeletNeed {
    /// They are valid, or there is no kubelet.
    Nothing,
    /// kubelet.conf holds an old certificate itself, although the one that the kubelet has rotated is valid.
    Reference,
    /// A new certificate, like that of this entry.
    Certificate {
        /// Which.
        like: CertificateId,
    },
    /// More than can be done here: what, and what to do instead.
    Impossible(String),
}

impl KubeletNeed {
    /// Whether there is something that can be done about it here.
    #[must_use]
    pub fn can_be_helped(&self) -> bool {
        matches!(self, Self::Reference | Self::Certificate { .. })
    }
}

/// The certificates of kubeadm's and the kubelet's that are not valid now: nearly always because they have expired.
#[must_use]
pub fn expired(inventory: &Inventory, now: Timestamp) -> Vec<CertificateId> {
    inventory
        .entries
        .iter()
        .filter(|entry| entry.is_renewed_here() || entry.id.is_kubelets_client())
        .filter(|entry| entry.described.is_none())
        .filter(|entry| {
            entry
                .present()
                .is_some_and(|present| is_invalid(&present.leaf, now))
        })
        .map(|entry| entry.id.clone())
        .collect()
}

/// Whether something has expired without which the control plane does not work.
#[must_use]
pub(super) fn has_control_plane_expired(inventory: &Inventory, now: Timestamp) -> bool {
    expired(inventory, now)
        .iter()
        .any(|id| CONTROL_PLANE.contains(id))
}

/// Whether expired certificates have stopped this node, so that it does not come back in the everyday way: some that
/// the control plane or the kubelet cannot do without are not valid now, and one of the two does not answer.
#[must_use]
pub fn is_node_down(inventory: &Inventory, reachability: Reachability, now: Timestamp) -> bool {
    let concerned = has_control_plane_expired(inventory, now)
        || matches!(
            kubelet_need(inventory, now),
            KubeletNeed::Reference | KubeletNeed::Certificate { .. }
        );
    concerned && !(reachability.kubelet && reachability.api_server)
}

/// What the kubelet needs to start at `now`.
#[must_use]
pub fn kubelet_need(inventory: &Inventory, now: Timestamp) -> KubeletNeed {
    let Some(config) = inventory.entry(&CertificateId::KubeletConfig) else {
        return KubeletNeed::Nothing;
    };
    if is_usable(config, now) || matches!(config.state, CertificateState::Missing) {
        return KubeletNeed::Nothing;
    }
    let client = inventory.entry(&CertificateId::KubeletClient);
    let embedded = config.certificate_path == config.path;
    if embedded && client.is_some_and(|client| is_its_successor(client, config, now)) {
        return KubeletNeed::Reference;
    }
    let old = client
        .filter(|_| embedded || client.is_some_and(|client| client.path == config.certificate_path))
        .into_iter()
        .chain([config])
        .find_map(|entry| Some((entry, entry.present()?)));
    let Some((like, present)) = old else {
        return KubeletNeed::Impossible(without_old(config));
    };
    certificate_like(inventory, config, (like, present), now)
}

/// A new certificate like this one of the kubelet's, or why none can be made here.
pub(super) fn certificate_like(
    inventory: &Inventory,
    config: &Entry,
    (like, present): (&Entry, &Present),
    now: Timestamp,
) -> KubeletNeed {
    if !matches!(present.signer, Signer::Expected | Signer::Unchecked(_)) {
        return KubeletNeed::Impossible(format!(
            "{}: the CA of this node did not sign it (its issuer is {}); renew it where that CA's key is",
            like.path.display(),
            present.leaf.issuer
        ));
    }
    if !is_a_nodes(&present.leaf) {
        return KubeletNeed::Impossible(format!(
            "{}: {} is not the name of a node (CN system:node:…, O system:nodes); put the right kubelet.conf back from a backup",
            like.path.display(),
            present.leaf.subject
        ));
    }
    match signing_obstacle(inventory, now) {
        Some(obstacle) => KubeletNeed::Impossible(format!(
            "{obstacle}. {}",
            elsewhere(config, present.leaf.common_name.as_deref())
        )),
        None => KubeletNeed::Certificate {
            like: like.id.clone(),
        },
    }
}

/// What is to be said of a certificate of the kubelet's own that is not valid at `now`; `None` of any other, and where the
/// kubelet needs nothing.
pub(super) fn kubelet_obstacle(
    inventory: &Inventory,
    entry: &Entry,
    now: Timestamp,
) -> Option<Obstacle> {
    if !entry.id.is_kubelets_client() || !is_invalid(&entry.present()?.leaf, now) {
        return None;
    }
    let fault = match kubelet_need(inventory, now) {
        KubeletNeed::Nothing => return None,
        KubeletNeed::Certificate { .. } => KubeletFault::Certificate,
        KubeletNeed::Reference => KubeletFault::Reference,
        KubeletNeed::Impossible(reason) => KubeletFault::Start { reason },
    };
    Some(Obstacle::NeedsRecovery(fault))
}

fn is_invalid(leaf: &Certificate, now: Timestamp) -> bool {
    now > leaf.not_after || begins_later(leaf, now)
}

/// Whether the kubelet could start with it.
pub(super) fn is_usable(entry: &Entry, now: Timestamp) -> bool {
    entry.present().is_some_and(|present| {
        !is_invalid(&present.leaf, now)
            && matches!(
                present.key,
                KeyState::Matching(_) | KeyState::Unsupported(_)
            )
    })
}

/// Whether what the kubelet keeps may stand in for what kubelet.conf holds: this cluster's, for the same node, and usable. One of another
/// cluster may have been left by an earlier join.
pub(super) fn is_its_successor(client: &Entry, config: &Entry, now: Timestamp) -> bool {
    let Some(present) = client.present().filter(|_| is_usable(client, now)) else {
        return false;
    };
    let name = |leaf: &Certificate| leaf.common_name.clone();
    let is_same = |old: &Present| name(&old.leaf) == name(&present.leaf);
    matches!(present.signer, Signer::Expected | Signer::Unchecked(_))
        && is_a_nodes(&present.leaf)
        && config.present().is_none_or(is_same)
}

/// As the cluster's signer makes them: O exactly `system:nodes`, so that no further group is handed on.
pub(super) fn is_a_nodes(leaf: &Certificate) -> bool {
    leaf.common_name
        .as_deref()
        .is_some_and(|name| name.starts_with(NODE))
        && leaf.organizations == ["system:nodes"]
}

/// Why this node's CA cannot sign at `now`.
pub(super) fn signing_obstacle(inventory: &Inventory, now: Timestamp) -> Option<String> {
    let authority = inventory.authority(AuthorityId::Kubernetes)?;
    let Signing {
        certificates,
        signing,
    } = match signing(authority) {
        Ok(signing) => signing,
        // What to do there is said anyway.
        Err(Obstacle::ExternalAuthority { .. }) => {
            let path = authority.key_path.as_ref()?.display();
            return Some(format!("{path} is not on this node"));
        }
        Err(obstacle) => return Some(obstacle.to_string()),
    };
    if signing
        .iter()
        .any(|certificate| certificate.is_valid_at(now))
    {
        return None;
    }
    let end = signing.first().or(certificates.first())?.not_after;
    Some(format!(
        "{} is not valid now (it ends on {}); extend the CA first (kubecertd ca extend ca), or check this machine's clock",
        authority.certificate_path.display(),
        date(end)
    ))
}

/// What to do where the CA's key is.
fn elsewhere(config: &Entry, name: Option<&str>) -> String {
    let name = name.unwrap_or("system:node:NAME");
    format!(
        "On a control plane that has the CA's key, run `kubecertd kubelet issue {} -o FILE`, bring FILE here and run \
         `kubecertd kubelet accept FILE`. Where the key is elsewhere, run `kubeadm kubeconfig user --org system:nodes --client-name {name}` \
         there, put what it prints into {} here, with this cluster's server, and run `systemctl restart kubelet`",
        name.strip_prefix(NODE).unwrap_or(name),
        config.path.display()
    )
}

fn without_old(config: &Entry) -> String {
    let what = match &config.state {
        CertificateState::Unreadable(problem) => problem.to_string(),
        CertificateState::Missing | CertificateState::Present(_) => {
            format!("{}: holds no certificate", config.path.display())
        }
    };
    format!(
        "{what}. What the kubelet's certificate should say is not known. {}",
        elsewhere(config, None)
    )
}
