//! Manifests on their way out and back: never lost, never doubled, never overwritten.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use kubecertd::files::{Operation, generations, recover, return_parked};
use kubecertd::host::Root;
use kubecertd::journal::{Outcome, Record, Store, TransactionError};
use kubecertd::node::PodRef;
use testkit::files::{MANIFESTS, Plain, SMALL};

pub(crate) const DIRECTORY: &str = "/etc/kubernetes/manifests";
pub(crate) const OUT: &str = "/etc/kubernetes/.kubecertd";

#[test]
fn out_is_beside_the_manifest_directory_and_back_is_the_same_file() {
    let node = Plain::new();
    let before = node.cluster();
    let place = node.path(MANIFESTS[0]);
    let inode = std::fs::metadata(&place).unwrap().ino();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&place).unwrap();
    assert_eq!(operation.parked(), [place.as_path()]);
    assert_eq!(node.names(&node.path(DIRECTORY)), ["kube-apiserver.yaml"]);
    assert_eq!(node.names(&node.path(OUT)), ["RETURN-TO", "etcd.yaml"]);
    assert!(
        node.read("/etc/kubernetes/.kubecertd/RETURN-TO")
            .starts_with("/etc/kubernetes/manifests\n")
    );
    assert_eq!(
        std::fs::metadata(node.path(OUT)).unwrap().mode() & 0o7777,
        0o700
    );
    operation.park(&place).unwrap_err();
    assert!(operation.return_manifest(&place).unwrap());
    assert!(operation.return_manifest(&place).unwrap());
    assert!(operation.parked().is_empty());
    assert_eq!(node.cluster(), before);
    assert_eq!(std::fs::metadata(&place).unwrap().ino(), inode);
    operation.park(&place).unwrap();
    operation.finish(Outcome::Done, 3, u64::MAX).unwrap();
    assert_eq!(node.cluster(), before);
}

#[test]
fn a_linked_manifest_directory_and_a_linked_manifest_are_followed_and_stay() {
    let node = Plain::new();
    std::fs::create_dir_all(node.path("/srv/static")).unwrap();
    std::fs::remove_dir_all(node.path(DIRECTORY)).unwrap();
    symlink("/srv/static", node.path(DIRECTORY)).unwrap();
    node.write("/srv/static/etcd.yaml", "etcd", 0o640);
    node.write("/srv/real.yaml", "apiserver", 0o640);
    symlink("../real.yaml", node.path("/srv/static/kube-apiserver.yaml")).unwrap();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    for manifest in MANIFESTS {
        operation.park(&node.path(manifest)).unwrap();
    }
    assert!(node.names(&node.path("/srv/static")).is_empty());
    assert_eq!(
        node.names(&node.path("/srv/.kubecertd")),
        ["RETURN-TO", "etcd.yaml", "kube-apiserver.yaml"]
    );
    for manifest in MANIFESTS {
        assert!(operation.return_manifest(&node.path(manifest)).unwrap());
    }
    assert!(node.path("/srv/static/kube-apiserver.yaml").is_symlink());
    assert_eq!(node.read("/srv/static/etcd.yaml"), "etcd");
    assert_eq!(node.read("/srv/static/kube-apiserver.yaml"), "apiserver");
    assert!(!node.path("/srv/.kubecertd").exists());
}

#[test]
fn a_newer_manifest_in_its_place_stays_and_the_other_is_kept() {
    let node = Plain::new();
    let place = node.path(MANIFESTS[0]);
    let old = node.read(MANIFESTS[0]);
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    for round in 0..2 {
        operation.park(&place).unwrap();
        std::fs::write(&place, format!("newer {round}")).unwrap();
        assert!(!operation.return_manifest(&place).unwrap());
        assert_eq!(node.read(MANIFESTS[0]), format!("newer {round}"));
    }
    let kept = node
        .store
        .backups()
        .join(operation.id())
        .join("manifests-superseded");
    assert_eq!(node.names(&kept), ["etcd.yaml", "etcd.yaml.1"]);
    assert_eq!(
        std::fs::read_to_string(kept.join("etcd.yaml")).unwrap(),
        old
    );
    assert!(!node.path(OUT).exists());

    // The same contents are no other manifest.
    operation.park(&place).unwrap();
    std::fs::copy(node.path(OUT).join("etcd.yaml"), &place).unwrap();
    assert!(operation.return_manifest(&place).unwrap());
    // One that was changed while it was out comes back changed.
    operation.park(&place).unwrap();
    std::fs::write(node.path(OUT).join("etcd.yaml"), "edited while out").unwrap();
    assert!(operation.return_manifest(&place).unwrap());
    assert_eq!(node.read(MANIFESTS[0]), "edited while out");
}

#[test]
fn one_that_vanished_while_out_comes_from_the_backup() {
    let node = Plain::new();
    let before = node.cluster();
    let place = node.path(MANIFESTS[0]);
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&place).unwrap();
    std::fs::remove_dir_all(node.path(OUT)).unwrap();
    assert!(operation.return_manifest(&place).unwrap());
    assert_eq!(node.cluster(), before);
}

#[test]
fn the_first_copy_of_a_manifest_stays_and_a_later_one_has_its_own() {
    let node = Plain::new();
    let before = node.read(MANIFESTS[0]);
    let place = node.path(MANIFESTS[0]);
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&place).unwrap();
    operation.return_manifest(&place).unwrap();
    for text in ["edited by somebody", "and again"] {
        node.write(MANIFESTS[0], text, 0o600);
        operation.park(&place).unwrap();
        std::fs::remove_dir_all(node.path(OUT)).unwrap();
        assert!(operation.return_manifest(&place).unwrap());
        assert_eq!(node.read(MANIFESTS[0]), text);
    }
    let backup = node.store.backups().join(operation.id());
    let copy = backup.join(MANIFESTS[0].trim_start_matches('/'));
    assert_eq!(std::fs::read_to_string(copy).unwrap(), before);
}

#[test]
fn after_a_rollback_a_manifest_loses_what_was_added_to_it() {
    let node = Plain::new();
    let before = node.cluster();
    let place = node.path(MANIFESTS[0]);
    let out_and_back = |operation: &mut Operation<'_>, text: Option<&str>| {
        operation.park(&place).unwrap();
        if let Some(text) = text {
            let edit = |_: &[u8]| Ok(text.as_bytes().to_vec());
            operation.rewrite_parked(&place, &edit).unwrap();
        }
        assert!(operation.return_manifest(&place).unwrap());
        node.read(MANIFESTS[0])
    };
    for is_cut_off in [false, true] {
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        operation.install(node.replacements("new")).unwrap();
        assert_eq!(out_and_back(&mut operation, Some("marked")), "marked");
        assert_eq!(out_and_back(&mut operation, None), "marked");
        operation.roll_back("test").unwrap();
        assert_eq!(node.read(MANIFESTS[0]), "marked", "the pod runs with it");
        if is_cut_off {
            operation.park(&place).unwrap();
            drop(operation);
            operation = recover(&node.store, &lock).unwrap().remove(0).operation;
        } else {
            out_and_back(&mut operation, None);
        }
        assert_eq!(node.cluster(), before);
        // What somebody else wrote stays, and a mark is of use while the pod is restarted again.
        assert_eq!(
            out_and_back(&mut operation, Some("marked anew")),
            "marked anew"
        );
        node.write(MANIFESTS[0], "edited by somebody", 0o600);
        assert_eq!(out_and_back(&mut operation, None), "edited by somebody");
        operation.finish(Outcome::Done, 3, u64::MAX).unwrap();
        node.populate();
    }
}

#[test]
fn recovery_returns_manifests_and_remembers_the_restarts() {
    let node = Plain::new();
    let before = node.cluster();
    let manifests = MANIFESTS.map(|manifest| node.path(manifest));
    let pods: Vec<PodRef> = vec![
        ("etcd".to_owned(), manifests[0].clone()).into(),
        ("kube-apiserver".to_owned(), manifests[1].clone()).into(),
    ];
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation
        .note(Record::RestartsPlanned { pods: pods.clone() })
        .unwrap();
    operation.park(&manifests[0]).unwrap();
    drop(operation);

    let mut recovered = recover(&node.store, &lock).unwrap();
    let mut recovery = recovered.remove(0);
    assert_eq!(recovery.returned, [manifests[0].clone()]);
    assert_eq!(recovery.restarts_left, pods);
    assert_eq!(node.cluster(), before);
    recovery
        .operation
        .note(Record::Restarted {
            component: "etcd".into(),
        })
        .unwrap();
    drop(recovery);

    // A second crash loses nothing of that.
    let mut recovered = recover(&node.store, &lock).unwrap();
    let recovery = recovered.remove(0);
    assert!(recovery.returned.is_empty());
    assert_eq!(recovery.restarts_left, pods[1..]);
    recovery
        .operation
        .finish(Outcome::Done, 3, u64::MAX)
        .unwrap();
    assert!(recover(&node.store, &lock).unwrap().is_empty());
}

#[test]
fn a_tree_moved_to_a_rescue_system_is_recovered_there() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&node.path(MANIFESTS[0])).unwrap();
    drop(operation);
    drop(lock);
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().canonicalize().unwrap().join("mnt");
    std::fs::rename(node.root.directory(), &moved).unwrap();
    let rescued = Plain::at(&moved, &SMALL);
    let returned = return_parked(&rescued.store, None, &[]).unwrap();
    assert_eq!(returned, [rescued.path(MANIFESTS[0])]);
    rescued.recover();
    assert_eq!(rescued.names(&rescued.path(DIRECTORY)).len(), 2);
    std::fs::create_dir(node.root.directory()).unwrap();
}

#[test]
fn a_damaged_journal_is_reported_and_its_manifests_are_back() {
    for damaged_line in 0..3 {
        let node = Plain::new();
        let before = node.cluster();
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        operation.park(&node.path(MANIFESTS[0])).unwrap();
        operation.park(&node.path(MANIFESTS[1])).unwrap();
        let journal = node
            .store
            .journal()
            .join(format!("{}.jsonl", operation.id()));
        drop(operation);
        let text = std::fs::read_to_string(&journal).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines[damaged_line].insert(40, 'x');
        lines.push(lines[1].clone());
        std::fs::write(&journal, lines.join("\n") + "\n").unwrap();
        if damaged_line == 0 {
            match recover(&node.store, &lock) {
                Err(TransactionError::Journal { path, reason }) => {
                    assert_eq!(path, journal);
                    assert!(reason.contains("line 1"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        } else {
            // The damaged record's manifest is found beside the directory.
            return_parked(&node.store, None, &[node.path(DIRECTORY)]).unwrap();
        }
        assert_eq!(node.cluster(), before, "{damaged_line}");
    }
}

#[test]
fn without_any_state_manifests_are_found_beside_their_directory() {
    let node = Plain::new();
    let before = node.cluster();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&node.path(MANIFESTS[0])).unwrap();
    operation.park(&node.path(MANIFESTS[1])).unwrap();
    drop(operation);
    drop(lock);
    std::fs::remove_dir_all(node.store.directory()).unwrap();
    node.write(MANIFESTS[1], "newer", 0o600);
    let directories = [node.path(DIRECTORY)];
    let returned = return_parked(&node.store, None, &directories).unwrap();
    assert_eq!(returned, [node.path(MANIFESTS[0])]);
    assert_eq!(node.read(MANIFESTS[1]), "newer");
    let kept = node.read("/etc/kubernetes/.kubecertd/.superseded-kube-apiserver.yaml");
    assert_eq!(kept, before[MANIFESTS[1]].contents);
    // Again, and with nothing there at all: nothing.
    assert!(
        return_parked(&node.store, None, &directories)
            .unwrap()
            .is_empty()
    );
    let nowhere = Store::new(&Root::new(&node.path("/nowhere")).unwrap());
    let missing: Vec<PathBuf> = return_parked(&nowhere, None, &directories[..0]).unwrap();
    assert!(missing.is_empty());
    assert!(!nowhere.directory().exists());
}

#[test]
fn a_manifest_that_is_back_and_then_removed_stays_away() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&node.path(MANIFESTS[0])).unwrap();
    drop(operation);
    let directories = [node.path(DIRECTORY)];
    let returned = return_parked(&node.store, Some(&lock), &directories).unwrap();
    assert_eq!(returned, [node.path(MANIFESTS[0])]);
    assert!(!node.path(OUT).exists());
    std::fs::remove_file(node.path(MANIFESTS[0])).unwrap();
    let recovery = recover(&node.store, &lock).unwrap().remove(0);
    assert!(recovery.returned.is_empty());
    assert!(!node.path(MANIFESTS[0]).exists());
}

#[test]
fn an_unreadable_journal_keeps_no_manifest_out() {
    let node = Plain::new();
    let before = node.cluster();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&node.path(MANIFESTS[0])).unwrap();
    let journal = node
        .store
        .journal()
        .join(format!("{}.jsonl", operation.id()));
    drop(operation);
    std::fs::remove_file(&journal).unwrap();
    std::fs::create_dir(&journal).unwrap();
    recover(&node.store, &lock).unwrap_err();
    assert_eq!(node.cluster(), before);
}

#[test]
fn two_processes_may_return_manifests_at_once() {
    for _ in 0..20 {
        let node = Plain::new();
        let before = node.cluster();
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        for manifest in MANIFESTS {
            operation.park(&node.path(manifest)).unwrap();
        }
        drop(operation);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| return_parked(&node.store, None, &[node.path(DIRECTORY)]).unwrap());
            }
            for recovery in recover(&node.store, &lock).unwrap() {
                recovery
                    .operation
                    .finish(Outcome::Done, 3, u64::MAX)
                    .unwrap();
            }
        });
        assert_eq!(node.cluster(), before);
    }
}

#[test]
fn what_went_out_is_what_is_added_to() {
    let node = Plain::new();
    let place = node.path(MANIFESTS[0]);
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    // Put there by somebody after the old one was looked at.
    std::fs::write(&place, "a newer one\n").unwrap();
    operation.park(&place).unwrap();
    let add = |parked: &[u8]| Ok([parked, b"and more\n"].concat());
    operation.rewrite_parked(&place, &add).unwrap();
    assert!(operation.return_manifest(&place).unwrap());
    assert_eq!(node.read(MANIFESTS[0]), "a newer one\nand more\n");
}

#[test]
fn a_recovery_tells_what_another_process_found_superseded() {
    let node = Plain::new();
    let place = node.path(MANIFESTS[0]);
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    operation.park(&place).unwrap();
    drop(operation);
    std::fs::write(&place, "a newer one\n").unwrap();
    let directory = node.path(DIRECTORY);
    return_parked(&node.store, Some(&lock), &[directory]).unwrap();
    let recovered = recover(&node.store, &lock).unwrap();
    assert_eq!(recovered[0].superseded, [place]);
}

#[test]
fn restarts_by_hand_drive_out_no_backup_of_a_certificate() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    let id = operation.id().to_owned();
    operation.finish(Outcome::Done, 5, u64::MAX).unwrap();
    for _ in 0..8 {
        let mut restart = node.begin(&lock);
        restart.park(&node.path(MANIFESTS[0])).unwrap();
        restart.return_manifest(&node.path(MANIFESTS[0])).unwrap();
        restart.finish(Outcome::Done, 5, u64::MAX).unwrap();
    }
    let kept = generations(&node.store).unwrap();
    assert_eq!(kept[0].id, id);
    assert_eq!(
        kept.len(),
        4,
        "those with manifests only are not kept for ever"
    );
}
