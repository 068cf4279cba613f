//! What others do to the control planes' machines: reboots by kured, drains. Beside one no control plane is restarted, as two of them
//! would be away.
//!
//! Whoever may write the DaemonSet kured or a Node can make this node wait by that, but not past the end of its certificates.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::turn::is_name;
use crate::api::{Access, ApiError, DaemonSets, NodeObject, Nodes};
use crate::net::Address;

/// Where kured keeps its lock, unless it is told otherwise.
const KURED: (&str, &str) = ("kube-system", "kured");
const LOCK: &str = "weave.works/kured-node-lock";
/// A lock is shorter, bytes, even where many nodes have it together.
const LONGEST_LOCK: usize = 16 << 10;
/// The annotations of a node that is about to be rebooted: kured's, and that of Flatcar's operator, which stays and says `false`.
const ANNOTATIONS: [&str; 2] = [
    "weave.works/kured-reboot-in-progress",
    "flatcar-linux-update.v1.flatcar-linux.net/reboot-in-progress",
];
/// The taints of a node that is shut down, or kept for maintenance by Medik8s.
const TAINTS: [&str; 2] = ["node.kubernetes.io/out-of-service", "medik8s.io/drain"];
/// The taint of every node that takes no pods, with the moment since when.
const CORDONED: &str = "node.kubernetes.io/unschedulable";
/// `kubectl drain` leaves what `kubectl cordon` leaves. A drain is over by then; a control plane that is to have no pods stays so.
const DRAINED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// What others do to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maintenance {
    /// kured is about to reboot it, or has just done so.
    RebootLocked {
        /// Which node.
        node: String,
    },
    /// kured's lock cannot be read; it counts as free.
    LockUnreadable {
        /// Why.
        reason: String,
    },
    /// It is being drained.
    Drained {
        /// Which node.
        node: String,
        /// What shows it: an annotation, a taint.
        mark: String,
    },
}

/// What the API says of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaintenanceSeen {
    /// kured's lock as it is written.
    pub lock: Option<String>,
    /// The control planes.
    pub nodes: Vec<NodeObject>,
}

impl MaintenanceSeen {
    /// Asks each server in turn until one answers. What the credential may not read, and what there is none of, is not seen.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn read(access: &Arc<Access>, servers: &[Address]) -> Result<Self, ApiError> {
        let mut last = None;
        for server in servers {
            match Self::read_at(access, server).await {
                Err(error) if error.may_differ_elsewhere() => last = Some(error),
                answer => return answer,
            }
        }
        last.map_or_else(|| Ok(Self::default()), Err)
    }

    async fn read_at(access: &Arc<Access>, server: &Address) -> Result<Self, ApiError> {
        let (namespace, name) = KURED;
        let sets = DaemonSets::at(access, server, namespace);
        let mut annotations = unless_withheld(sets.annotations(name).await)?;
        Ok(Self {
            lock: annotations.remove(LOCK),
            nodes: unless_withheld(Nodes::at(access, server).control_planes().await)?,
        })
    }

    /// What is being done to the machines, as the node `me` sees it at `now`. Pure.
    #[must_use]
    pub fn found(&self, me: &str, now: Timestamp) -> Vec<Maintenance> {
        let mut found = Vec::new();
        let holders = match self.lock.as_deref().map_or_else(|| Ok(Vec::new()), locks) {
            Ok(locks) => locks
                .into_iter()
                .filter(|lock| !lock.is_expired(now))
                .map(|lock| lock.node)
                .collect(),
            Err(reason) => {
                found.push(Maintenance::LockUnreadable { reason });
                Vec::new()
            }
        };
        for node in &holders {
            if node != me {
                found.push(Maintenance::RebootLocked { node: node.clone() });
            }
        }
        for node in &self.nodes {
            let Some(name) = node.metadata.name.clone().filter(|name| is_name(name)) else {
                continue;
            };
            let locked = holders.contains(&name);
            if locked && name != me {
                continue;
            }
            let mark = drained(node, now).or_else(|| (locked && is_cordoned(node)).then_some(LOCK));
            if let Some(mark) = mark {
                let mark = mark.to_owned();
                found.push(Maintenance::Drained { node: name, mark });
            }
        }
        found
    }
}

/// What a credential may not read, or an API does not know, keeps no node from its turn: it may have been made for less.
fn unless_withheld<T: Default>(answer: Result<T, ApiError>) -> Result<T, ApiError> {
    static SAID: std::sync::Once = std::sync::Once::new();
    match answer {
        Err(error @ (ApiError::ApiForbidden { .. } | ApiError::ApiNotFound { .. })) => {
            SAID.call_once(|| tracing::debug!(%error, "reboots and drains are not seen"));
            Ok(T::default())
        }
        answer => answer,
    }
}

/// kured's lock, of one node.
#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(rename = "nodeID")]
    node: String,
    created: Timestamp,
    /// Nanoseconds; none or 0 where it holds until it is given back.
    #[serde(rename = "TTL", default)]
    lives: i64,
}

impl Lock {
    fn is_expired(&self, now: Timestamp) -> bool {
        self.lives > 0 && now.duration_since(self.created) >= SignedDuration::from_nanos(self.lives)
    }
}

/// As kured writes it where it may reboot several at a time.
#[derive(Debug, Deserialize)]
struct Locks {
    locks: Option<Vec<Lock>>,
}

fn locks(text: &str) -> Result<Vec<Lock>, String> {
    if text.len() > LONGEST_LOCK {
        return Err(format!("it is longer than {LONGEST_LOCK} bytes"));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let read = if value.get("locks").is_some() {
        serde_json::from_value(value).map(|several: Locks| several.locks.unwrap_or_default())
    } else {
        serde_json::from_value(value).map(|one| vec![one])
    };
    let locks: Vec<Lock> = read.map_err(|error| error.to_string())?;
    if locks.iter().all(|lock| is_name(&lock.node)) {
        Ok(locks)
    } else {
        Err("it names what is no node".to_owned())
    }
}

fn is_cordoned(node: &NodeObject) -> bool {
    let spec = node.spec.as_ref();
    spec.and_then(|spec| spec.unschedulable).unwrap_or_default()
}

/// What shows that a node is being drained, if it is.
fn drained(node: &NodeObject, now: Timestamp) -> Option<&'static str> {
    if !is_cordoned(node) {
        return None;
    }
    let annotations = node.metadata.annotations.as_ref();
    let is_set = |key: &str| {
        annotations
            .and_then(|all| all.get(key))
            .is_some_and(|value| value != "false")
    };
    if let Some(key) = ANNOTATIONS.into_iter().find(|key| is_set(key)) {
        return Some(key);
    }
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref())?;
    let is_there = |key: &str| taints.iter().any(|taint| taint.key == key);
    if let Some(key) = TAINTS.into_iter().find(|key| is_there(key)) {
        return Some(key);
    }
    let cordoned = taints.iter().find(|taint| taint.key == CORDONED)?;
    let since = cordoned.time_added.as_ref()?.0;
    (now.duration_since(since).abs() < DRAINED_WITHIN).then_some(CORDONED)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-06-03T12:00:00Z".parse().unwrap()
    }

    fn locked(lock: &str) -> MaintenanceSeen {
        MaintenanceSeen {
            lock: Some(lock.to_owned()),
            nodes: Vec::new(),
        }
    }

    fn rebooted(node: &str) -> Maintenance {
        Maintenance::RebootLocked {
            node: node.to_owned(),
        }
    }

    fn lock(node: &str, lives: &str) -> String {
        format!(
            r#"{{"nodeID":"{node}","metadata":{{"unschedulable":false}},"created":"2026-06-03T11:00:00.5Z","TTL":{lives}}}"#
        )
    }

    #[test]
    fn a_lock_of_another_node_counts_until_it_expires() {
        for (lives, holds) in [
            ("0", true),
            ("-1", true),
            ("3600000000000", true),
            ("3599500000000", false),
            ("1", false),
        ] {
            let seen = locked(&lock("worker7", lives)).found("cp1", now());
            let expected = if holds {
                vec![rebooted("worker7")]
            } else {
                Vec::new()
            };
            assert_eq!(seen, expected, "{lives}");
        }
        assert_eq!(locked(&lock("cp1", "0")).found("cp1", now()), []);
    }

    #[test]
    fn where_several_are_rebooted_each_counts_for_itself() {
        let several = format!(
            r#"{{"maxOwners":3,"locks":[{},{},{}]}}"#,
            lock("cp1", "0"),
            lock("cp2", "0"),
            lock("cp3", "1")
        );
        assert_eq!(locked(&several).found("cp1", now()), [rebooted("cp2")]);
        for free in [r#"{"maxOwners":3,"locks":null}"#, r#"{"locks":[]}"#] {
            assert_eq!(locked(free).found("cp1", now()), []);
        }
    }

    #[test]
    fn a_broken_lock_is_nobodys_and_is_said() {
        let long = format!("{}{}", lock("cp2", "0"), " ".repeat(LONGEST_LOCK));
        for broken in [
            "",
            "cp2",
            "[]",
            "{}",
            "null",
            r#"{"nodeID":"cp2"}"#,
            r#"{"locks":[{"nodeID":"cp2"}]}"#,
            &lock("", "0"),
            &lock(r"\u001b[2J", "0"),
            &lock("cp2", r#""1h""#),
            &long,
        ] {
            let found = locked(broken).found("cp1", now());
            assert!(
                matches!(&found[..], [Maintenance::LockUnreadable { .. }]),
                "{broken}: {found:?}"
            );
        }
    }

    fn node(name: &str, spec: &Value, annotations: &Value) -> NodeObject {
        serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": annotations}, "spec": spec,
        }))
        .unwrap()
    }

    fn marks(node: NodeObject, lock: Option<String>) -> Vec<String> {
        let nodes = vec![node];
        let found = MaintenanceSeen { lock, nodes }.found("cp1", now());
        found
            .into_iter()
            .map(|one| match one {
                Maintenance::Drained { mark, .. } => mark,
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_node_that_is_drained_for_a_reboot_is_told_from_one_that_takes_no_pods_for_good() {
        let cordoned = |since: &str| {
            let taints = json!([{"key": CORDONED, "effect": "NoSchedule", "timeAdded": since}]);
            json!({"unschedulable": true, "taints": taints})
        };
        let long_since = cordoned("2026-06-03T10:59:00Z");
        let kured = json!({ANNOTATIONS[0]: "2026-06-03T10:00:00Z"});
        let tainted =
            json!({"unschedulable": true, "taints": [{"key": TAINTS[1], "effect": "NoSchedule"}]});
        for name in ["cp1", "cp2"] {
            for (spec, annotations, expected) in [
                (&long_since, &json!({}), None),
                (&json!({"unschedulable": true}), &json!({}), None),
                (
                    &cordoned("2026-06-03T11:01:00Z"),
                    &json!({}),
                    Some(CORDONED),
                ),
                // A clock that is a little off.
                (
                    &cordoned("2026-06-03T12:01:00Z"),
                    &json!({}),
                    Some(CORDONED),
                ),
                (&cordoned("2027-06-03T12:01:00Z"), &json!({}), None),
                (&long_since, &kured, Some(ANNOTATIONS[0])),
                (
                    &long_since,
                    &json!({ANNOTATIONS[1]: "true"}),
                    Some(ANNOTATIONS[1]),
                ),
                (&long_since, &json!({ANNOTATIONS[1]: "false"}), None),
                (&tainted, &json!({}), Some(TAINTS[1])),
                // Back again, or not begun.
                (&json!({}), &kured, None),
                (&json!({"unschedulable": false}), &kured, None),
            ] {
                let found = marks(node(name, spec, annotations), None);
                let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
                assert_eq!(found, expected, "{name} {spec} {annotations}");
            }
        }
    }

    #[test]
    fn this_nodes_own_lock_counts_while_it_takes_no_pods() {
        let own = Some(lock("cp1", "0"));
        let away = json!({"unschedulable": true});
        assert_eq!(marks(node("cp1", &away, &json!({})), own.clone()), [LOCK]);
        assert!(marks(node("cp1", &json!({}), &json!({})), own.clone()).is_empty());
        assert!(marks(node("cp2", &away, &json!({})), own).is_empty());
        // Another's is said once.
        let others = marks(
            node("cp2", &away, &json!({ANNOTATIONS[0]: "x"})),
            Some(lock("cp2", "0")),
        );
        assert_eq!(others.len(), 1);
    }
}
