//! What administrators, editors and clocks do to an operation and to what is kept of it.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use kubecertd::files::{contents, generations, recover, return_parked};
use kubecertd::journal::{Outcome, Record, TransactionError};
use testkit::files::{FILES, MANIFESTS, Plain};

const DIRECTORY: &str = "/etc/kubernetes/manifests";

fn kept(node: &Plain) -> Vec<String> {
    let generations = generations(&node.store).unwrap();
    generations
        .into_iter()
        .map(|generation| generation.id)
        .collect()
}

/// One operation that ends well; its id.
fn renew(node: &Plain, wording: &str, keep: usize) -> String {
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements(wording)).unwrap();
    let id = operation.id().to_owned();
    operation.finish(Outcome::Done, keep, u64::MAX).unwrap();
    id
}

fn index(node: &Plain, id: &str) -> PathBuf {
    node.store.backups().join(id).join("index.json")
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

/// As if the clock had been ten years ahead, or behind, when everything so far was made.
fn shift_clock(node: &Plain, year: &str) {
    let this_year = jiff::Timestamp::now().strftime("%Y").to_string();
    for id in node.names(&node.store.backups()) {
        let path = index(node, &id);
        edit(
            &path,
            &format!("\"created\": \"{this_year}-"),
            &format!("\"created\": \"{year}-"),
        );
    }
}

#[test]
fn the_clock_decides_neither_the_order_of_backups_nor_which_is_removed() {
    for year in ["2016", "2099"] {
        let node = Plain::new();
        let first = renew(&node, "first", 9);
        shift_clock(&node, year);
        let second = renew(&node, "second", 9);
        let third = renew(&node, "third", 9);
        assert_eq!(kept(&node), [first, second, third.clone()], "{year}");
        let fourth = renew(&node, "fourth", 2);
        assert_eq!(kept(&node), [third, fourth.clone()], "{year}");
        let last = renew(&node, "last", 1);
        assert_eq!(kept(&node), [last], "{year}");
    }
}

#[test]
fn a_clock_set_in_mid_operation_changes_nothing_about_its_end() {
    for year in ["2016", "2099"] {
        for rolled_back in [false, true] {
            let node = Plain::new();
            let before = node.cluster();
            renew(&node, "earlier", 9);
            shift_clock(&node, year);
            let earlier = node.cluster();
            let lock = node.lock();
            let mut operation = node.begin(&lock);
            let id = operation.id().to_owned();
            let pods = vec![("etcd".to_owned(), node.path(MANIFESTS[0])).into()];
            operation.note(Record::RestartsPlanned { pods }).unwrap();
            operation.install(node.replacements("new")).unwrap();
            operation.park(&node.path(MANIFESTS[0])).unwrap();
            drop(operation);
            let journal = node.store.journal().join(format!("{id}.jsonl"));
            reseal(&journal, |text| shift_begin(text, year));

            let mut recovered = recover(&node.store, &lock).unwrap();
            let mut recovery = recovered.remove(0);
            assert_eq!(
                recovery.operation.started().strftime("%Y").to_string(),
                year
            );
            assert_eq!(recovery.restarts_left.len(), 1);
            if rolled_back {
                recovery
                    .operation
                    .roll_back("it does not come back")
                    .unwrap();
            }
            recovery
                .operation
                .finish(Outcome::Done, 1, u64::MAX)
                .unwrap();
            let expected = if rolled_back {
                earlier
            } else {
                node.cluster_with("new")
            };
            assert_eq!(node.cluster(), expected);
            assert_ne!(node.cluster(), before);
            assert_eq!(kept(&node), [id], "its own backup is the one that is kept");
        }
    }
}

fn shift_begin(text: &str, year: &str) -> String {
    let (start, rest) = text.split_once("\"started\":\"").unwrap();
    format!("{start}\"started\":\"{year}{}", &rest[4..])
}

/// Changes the first record of a journal as somebody would who knows how checksums are made.
fn reseal(journal: &Path, change: impl Fn(&str) -> String) {
    let text = std::fs::read_to_string(journal).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let json = change(&first[17..]);
    let sum: String = digest(&SHA256, json.as_bytes())
        .as_ref()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    std::fs::write(journal, format!("{sum} {json}\n{rest}")).unwrap();
}

#[test]
fn a_backup_that_was_copied_or_whose_index_was_edited_is_never_taken_for_another() {
    let node = Plain::new();
    let first = renew(&node, "first", 9);
    let copied = node.store.backups().join("before-the-upgrade");
    std::fs::create_dir(&copied).unwrap();
    std::fs::copy(index(&node, &first), copied.join("index.json")).unwrap();
    let second = renew(&node, "second", 9);
    std::fs::write(index(&node, &second), "{\"id\": ").unwrap();
    let third = renew(&node, "third", 9);
    assert_eq!(kept(&node), [first, third.clone()]);
    // What cannot be read is not removed: somebody may want to mend it.
    let last = renew(&node, "last", 1);
    assert_eq!(kept(&node), [last]);
    assert!(copied.join("index.json").exists());
    assert!(index(&node, &second).exists());
    assert!(!index(&node, &third).exists());
}

/// Whoever can write there must not have the daemon read for ever.
#[test]
fn a_backup_index_of_any_length_is_not_read() {
    let node = Plain::new();
    let id = renew(&node, "first", 9);
    assert_eq!(kept(&node), std::slice::from_ref(&id));
    let mut text = std::fs::read(index(&node, &id)).unwrap();
    text.resize(11 << 20, b' ');
    std::fs::write(index(&node, &id), text).unwrap();
    assert!(kept(&node).is_empty());
    let error = contents(&node.store, &id).unwrap_err();
    assert!(error.to_string().contains("larger than 10 MiB"), "{error}");
}

#[test]
fn a_backup_index_edited_in_mid_operation_is_named_and_manifests_come_back() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    operation.park(&node.path(MANIFESTS[0])).unwrap();
    let path = index(&node, operation.id());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let refused = operation.roll_back("test").unwrap_err().to_string();
    assert!(refused.contains(path.to_str().unwrap()), "{refused}");
    assert_eq!(node.names(&node.path(DIRECTORY)).len(), 2);
    drop(operation);
    // It cannot go back, but it is still known that it is on the way back.
    let refused = recover(&node.store, &lock).unwrap_err().to_string();
    assert!(refused.contains(path.to_str().unwrap()), "{refused}");
    std::fs::write(&path, whole).unwrap();
    let recovery = recover(&node.store, &lock).unwrap().remove(0);
    assert!(!recovery.rolled_forward);
    recovery
        .operation
        .finish(Outcome::Done, 3, u64::MAX)
        .unwrap();
    assert_eq!(node.read(FILES[0].1), format!("old {}\n", FILES[0].1));
}

#[test]
fn a_damaged_backup_of_a_restart_keeps_no_manifest_out() {
    let node = Plain::new();
    // Where nobody looks without the journal.
    std::fs::create_dir_all(node.path("/opt/pods/manifests")).unwrap();
    let manifest = node.path("/opt/pods/manifests/etcd.yaml");
    std::fs::rename(node.path(MANIFESTS[0]), &manifest).unwrap();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&manifest).unwrap();
    std::fs::write(index(&node, operation.id()), "{").unwrap();
    drop(operation);
    assert_eq!(recover(&node.store, &lock).unwrap()[0].returned, [manifest]);
}

#[test]
fn a_journal_edited_by_hand_stops_everything_but_the_manifests() {
    for edit in [
        |text: &str| text.replacen("committing", "committed ", 1),
        |text: &str| {
            text.lines()
                .skip(1)
                .map(|line| format!("{line}\n"))
                .collect()
        },
        |text: &str| text.replace('\n', "\r\n"),
        |text: &str| format!("# looked at on Monday\n{text}"),
    ] {
        let node = Plain::new();
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        operation.install(node.replacements("new")).unwrap();
        operation.park(&node.path(MANIFESTS[0])).unwrap();
        let journal = node
            .store
            .journal()
            .join(format!("{}.jsonl", operation.id()));
        drop(operation);
        let text = std::fs::read_to_string(&journal).unwrap();
        std::fs::write(&journal, edit(&text)).unwrap();
        match recover(&node.store, &lock) {
            Err(TransactionError::Journal { path, reason }) => {
                assert_eq!(path, journal);
                assert!(reason.contains("move this journal away"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        return_parked(&node.store, None, &[node.path(DIRECTORY)]).unwrap();
        assert_eq!(node.names(&node.path(DIRECTORY)).len(), 2);
        assert_eq!(node.read(FILES[0].1), format!("new {}\n", FILES[0].1));
        // The way out that the message names.
        std::fs::rename(&journal, node.path("/journal-of-monday")).unwrap();
        assert!(recover(&node.store, &lock).unwrap().is_empty());
    }
}

/// Moved to another disk by somebody, while a manifest is out; the link is the node's, not this machine's.
#[test]
fn a_manifest_directory_that_becomes_a_link_gets_its_manifest_back_behind_the_link() {
    for by_recovery in [0, 1, 2] {
        let node = Plain::new();
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        let place = node.path(MANIFESTS[0]);
        let text = node.read(MANIFESTS[0]);
        operation.park(&place).unwrap();
        std::fs::create_dir_all(node.path("/srv")).unwrap();
        std::fs::rename(node.path(DIRECTORY), node.path("/srv/manifests")).unwrap();
        symlink("/srv/manifests", node.path(DIRECTORY)).unwrap();
        match by_recovery {
            0 => {
                assert!(operation.return_manifest(&place).unwrap());
                operation.finish(Outcome::Done, 3, u64::MAX).unwrap();
            }
            1 => {
                drop(operation);
                let recovery = recover(&node.store, &lock).unwrap().remove(0);
                assert_eq!(recovery.returned.len(), 1);
                recovery
                    .operation
                    .finish(Outcome::Done, 3, u64::MAX)
                    .unwrap();
            }
            _ => {
                drop(operation);
                std::fs::remove_dir_all(node.store.directory()).unwrap();
                return_parked(&node.store, None, &[node.path(DIRECTORY)]).unwrap();
            }
        }
        assert_eq!(node.read("/srv/manifests/etcd.yaml"), text, "{by_recovery}");
        assert!(node.path(DIRECTORY).is_symlink());
        assert!(
            !node.path("/etc/kubernetes/.kubecertd").exists(),
            "{by_recovery}"
        );
        assert_eq!(node.names(&node.path("/srv/manifests")).len(), 2);
    }
}

#[test]
fn a_manifest_directory_that_becomes_a_link_to_nowhere_keeps_its_manifest_parked_and_says_so() {
    let node = Plain::new();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&node.path(MANIFESTS[0])).unwrap();
    std::fs::rename(node.path(DIRECTORY), node.path("/etc/kubernetes/away")).unwrap();
    symlink("/srv/manifests", node.path(DIRECTORY)).unwrap();
    let refused = operation
        .return_manifest(&node.path(MANIFESTS[0]))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("could not be moved back"), "{refused}");
    assert_eq!(
        node.read("/etc/kubernetes/.kubecertd/etcd.yaml"),
        format!("kind: Pod # {}\n", MANIFESTS[0])
    );
    operation.finish(Outcome::Done, 3, u64::MAX).unwrap_err();
    recover(&node.store, &lock).unwrap_err();
    std::fs::create_dir_all(node.path("/srv")).unwrap();
    std::fs::rename(
        node.path("/etc/kubernetes/away"),
        node.path("/srv/manifests"),
    )
    .unwrap();
    assert_eq!(recover(&node.store, &lock).unwrap().len(), 1);
    assert_eq!(node.names(&node.path("/srv/manifests")).len(), 2);
}

/// A certificates directory in memory, say, of which a reboot leaves nothing.
#[test]
fn a_directory_that_is_gone_is_made_anew_for_what_is_put_back() {
    for gone in ["/etc/kubernetes/pki", "/etc/kubernetes/pki/etcd"] {
        let node = Plain::new();
        let before = node.cluster();
        {
            let lock = node.lock();
            let mut operation = node.begin(&lock);
            operation.install(node.replacements("new")).unwrap();
        }
        // Killed between its commit point and the end of its renames.
        let journal = node.store.journal();
        let journal = journal.join(&node.names(&journal)[0]);
        let text = std::fs::read_to_string(&journal).unwrap();
        let (until, _) = text.split_once("\"committed\"").unwrap();
        let (whole, _) = until.rsplit_once('\n').unwrap();
        std::fs::write(&journal, format!("{whole}\n")).unwrap();
        std::fs::remove_dir_all(node.path(gone)).unwrap();

        assert_eq!(node.recover(), [(false, Vec::new())], "{gone}");
        // What lay elsewhere may have been renamed already, and is put back as well.
        assert_eq!(node.cluster(), before, "{gone}");
        assert!(node.recover().is_empty());
    }
}
