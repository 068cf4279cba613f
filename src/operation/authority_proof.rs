//! By what it shows that a CA's new certificate is as good as the old one: by certificates that it vouches for.

use jiff::Timestamp;

use crate::node::{CertificateId, Inventory};
use crate::pki::{AuthorityId, LeafName};

/// The certificates that are asked for: a CA's stands for one that it vouches for and that is valid, by which a client shows that server
/// and client accept each other.
pub(super) fn witnesses_of(
    node: &Inventory,
    names: &[CertificateId],
    now: Timestamp,
) -> Vec<CertificateId> {
    let mut all: Vec<CertificateId> = Vec::new();
    for id in names {
        let witness = match node.authority_called(id) {
            Some(authority) => witness(node, authority.name, now),
            None => Some(id.clone()),
        };
        all.extend(witness.filter(|id| !all.contains(id)));
    }
    all
}

/// Those of them that are CAs', each with the certificate that shows it, if there is one.
pub(super) fn authorities_of(
    node: &Inventory,
    names: &[CertificateId],
    now: Timestamp,
) -> Vec<(CertificateId, Option<CertificateId>)> {
    let authorities = names.iter().filter_map(|id| {
        let authority = node.authority_called(id)?;
        Some((id.clone(), witness(node, authority.name, now)))
    });
    authorities.collect()
}

fn witness(node: &Inventory, name: AuthorityId, now: Timestamp) -> Option<CertificateId> {
    let candidates: &[CertificateId] = match name {
        AuthorityId::Kubernetes => &[CertificateId::ADMIN],
        AuthorityId::Etcd => &[
            CertificateId::leaf(LeafName::EtcdHealthcheckClient),
            CertificateId::leaf(LeafName::ApiserverEtcdClient),
        ],
        AuthorityId::FrontProxy => &[CertificateId::leaf(LeafName::FrontProxyClient)],
        AuthorityId::Other(_) => &[],
    };
    let is_of_use = |id: &&CertificateId| {
        let entry = node.entry(id).filter(|entry| entry.authority == Some(name));
        entry
            .and_then(|entry| entry.present())
            .is_some_and(|present| present.leaf.is_valid_at(now))
    };
    candidates.iter().find(is_of_use).cloned()
}
