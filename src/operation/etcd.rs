//! What an operation disturbs of etcd, and what speaks against it.

use crate::checks::Cause;
use crate::cluster::etcd::{Disturbed, Verdict, judge, read};
use crate::node::{Inventory, PodRef, StaticPod};
use crate::probe::{API_SERVER, ETCD, runs};

/// What a group of pods disturbs; `None` where it is no part of the cluster's memory or its door.
pub(super) fn disturbed<'a>(
    node: &Inventory,
    pods: impl IntoIterator<Item = &'a PodRef>,
) -> Option<Disturbed> {
    let pods = pods.into_iter().filter_map(|pod| node.pod(pod));
    let pods: Vec<&StaticPod> = pods.collect();
    let has = |program: &str| pods.iter().any(|pod| runs(pod, program));
    if has(ETCD) {
        Some(Disturbed::Member)
    } else if has(API_SERVER) {
        Some(Disturbed::Others)
    } else {
        None
    }
}

/// What speaks against disturbing it, seen once; `None` where nothing does, or where this is the only member.
pub(super) async fn look_at_etcd(node: &Inventory, disturbed: Disturbed) -> Option<Cause> {
    let now = read(node, &[]).await.ok()?;
    let verdict = judge(&now, None, disturbed);
    objections(&verdict)
}

fn objections(verdict: &Verdict) -> Option<Cause> {
    let said = verdict.objections.iter();
    let objections: Vec<String> = said.map(ToString::to_string).collect();
    let code = verdict.objections.first()?.code();
    Some(Cause::EtcdCannotSpare { code, objections })
}
