//! Backups, rolling back, and files that others changed meanwhile.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use kubecertd::files::{Operation, generations, recover};
use kubecertd::journal::{Lock, Outcome, TransactionError, Trigger};
use testkit::files::{FILES, MANIFESTS, Plain};

use crate::replaced::finish;

#[test]
fn rolling_back_leaves_everything_as_it_was() {
    let node = Plain::new();
    let before = node.cluster();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    operation.park(&node.path(MANIFESTS[0])).unwrap();
    operation.roll_back("the scheduler is unhealthy").unwrap();
    assert_eq!(node.cluster(), before);
    operation.roll_back("again").unwrap();
    operation
        .finish(Outcome::RolledBack("x".into()), 3, u64::MAX)
        .unwrap();
    assert_eq!(node.cluster(), before);
}

#[test]
fn a_certificate_that_somebody_else_changed_is_left_alone_with_its_key() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    node.write("/etc/kubernetes/pki/apiserver.crt", "by kubeadm", 0o644);
    match operation.roll_back("test") {
        Err(TransactionError::LeftAlone { paths }) => {
            assert_eq!(paths, [node.path(FILES[0].1), node.path(FILES[1].1)])
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(node.read(FILES[0].1), format!("new {}\n", FILES[0].1));
    assert_eq!(node.read(FILES[1].1), "by kubeadm");
    for (_, path, _) in &FILES[2..5] {
        assert_eq!(node.read(path), format!("old {path}\n"));
    }
    finish(operation);
}

#[test]
fn a_damaged_backup_is_named_and_the_rest_put_back() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    let backup = node.store.backups().join(operation.id());
    std::fs::write(backup.join("etc/kubernetes/scheduler.conf"), "torn").unwrap();
    let error = operation.roll_back("test").unwrap_err().to_string();
    assert!(error.contains("scheduler.conf"), "{error}");
    assert_eq!(node.read(FILES[4].1), format!("new {}\n", FILES[4].1));
    assert_eq!(node.read(FILES[0].1), format!("old {}\n", FILES[0].1));
    // Repaired by hand, it can be finished.
    std::fs::write(
        backup.join("etc/kubernetes/scheduler.conf"),
        format!("old {}\n", FILES[4].1),
    )
    .unwrap();
    drop(operation);
    let mut recovered = recover(&node.store, &lock).unwrap();
    let recovery = recovered.remove(0);
    assert!(!recovery.rolled_forward);
    assert_eq!(recovery.reason, Some("test".into()));
    assert_eq!(node.read(FILES[4].1), format!("old {}\n", FILES[4].1));
}

#[test]
fn a_commit_point_that_cannot_be_read_is_known_by_its_renames() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    let journal = node
        .store
        .journal()
        .join(format!("{}.jsonl", operation.id()));
    drop(operation);
    // As if killed before its last rename: `Committed` was not written yet, and `Committing` is torn.
    let text = std::fs::read_to_string(&journal).unwrap();
    let (kept, _) = text.split_once("\"step\":\"committing\"").unwrap();
    std::fs::write(&journal, kept).unwrap();
    let key = node.path(FILES[5].1);
    let (id, _) = journal.file_stem().unwrap().to_str().unwrap().split_at(21);
    std::fs::rename(
        &key,
        key.with_file_name(format!(".fresh.key.kubecertd-{id}")),
    )
    .unwrap();
    let mut recovered = recover(&node.store, &lock).unwrap();
    assert!(recovered.remove(0).rolled_forward);
    for (_, path, _) in FILES {
        assert_eq!(node.read(path), format!("new {path}\n"));
    }
}

#[test]
fn backups_are_private_copies_with_an_index() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    let generation = generations(&node.store).unwrap().remove(0);
    assert_eq!(generation.id, operation.id());
    assert_eq!(generation.files.len(), FILES.len());
    let directory = node.store.backups().join(&generation.id);
    for file in &generation.files {
        let copy = directory.join(file.path.strip_prefix("/").unwrap());
        let Some(contents) = &file.contents else {
            assert!(file.path.to_str().unwrap().contains("fresh"));
            assert!(!copy.exists());
            continue;
        };
        let metadata = std::fs::metadata(&copy).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
        assert_eq!(metadata.nlink(), 1);
        assert_eq!(metadata.len(), contents.size);
        let parent = std::fs::metadata(copy.parent().unwrap()).unwrap();
        assert_eq!(parent.permissions().mode() & 0o7777, 0o700);
    }
}

#[test]
fn old_generations_go_and_the_newest_stays() {
    let node = Plain::new();
    let lock = node.lock();
    let mut ids = Vec::new();
    for number in 0..4 {
        let mut operation = node.begin(&lock);
        operation
            .install(node.replacements(&format!("{number}")))
            .unwrap();
        ids.push(operation.id().to_owned());
        operation.finish(Outcome::Done, 2, u64::MAX).unwrap();
    }
    let kept = |node: &Plain| -> Vec<String> {
        let generations = generations(&node.store).unwrap();
        generations
            .into_iter()
            .map(|generation| generation.id)
            .collect()
    };
    assert_eq!(kept(&node), ids[2..]);
    // An operation that changed nothing leaves no generation; what a cut-off removal left goes; size counts.
    std::fs::create_dir_all(node.store.backups().join("20200101T000000Z-00ff/etc")).unwrap();
    let sizes: u64 = generations(&node.store)
        .unwrap()
        .iter()
        .map(|generation| generation.size)
        .sum();
    let end_with = |max_bytes| {
        let operation = node.begin(&lock);
        operation.finish(Outcome::Done, 10, max_bytes).unwrap();
    };
    end_with(sizes);
    assert_eq!(kept(&node), ids[2..]);
    end_with(sizes - 1);
    assert_eq!(kept(&node), ids[3..]);
    // Never the newest.
    end_with(0);
    assert_eq!(kept(&node), ids[3..]);
    assert_eq!(node.names(&node.store.backups()), ids[3..]);
}

/// Each of them has its operations for itself, and one that its service never takes has one a day.
#[test]
fn certificates_that_are_not_kubeadms_drive_out_none_of_kubeadms() {
    let node = Plain::new();
    let lock = node.lock();
    let renew = |name: Option<&str>, contents: &str| {
        let mut files = node.replacements(contents);
        for file in &mut files {
            if let Some(name) = name {
                file.id = name.into();
            }
        }
        let mut operation = node.begin(&lock);
        operation.install(files).unwrap();
        let id = operation.id().to_owned();
        operation.finish(Outcome::Done, 2, u64::MAX).unwrap();
        id
    };
    let kubeadms = renew(None, "0");
    let others: Vec<String> = (0..4)
        .map(|number| renew(Some(&format!("haproxy/{number}")), &format!("{number}")))
        .collect();
    let kept: Vec<String> = generations(&node.store)
        .unwrap()
        .into_iter()
        .map(|generation| generation.id)
        .collect();
    assert_eq!(kept, [&[kubeadms], &others[2..]].concat());
}

#[test]
fn a_second_operation_waits_for_recovery() {
    let node = Plain::new();
    let lock = node.lock();
    let first = node.begin(&lock);
    let id = first.id().to_owned();
    drop(first);
    match Operation::begin(&node.store, &lock, Trigger::Schedule) {
        Err(TransactionError::Unfinished { id: unfinished }) => assert_eq!(unfinished, id),
        other => panic!("{other:?}"),
    }
    assert!(recover(&node.store, &lock).unwrap().is_empty());
    finish(node.begin(&lock));
    assert!(matches!(
        Lock::take(&node.store),
        Err(TransactionError::Busy { .. })
    ));
}
