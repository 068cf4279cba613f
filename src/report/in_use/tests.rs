use std::path::PathBuf;

use jiff::SignedDuration;

use super::*;
use crate::journal::Trigger;
use crate::net::Address;
use crate::node::{CertificateState, KeyState, Signer};
use crate::pki::{
    CertificateAuthority, KeyAlgorithm, LeafName, NewAuthority, NewLeaf, PrivateKey, Validity,
};
use crate::report::RenewedCertificate;

const SCHEDULER: &str = "kube-scheduler";

/// Hours after a moment long ago.
fn at(hours: i64) -> Timestamp {
    let begin: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    begin + SignedDuration::from_hours(hours)
}

fn entry(kind: Catalogued, modified: Option<Timestamp>) -> Entry {
    let validity = Validity {
        not_before: at(-100),
        not_after: at(5000),
    };
    let authority = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: validity.not_before,
        not_after: validity.not_after,
    })
    .unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let leaf = NewLeaf {
        common_name: "x".to_owned(),
        organizations: Vec::new(),
        subject_alt_names: Vec::new(),
        server_auth: true,
        client_auth: true,
    }
    .sign(&key, &authority, validity)
    .unwrap();
    Entry {
        id: CertificateId::Catalogued(kind),
        path: PathBuf::from("/x"),
        certificate_path: PathBuf::from("/x"),
        key_path: None,
        authority: None,
        described: None,
        state: CertificateState::Present(Box::new(Present {
            leaf,
            chain: Vec::new(),
            key: KeyState::Missing,
            signer: Signer::Unknown,
            modified,
        })),
    }
}

fn scheduler(modified: Timestamp) -> Entry {
    let kind = Catalogued::Kubeconfig(KubeconfigName::Scheduler);
    entry(kind, Some(modified))
}

fn etcd_client() -> Entry {
    let kind = Catalogued::Leaf(LeafName::ApiserverEtcdClient);
    entry(kind, Some(at(10)))
}

/// An operation that put this certificate in place within an hour from `begun`; the one before ends at `old`.
fn renewal(entry: &Entry, begun: i64, old: i64) -> Receipt {
    Receipt {
        turn: None,
        id: "x".to_owned(),
        started: at(begun),
        finished: at(begun + 1),
        trigger: Trigger::Schedule,
        outcome: Outcome::Done,
        certificates: vec![RenewedCertificate {
            id: entry.id.clone(),
            path: entry.path.clone(),
            old_serial: "01".to_owned(),
            new_serial: entry.present().unwrap().leaf.serial.clone(),
            old_not_after: at(old),
            new_not_after: at(5000),
            old: None,
            new: None,
        }],
        restarts: Vec::new(),
        code: None,
        remarks: Vec::new(),
        remedies: Vec::new(),
        proofs: Vec::new(),
        copies: Vec::new(),
        warnings: Vec::new(),
        by: None,
        kind: None,
        history_before: None,
    }
}

fn proved(mut receipt: Receipt) -> Receipt {
    let name = receipt.certificates[0].id.clone();
    receipt.proofs = vec![format!("{name}: the API server accepts it")];
    receipt
}

fn known(entry: &Entry, seen: &[Seen], receipts: &[Receipt]) -> InUse {
    let seen: Vec<&Seen> = seen.iter().collect();
    let present = entry.present().unwrap();
    Known {
        entry,
        present,
        receipts,
    }
    .use_of(&seen, at(1000))
}

fn running(since: i64) -> Seen {
    Seen::Running {
        component: SCHEDULER.to_owned(),
        since: at(since),
    }
}

#[test]
fn what_is_read_at_the_start_is_in_use_since_the_start_and_not_before() {
    let entry = scheduler(at(10));
    let later = known(&entry, &[running(11)], &[]);
    assert_eq!((later.state, later.at), (UseState::Proved, Some(at(11))));
    assert_eq!(later.note(&entry.id), None);

    let earlier = known(&entry, &[running(9)], &[]);
    assert_eq!(
        (earlier.state, earlier.used_until),
        (UseState::NotYet, None)
    );
    let note = earlier.note(&entry.id).unwrap();
    assert!(note.contains("scheduler.conf is not in use yet"), "{note}");
    assert!(note.contains("not known when"), "{note}");
    assert!(note.contains("kubecertd restart kube-scheduler"), "{note}");

    // One of two pods is enough.
    let both = known(&entry, &[running(11), running(9)], &[]);
    assert_eq!(both.state, UseState::NotYet);
    assert_eq!(known(&entry, &[], &[]).state, UseState::Unknown);
}

#[test]
fn the_end_of_the_one_in_use_is_that_of_the_first_that_was_replaced_since() {
    let entry = scheduler(at(30));
    let mut undone = renewal(&entry, 8, 40);
    undone.outcome = Outcome::RolledBack("no".to_owned());
    let mut first = renewal(&entry, 10, 50);
    first.certificates[0].new_serial = "02".to_owned();
    let receipts = [undone, first, renewal(&entry, 29, 60)];
    let now = known(&entry, &[running(5)], &receipts);
    assert_eq!(now.used_until, Some(at(50)));
    let note = now.note(&entry.id).unwrap();
    assert!(note.contains("ends Jun 03, 2026 02:00 UTC"), "{note}");
    let between = known(&entry, &[running(20)], &receipts);
    assert_eq!(between.used_until, Some(at(60)));
    // A proof without a restart is not one of use.
    let accepted = known(&entry, &[running(5)], &[proved(renewal(&entry, 29, 60))]);
    assert_eq!(accepted.state, UseState::NotYet);
}

#[test]
fn what_was_put_back_with_its_old_time_is_written_when_it_was_put_back() {
    let entry = scheduler(at(1));
    let receipts = [renewal(&entry, 29, 60)];
    let before = known(&entry, &[running(5)], &receipts);
    assert_eq!(
        (before.state, before.used_until),
        (UseState::NotYet, Some(at(60)))
    );
    let mut restarted = renewal(&entry, 29, 60);
    restarted.restarts = vec![(SCHEDULER.to_owned(), 3.0)];
    // The clock was set back meanwhile.
    let now = known(&entry, &[running(5)], &[restarted]);
    assert_eq!(now.state, UseState::Proved);
}

#[test]
fn what_is_read_anew_by_itself_is_proved_or_not_known() {
    let entry = etcd_client();
    assert_eq!(known(&entry, &[running(9)], &[]).state, UseState::Unknown);
    assert_eq!(known(&entry, &[running(11)], &[]).state, UseState::Proved);
    let by_proof = known(&entry, &[running(9)], &[proved(renewal(&entry, 9, 40))]);
    assert_eq!(
        (by_proof.state, by_proof.at),
        (UseState::Proved, Some(at(10)))
    );
    assert_eq!(by_proof.evidence, "the API server accepts it");
    // Of another certificate, and of another name that begins so.
    let mut other = proved(renewal(&entry, 9, 40));
    other.certificates[0].new_serial = "02".to_owned();
    let mut longer = proved(renewal(&entry, 9, 40));
    longer.proofs = vec!["apiserver-etcd-client-2: yes".to_owned()];
    assert_eq!(
        known(&entry, &[], &[other, longer]).state,
        UseState::Unknown
    );
    // Proved by a later operation that did not touch it; an earlier one is about an earlier file.
    for (begun, state) in [(9, UseState::Proved), (5, UseState::Unknown)] {
        let mut without = proved(renewal(&entry, begun, 40));
        without.certificates.clear();
        assert_eq!(known(&entry, &[], &[without]).state, state, "{begun}");
    }
}

#[test]
fn a_handshake_says_more_than_any_receipt() {
    let kind = Catalogued::Leaf(LeafName::Apiserver);
    let entry = entry(kind, Some(at(10)));
    let address = Address {
        host: "10.0.0.5".to_owned(),
        port: 6443,
    };
    let served = Seen::Served {
        address: address.clone(),
    };
    let now = known(&entry, &[running(9), served], &[]);
    assert_eq!((now.state, now.at), (UseState::Proved, Some(at(1000))));
    let another = Seen::AnotherServed {
        component: "kube-apiserver".to_owned(),
        address,
        not_after: at(50),
    };
    let now = known(&entry, &[another], &[proved(renewal(&entry, 9, 40))]);
    assert_eq!(
        (now.state, now.used_until),
        (UseState::NotYet, Some(at(50)))
    );
    let note = now.note(&"apiserver".into()).unwrap();
    assert!(note.contains("10.0.0.5:6443"), "{note}");
    assert!(note.contains("Jun 03, 2026 02:00 UTC"), "{note}");
}
