//! Every code is in the documentation, once, and nothing else is there.

use std::collections::BTreeSet;

use kubecertd::api::ApiError;
use kubecertd::checks::{Cause, ClusterSignerFault};
use kubecertd::cluster::etcd::{LeadershipError, Objection, ReadError};
use kubecertd::cluster::{ApproverCheck, ApproverReason, EventReason, FleetLockError};
use kubecertd::config::{Mistake, Oddity};
use kubecertd::credentials::CredentialError;
use kubecertd::files::CopyFault;
use kubecertd::issuer::IssuanceError;
use kubecertd::journal::{Outcome, TransactionError};
use kubecertd::node::Fault;
use kubecertd::operation::{
    Crossed, Event, OperationError, Remark, RollBackError, RollBackNote, Unfitness,
};
use kubecertd::orders::OrderError;
use kubecertd::plan::{ClusterSays, ExtensionObstacle, Note, Obstacle, Reason};
use kubecertd::rehearsal::{CopyError, RehearsalError, SampleError};
use kubecertd::report::{HistoryError, MetricsError, StatusError};
use kubecertd::restart::{Progress, RestartError};
use strum::VariantNames;

/// What has the code of what is in it.
const DELEGATING: [&str; 23] = [
    // of a problem in a field of a kubeconfig
    "in-field",
    // of events and remarks
    "restart",
    "remark",
    "finding",
    "note",
    "etcd",
    "put-back",
    "crossed",
    // of errors
    "copy",
    "install",
    "transaction",
    "roll-back",
    "history",
    "directory",
    "rolled-back",
    "failed",
    "new-files-stay",
    "restarts-pending",
    "not-put-back",
    "not-returned",
    "order-not-made",
    "several",
    "cluster-configuration",
];

/// The codes that the documentation lists under a heading.
fn documented(heading: &str) -> Vec<&'static str> {
    let text = include_str!("../../docs/codes.md");
    let heading = format!("{heading}\n");
    let section = text
        .split("\n## ")
        .find_map(|section| section.strip_prefix(&heading));
    let rows = section.unwrap_or_else(|| panic!("{heading}")).lines();
    rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next())
        .collect()
}

#[test]
fn every_code_is_documented_and_no_other() {
    let own = |kinds: &[&[&'static str]]| -> Vec<&'static str> {
        let all = kinds.iter().flat_map(|kind| kind.iter().copied());
        all.filter(|code| !DELEGATING.contains(code)).collect()
    };
    let errors = [
        OperationError::VARIANTS,
        &[
            "interrupted",
            "not-replaceable",
            "not-trusted",
            "conflict",
            "not-renewed",
            "unfinished-before",
        ],
        IssuanceError::VARIANTS,
        OrderError::VARIANTS,
        RestartError::VARIANTS,
        TransactionError::VARIANTS,
        RollBackError::VARIANTS,
        HistoryError::VARIANTS,
        StatusError::VARIANTS,
        MetricsError::VARIANTS,
        RehearsalError::VARIANTS,
        CopyError::VARIANTS,
        SampleError::VARIANTS,
        CredentialError::VARIANTS,
    ];
    let cluster = [
        ReadError::VARIANTS,
        LeadershipError::VARIANTS,
        ApiError::VARIANTS,
        FleetLockError::VARIANTS,
    ];
    let at_once: &[&str] = &["renewed-at-once"];
    let all = [
        ("Findings", own(&[Cause::VARIANTS])),
        ("Configuration", own(&[Mistake::VARIANTS, Oddity::VARIANTS])),
        ("Problems", own(&[Fault::VARIANTS])),
        ("Obstacles", Obstacle::VARIANTS.to_vec()),
        ("CA obstacles", ExtensionObstacle::VARIANTS.to_vec()),
        ("Reasons", Reason::VARIANTS.to_vec()),
        ("Notes", own(&[Note::VARIANTS, ClusterSays::VARIANTS])),
        ("Events", own(&[Event::VARIANTS, Progress::VARIANTS])),
        ("Remarks", own(&[Remark::VARIANTS])),
        (
            "Roll-back notes",
            own(&[
                RollBackNote::VARIANTS,
                Crossed::VARIANTS,
                at_once,
                &["authority-ends-soon"],
            ]),
        ),
        (
            "Roll-back obstacles",
            own(&[Unfitness::VARIANTS, Crossed::VARIANTS, at_once]),
        ),
        ("Copies", CopyFault::VARIANTS.to_vec()),
        ("Outcomes", Outcome::VARIANTS.to_vec()),
        ("Errors", own(&errors)),
        ("The etcd gate", Objection::VARIANTS.to_vec()),
        (
            "The controller-manager's signers",
            ClusterSignerFault::VARIANTS.to_vec(),
        ),
        ("The cluster", own(&cluster)),
        (
            "Checks of kubelets' requests",
            ApproverCheck::VARIANTS.to_vec(),
        ),
        ("Kubelets' requests", ApproverReason::VARIANTS.to_vec()),
        ("Kubernetes Events", EventReason::VARIANTS.to_vec()),
    ];
    for (heading, codes) in &all {
        let codes: BTreeSet<&str> = codes.iter().copied().collect();
        let listed = documented(heading);
        let different: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(different, codes, "{heading}");
        assert_eq!(
            listed.len(),
            different.len(),
            "{heading}: one is there twice"
        );
    }
    // In the journal they share one field.
    let shared = [
        "Findings",
        "Notes",
        "Events",
        "Remarks",
        "Roll-back notes",
        "The etcd gate",
        "The cluster",
    ];
    let shared = shared.map(|heading| {
        let (_, codes) = all.iter().find(|(known, _)| *known == heading).unwrap();
        codes
    });
    let mut seen = BTreeSet::new();
    for code in shared.into_iter().flatten() {
        assert!(seen.insert(code), "{code} means two things");
    }
}
