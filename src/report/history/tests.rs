#![allow(clippy::disallowed_methods)]
use super::*;
use crate::host::Root;
use crate::journal::{Outcome, RenewedCertificate, Trigger};
use crate::restart::Remedy;
use jiff::Timestamp;
use std::os::unix::fs::PermissionsExt;

fn history() -> (tempfile::TempDir, History) {
    let directory = tempfile::tempdir().unwrap();
    let history = History::new(&Store::new(&Root::new(directory.path()).unwrap()));
    (directory, history)
}

fn receipt(number: i64) -> Receipt {
    Receipt {
        turn: None,
        id: format!("operation-{number}"),
        started: Timestamp::from_second(number).unwrap(),
        finished: Timestamp::from_second(number + 1).unwrap(),
        trigger: Trigger::Command("renew all".into()),
        by: None,
        kind: None,
        history_before: None,
        outcome: match number % 3 {
            0 => Outcome::Done,
            1 => Outcome::RolledBack("the scheduler\nis unhealthy \"}".into()),
            _ => Outcome::Failed("x".into()),
        },
        certificates: vec![RenewedCertificate {
            id: "apiserver".into(),
            path: "/etc/kubernetes/pki/apiserver.crt".into(),
            old_serial: "1".into(),
            new_serial: "2".into(),
            old_not_after: Timestamp::from_second(number).unwrap(),
            new_not_after: Timestamp::from_second(number).unwrap(),
            old: None,
            new: None,
        }],
        restarts: vec![("etcd".into(), 0.1 + 0.2)],
        code: None,
        remarks: Vec::new(),
        remedies: vec![("etcd".into(), vec![Remedy::Annotation, Remedy::Containers])],
        proofs: vec!["served".into()],
        copies: Vec::new(),
        warnings: Vec::new(),
    }
}

#[test]
fn receipts_come_back_as_they_were_written() {
    let (_directory, history) = history();
    assert_eq!(history.verify().unwrap(), 0);
    assert!(history.receipts().unwrap().is_empty());
    for number in 0..4 {
        history.append(&receipt(number)).unwrap();
    }
    assert_eq!(history.verify().unwrap(), 4);
    let read = history.receipts().unwrap();
    assert_eq!(read.len(), 4);
    assert_eq!(read[1], receipt(1));
    let mode = std::fs::metadata(history.store.history()).unwrap();
    assert_eq!(mode.permissions().mode() & 0o7777, 0o600);
}

#[test]
fn of_an_operation_the_last_receipt_counts() {
    let (_directory, history) = history();
    let second = Receipt {
        warnings: vec!["again".into()],
        ..receipt(1)
    };
    for one in [&receipt(1), &receipt(2), &second, &receipt(3)] {
        history.append(one).unwrap();
    }
    assert_eq!(history.last_of(&second.id).unwrap(), Some(second));
    assert_eq!(history.last_of(&receipt(2).id).unwrap(), Some(receipt(2)));
    assert_eq!(history.last_of("none").unwrap(), None);
}

#[test]
fn a_changed_missing_or_moved_line_is_found() {
    let (_directory, history) = history();
    for number in 0..4 {
        history.append(&receipt(number)).unwrap();
    }
    let path = history.store.history();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let broken_at = |lines: &[&str]| {
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        match history.verify() {
            Err(HistoryError::Broken { line, .. }) => line,
            other => panic!("{other:?}"),
        }
    };
    for changed in 0..4 {
        let edited = lines[changed].replace("apiserver", "apisevrer");
        let mut all = lines.clone();
        all[changed] = &edited;
        assert_eq!(broken_at(&all), changed + 1);
    }
    assert_eq!(broken_at(&lines[1..]), 1);
    assert_eq!(broken_at(&[lines[0], lines[2], lines[3]]), 2);
    assert_eq!(broken_at(&[lines[0], lines[2], lines[1], lines[3]]), 2);
    assert_eq!(broken_at(&[lines[0], lines[0]]), 2);
    assert_eq!(broken_at(&[lines[0], "", lines[1]]), 2);
}

#[test]
fn a_torn_last_line_is_left_out_and_removed_by_the_next() {
    let (_directory, history) = history();
    history.append(&receipt(0)).unwrap();
    let path = history.store.history();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &whole[..whole.len() - 1]].concat()).unwrap();
    assert_eq!(history.receipts().unwrap().len(), 1);
    assert_eq!(history.verify().unwrap(), 1);
    history.append(&receipt(1)).unwrap();
    assert_eq!(history.verify().unwrap(), 2);
    assert_eq!(history.receipts().unwrap()[1], receipt(1));
}

#[test]
fn receipts_removed_from_the_end_are_missed_even_after_another_was_written() {
    let (directory, history) = history();
    for number in 0..4 {
        history.append(&receipt(number)).unwrap();
    }
    let path = history.store.history();
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for kept in 0..4 {
        let text: String = lines[..kept]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        std::fs::write(&path, text).unwrap();
        let error = history.verify().unwrap_err().to_string();
        assert!(error.contains("missing at the end"), "{error}");
    }
    std::fs::write(&path, format!("{}\n", lines[0])).unwrap();
    for number in 7..12 {
        history.append(&receipt(number)).unwrap();
        assert!(history.verify().is_err(), "after receipt {number}");
    }
    let end = directory.path().join("var/lib/kubecertd/history.end");
    std::fs::write(&path, &whole).unwrap();
    history.verify().unwrap();
    std::fs::write(&end, "5").unwrap();
    assert!(history.verify().is_err());
    std::fs::remove_file(&end).unwrap();
    assert!(history.verify().is_err());
}

#[test]
fn a_crash_before_the_end_is_noted_is_no_fault() {
    let (directory, history) = history();
    let end = directory.path().join("var/lib/kubecertd/history.end");
    history.append(&receipt(0)).unwrap();
    std::fs::remove_file(&end).unwrap();
    assert_eq!(history.verify().unwrap(), 1);
    history.append(&receipt(1)).unwrap();
    let noted = std::fs::read(&end).unwrap();
    history.append(&receipt(2)).unwrap();
    std::fs::write(&end, noted).unwrap();
    assert_eq!(history.verify().unwrap(), 3);
    history.append(&receipt(3)).unwrap();
    assert_eq!(history.verify().unwrap(), 4);
}

#[test]
fn one_broken_line_hides_no_other() {
    let (_directory, history) = history();
    for number in 0..3 {
        history.append(&receipt(number)).unwrap();
    }
    let path = history.store.history();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1] = "not json";
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let entries = history.entries().unwrap();
    assert_eq!(entries[0].as_ref().unwrap(), &receipt(0));
    assert!(matches!(
        &entries[1],
        Err(HistoryError::Broken { line: 2, .. })
    ));
    assert_eq!(entries[2].as_ref().unwrap(), &receipt(2));
    assert!(history.receipts().is_err());
}
