#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;
use crate::config::Config;
use crate::host::Root;
use crate::node::{CertificateState, Entry, KeyState, Present, Signer, observe};
use crate::pki::{CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, Validity};
use jiff::{SignedDuration, Timestamp};

fn status() -> Status {
    let at = "2026-11-26T12:00:00Z".parse().unwrap();
    Status {
        version: "1".to_owned(),
        pid: 1,
        started: at,
        updated: at,
        state: State::Failing,
        message: String::new(),
        next: None,
        certificates: Vec::new(),
        last_operation: None,
        failure: None,
        halted: None,
        approver: None,
        pending: Vec::new(),
        in_memory: Vec::new(),
        problems: Vec::new(),
        findings: Vec::new(),
    }
}

/// So many certificates, whose files and subjects others have named.
fn inventory(count: usize) -> (tempfile::TempDir, Inventory) {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::new(directory.path()).unwrap();
    let mut inventory = observe(&root, &Config::default().locations);
    let now: Timestamp = "2026-11-26T00:00:00Z".parse().unwrap();
    let not_after = now + SignedDuration::from_hours(1);
    let authority = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: now,
        not_after,
    })
    .unwrap();
    let leaf = NewLeaf {
        common_name: "a\"b\\c\nd} 1\n".to_owned(),
        organizations: vec!["x".repeat(10_000)],
        subject_alt_names: Vec::new(),
        server_auth: true,
        client_auth: false,
    };
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let validity = Validity {
        not_before: now,
        not_after,
    };
    let leaf = leaf.sign(&key, &authority, validity).unwrap();
    inventory.entries = (0..count)
        .map(|number| {
            let path = format!("/etc/kubernetes/\"{number}\n# HELP x\n.crt").into();
            Entry {
                id: format!("\"{number}\n.crt").as_str().into(),
                path: std::path::PathBuf::clone(&path),
                certificate_path: path,
                key_path: None,
                authority: None,
                described: None,
                state: CertificateState::Present(Box::new(Present {
                    leaf: leaf.clone(),
                    // The same one again, in the same file.
                    chain: vec![leaf.clone()],
                    key: KeyState::Missing,
                    signer: Signer::Unknown,
                    modified: None,
                })),
            }
        })
        .collect();
    (directory, inventory)
}

fn series(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines.filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn whatever_others_name_makes_one_line_each_and_no_more_than_there_may_be() {
    for count in [1, 400] {
        let (_directory, inventory) = inventory(count);
        let text = metrics(&status(), &[], &inventory);
        let series = series(&text);
        let names: BTreeSet<&str> = series
            .iter()
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(names.len(), series.len(), "one is there twice");
        assert!(series.len() <= MOST, "{}", series.len());
        for line in &series {
            assert!(
                line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(),
                "{line}"
            );
            assert!(line.len() < 8_000);
        }
        let left_out = *series.last().unwrap();
        assert_eq!(
            left_out == "kubecertd_series_left_out 0",
            count == 1,
            "{left_out}"
        );
        // Only the heads that this program writes.
        let heads = text.lines().filter(|line| line.starts_with("# HELP "));
        assert!(heads.clone().all(|head| !head.starts_with("# HELP x\"")));
        assert!(heads.count() < 20);
    }
}

#[test]
fn what_ended_is_expired_and_the_daemons_word_is_one_of_them() {
    let (_directory, inventory) = inventory(1);
    let text = metrics(&status(), &[], &inventory);
    let expired = text
        .lines()
        .find(|line| line.starts_with("x509_cert_expired{"));
    let expired = expired.unwrap();
    assert!(expired.ends_with("} 1"), "{expired}");
    assert!(
        expired.contains(r#"subject_CN="a\"b\\c\\nd} 1\\n""#),
        "{expired}"
    );
    assert!(text.contains("kubecertd_state{state=\"failing\"} 1\n"));
    assert!(text.contains("kubecertd_state{state=\"waiting\"} 0\n"));
}

#[test]
fn a_halt_names_the_node_and_the_code_and_nothing_else_that_another_wrote() {
    let (_directory, inventory) = inventory(0);
    let mut status = status();
    let mut halt = Halt {
        node: "cp2".into(),
        operation: "id".into(),
        code: "not-in-use".into(),
        reason: "refused".into(),
        since: Timestamp::UNIX_EPOCH,
    };
    status.halted = Some(halt.clone());
    let text = metrics(&status, &[], &inventory);
    let expected = "kubecertd_halted{node=\"cp2\",reason=\"not-in-use\"} 1\n";
    assert!(text.contains(expected), "{text}");
    halt.node = "\"} 1\nx".into();
    halt.code = "code 17".into();
    status.halted = Some(halt);
    let text = metrics(&status, &[], &inventory);
    assert!(
        text.contains("kubecertd_halted{reason=\"other\"} 1\n"),
        "{text}"
    );
}
