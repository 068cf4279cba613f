//! The Lease that the turn is kept in, as an object of the API.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use super::message::{Draft, Mark};
use super::record::{Halt, Identity, Record};
use crate::api::LeaseObject;
use crate::host::printable;

/// Where the Lease is.
pub const NAMESPACE: &str = "kube-system";
/// The name of the turn's.
pub const LEASE: &str = "kubecertd";
/// The name of that which says which control plane judges kubelets' requests.
pub const APPROVER_LEASE: &str = "kubecertd-approver";
/// The mark of a node that failed.
const HALTED: &str = "kubecertd.io/halted";
/// A longer mark is none of this program's; bytes.
const LONGEST_MARK: usize = 4 << 10;
/// Of each text that another node wrote so much is shown, characters.
const LONGEST_TEXT: usize = 300;

/// What an object says; `None` where it has no uid or version, which every object of the API has.
pub(super) fn record(object: &LeaseObject) -> Option<Record> {
    let spec = object.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    let renewed = spec.renew_time.map(|time| time.0.to_string());
    let acquired = spec.acquire_time.map(|time| time.0.to_string());
    Some(Record {
        uid: object.metadata.uid.clone()?,
        version: object.metadata.resource_version.clone()?,
        holder: spec.holder_identity.as_deref().and_then(Identity::parse),
        transitions: spec.lease_transitions.unwrap_or_default(),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        renewed: format!("{acquired:?} {renewed:?}"),
        halt: halt(object.metadata.annotations.as_ref()),
    })
}

/// The object that a draft makes of the one that it replaces, with everything else in it as it is.
pub(super) fn written(
    name: &str,
    before: Option<&LeaseObject>,
    draft: &Draft,
    duration: Duration,
    now: Timestamp,
) -> LeaseObject {
    let mut object = before.cloned().unwrap_or_else(|| LeaseObject {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let spec = object.spec.get_or_insert_with(LeaseSpec::default);
    let holder = draft.holder.as_ref().map(Identity::to_string);
    let is_new = spec.lease_transitions != Some(draft.transitions) || spec.acquire_time.is_none();
    if is_new && holder.is_some() {
        spec.acquire_time = Some(MicroTime(now));
    }
    // As client-go does it: whoever goes by expiry alone need not wait for one that is free.
    spec.lease_duration_seconds = Some(if holder.is_some() {
        i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
    } else {
        1
    });
    spec.holder_identity = Some(holder.unwrap_or_default());
    spec.renew_time = Some(MicroTime(now));
    spec.lease_transitions = Some(draft.transitions);
    let annotations = object.metadata.annotations.get_or_insert_default();
    match &draft.mark {
        Mark::Keep => {}
        Mark::Clear => {
            annotations.remove(HALTED);
        }
        Mark::Set(halt) => {
            let text = serde_json::to_string(halt).unwrap_or_default();
            annotations.insert(HALTED.to_owned(), text);
        }
    }
    object
}

/// The mark. One that cannot be read is one all the same: somebody wanted the others to stop.
fn halt(annotations: Option<&BTreeMap<String, String>>) -> Option<Halt> {
    let text = annotations?
        .get(HALTED)
        .filter(|text| !text.trim().is_empty())?;
    let known = (text.len() <= LONGEST_MARK)
        .then(|| serde_json::from_str::<Halt>(text).ok())
        .flatten();
    let halt = known.unwrap_or_else(|| Halt {
        node: String::new(),
        operation: String::new(),
        code: "unreadable-mark".to_owned(),
        reason: text.clone(),
        since: Timestamp::UNIX_EPOCH,
    });
    Some(Halt {
        node: short(&halt.node),
        operation: short(&halt.operation),
        code: short(&halt.code),
        reason: short(&halt.reason),
        since: halt.since,
    })
}

fn short(text: &str) -> String {
    let text: String = text.chars().take(LONGEST_TEXT).collect();
    printable(&text).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn identity() -> Identity {
        Identity::parse("cp1/boot").unwrap()
    }

    fn draft(holder: Option<Identity>, mark: Mark) -> Draft {
        Draft {
            base: None,
            holder,
            transitions: 3,
            mark,
        }
    }

    fn stored(mut object: LeaseObject) -> LeaseObject {
        object.metadata.uid = Some("u".into());
        object.metadata.resource_version = Some("7".into());
        object
    }

    #[test]
    fn what_is_written_is_read_back() {
        let minute = Duration::from_secs(60);
        let now = Timestamp::UNIX_EPOCH;
        let object = stored(written(
            LEASE,
            None,
            &draft(Some(identity()), Mark::Keep),
            minute,
            now,
        ));
        let read = record(&object).unwrap();
        assert_eq!(read.holder, Some(identity()));
        assert_eq!((read.transitions, read.duration), (3, minute));
        assert_eq!((read.uid.as_str(), read.version.as_str()), ("u", "7"));

        let halt = Halt {
            node: "cp1".into(),
            operation: "20261123T224110Z-4f2a".into(),
            code: "not-in-use".into(),
            reason: "refused".into(),
            since: now,
        };
        let mark = Mark::Set(halt.clone());
        let failed = stored(written(
            LEASE,
            Some(&object),
            &draft(None, mark),
            minute,
            now,
        ));
        let read = record(&failed).unwrap();
        assert_eq!((read.holder, read.halt), (None, Some(halt)));
        let kept = stored(written(
            LEASE,
            Some(&failed),
            &draft(None, Mark::Keep),
            minute,
            now,
        ));
        assert!(record(&kept).unwrap().halt.is_some());
        let cleared = stored(written(
            LEASE,
            Some(&kept),
            &draft(None, Mark::Clear),
            minute,
            now,
        ));
        assert_eq!(record(&cleared).unwrap().halt, None);
    }

    #[test]
    fn what_others_keep_in_it_stays() {
        let mut object = LeaseObject::default();
        let label = ("team".to_owned(), "blue".to_owned());
        object.metadata.labels = Some([label].into());
        object.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
        let now = Timestamp::UNIX_EPOCH;
        let minute = Duration::from_secs(60);
        let written = written(LEASE, Some(&object), &draft(None, Mark::Clear), minute, now);
        assert_eq!(written.metadata.labels, object.metadata.labels);
        assert_eq!(written.metadata.annotations, object.metadata.annotations);
    }

    #[test]
    fn a_mark_of_another_hand_halts_and_shows_nothing_odd() {
        let mark = |text: &str| {
            halt(Some(&BTreeMap::from([(
                HALTED.to_owned(),
                text.to_owned(),
            )])))
            .unwrap()
        };
        assert_eq!(mark("maintenance by anna").reason, "maintenance by anna");
        assert_eq!(mark("x").code, "unreadable-mark");
        let long = mark(&"\u{1b}[31mred\n".repeat(10_000));
        assert!(long.reason.len() < 4_000, "{}", long.reason.len());
        assert!(!long.reason.contains(['\u{1b}', '\n']), "{}", long.reason);
        let empty = BTreeMap::from([(HALTED.to_owned(), "  ".to_owned())]);
        assert_eq!(halt(Some(&empty)), None);
    }

    #[test]
    fn durations_and_counts_of_another_hand_do_no_harm() {
        for (seconds, transitions) in [(i32::MIN, i32::MAX), (-1, -1), (0, 0), (i32::MAX, i32::MIN)]
        {
            let mut object = stored(LeaseObject::default());
            object.spec = Some(LeaseSpec {
                lease_duration_seconds: Some(seconds),
                lease_transitions: Some(transitions),
                holder_identity: Some("x".repeat(100_000)),
                ..LeaseSpec::default()
            });
            let record = record(&object).unwrap();
            assert!(record.life() <= super::super::record::LONGEST_LEASE);
        }
        assert_eq!(record(&LeaseObject::default()), None);
    }
}
