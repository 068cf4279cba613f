//! Which processes still have a CA's certificate from before it was changed.

use jiff::Timestamp;

use super::Context;
use crate::node::{Inventory, PodRef};
use crate::pki::AuthorityId;
use crate::plan::{AuthorityPlace, Extension, authority_places};
use crate::probe::running_since;
use crate::report::{AuthorityChange, History, Receipt, with_old_authority};

/// How the certificate of an authority was last changed by kubecertd; `None` where the history knows of no such change.
#[must_use]
pub fn authority_changed(context: &Context, name: AuthorityId) -> Option<AuthorityChange> {
    AuthorityChange::all(&receipts(context), name).pop()
}

fn receipts(context: &Context) -> Vec<Receipt> {
    let entries = History::new(&context.store()).entries();
    entries.unwrap_or_default().into_iter().flatten().collect()
}

/// The pods that read its certificate when they started, and were started before it was changed, or may have been.
pub(super) async fn started_before_change(
    context: &Context,
    node: &Inventory,
    extension: &Extension,
) -> Vec<PodRef> {
    let (Some(authority), true) = (node.authority(extension.authority), context.is_live()) else {
        return Vec::new();
    };
    let own = authority.certificate_path.as_path();
    let changes = AuthorityChange::all(&receipts(context), extension.authority);
    let mut pods = extension.readers_at_start();
    pods.retain(|pod| {
        let mut all = changes.iter();
        all.any(|change| change.concerns(pod, own, &extension.places))
    });
    let running = running_since(node, &context.config.restart, &pods).await;
    let old = with_old_authority(&changes, (own, &extension.places), &running);
    pods.retain(|pod| {
        let is_known = running.iter().any(|(known, _)| known == pod);
        !is_known || old.iter().any(|(known, _)| known == pod)
    });
    pods
}

/// A pod that goes on with a certificate of a CA from before it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldAuthority {
    /// The CA.
    pub name: AuthorityId,
    /// The pod.
    pub pod: PodRef,
    /// When that certificate ends, and the pod refuses all that the CA signed.
    pub ends: Timestamp,
}

/// All of them whose certificate ends before `until`, by these receipts and the container runtime.
pub async fn old_authorities(
    context: &Context,
    node: &Inventory,
    receipts: &[Receipt],
    until: Timestamp,
) -> Vec<OldAuthority> {
    let mut all = Vec::new();
    for authority in &node.authorities {
        let mut changes = AuthorityChange::all(receipts, authority.name);
        changes.retain(|change| change.old_ends < until);
        let present = authority.certificates().unwrap_or_default();
        if changes.is_empty() || present.is_empty() {
            continue;
        }
        let places = present.iter().flat_map(|one| authority_places(node, one));
        let places: Vec<AuthorityPlace> = places.collect();
        let pods = readers_at_start(&places);
        let running = running_since(node, &context.config.restart, &pods).await;
        let own = (authority.certificate_path.as_path(), places.as_slice());
        let old = with_old_authority(&changes, own, &running);
        all.extend(old.into_iter().map(|(pod, ends)| OldAuthority {
            name: authority.name,
            pod,
            ends,
        }));
    }
    all
}

fn readers_at_start(places: &[AuthorityPlace]) -> Vec<PodRef> {
    let mut pods: Vec<PodRef> = Vec::new();
    for pod in places.iter().flat_map(AuthorityPlace::pods_at_start) {
        if !pods.contains(pod) {
            pods.push(pod.clone());
        }
    }
    pods
}
