//! Files of a node, replaced and put back: all of them or none, each with all it had.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use kubecertd::files::{Operation, generations, recover};
use kubecertd::journal::{Outcome, TransactionError};
use testkit::files::{FILES, Plain, SMALL};

pub(crate) fn finish(operation: Operation<'_>) {
    operation.finish(Outcome::Done, 3, u64::MAX).unwrap();
}

#[test]
fn a_rollback_whose_first_record_is_lost_is_finished() {
    let node = Plain::new();
    let before = node.cluster();
    let lock = node.lock();
    for (is_lost, is_put_back) in [(true, true), (true, false), (false, true)] {
        let mut operation = node.begin(&lock);
        operation.install(node.replacements("new")).unwrap();
        let journal = node
            .store
            .journal()
            .join(format!("{}.jsonl", operation.id()));
        drop(operation);
        if is_lost {
            let mut text = std::fs::read(&journal).unwrap();
            text.extend(b"0123456789abcdef {\"seq\":5,\"record\":{\"step\":\"rolling-back\"}}\n");
            std::fs::write(&journal, text).unwrap();
        }
        let (_, path, mode) = FILES[0];
        if is_put_back {
            node.write(path, &format!("old {path}\n"), mode);
        }
        let recovery = recover(&node.store, &lock).unwrap().remove(0);
        let is_rolled_back = is_lost && is_put_back;
        assert_eq!(
            recovery.rolled_forward, !is_rolled_back,
            "{is_lost} {is_put_back}"
        );
        if is_rolled_back {
            assert_eq!(node.cluster(), before);
        } else {
            assert_eq!(node.read(FILES[1].1), format!("new {}\n", FILES[1].1));
        }
        recovery
            .operation
            .finish(Outcome::Done, 3, u64::MAX)
            .unwrap();
        for (_, path, mode) in &FILES[..5] {
            node.write(path, &format!("old {path}\n"), *mode);
        }
        for (_, path, _) in &FILES[5..] {
            let _ = std::fs::remove_file(node.path(path));
        }
    }
}

#[test]
fn all_files_are_replaced_and_keep_what_they_had() {
    let node = Plain::new();
    let before = node.cluster();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    let after = node.cluster();
    for (_, path, mode) in FILES {
        assert_eq!(after[path].contents, format!("new {path}\n"));
        assert_eq!(after[path].mode, mode);
    }
    let fresh = |path: &String| !before.contains_key(path);
    assert_eq!(after.keys().filter(|path| fresh(path)).count(), 2);
    finish(operation);
    assert!(node.names(&node.store.journal()).is_empty());
}

#[test]
fn owner_and_extended_attributes_stay_and_come_back() {
    let node = Plain::new();
    let key = node.path("/etc/kubernetes/pki/apiserver.key");
    let set = rustix::fs::setxattr(&key, "user.note", b"kept", rustix::fs::XattrFlags::empty());
    if let Err(error) = set {
        testkit::skipped(&format!(
            "no extended attributes in {}: {error}",
            key.display()
        ));
        return;
    }
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(&key, Some(65_534), Some(65_533)).unwrap();
    } else {
        testkit::skipped("in part: owners cannot be changed without being root");
    }
    let before = std::fs::metadata(&key).unwrap();
    let check = |what: &str| {
        let now = std::fs::metadata(&key).unwrap();
        assert_eq!(
            (now.uid(), now.gid(), now.mode()),
            (before.uid(), before.gid(), before.mode()),
            "{what}"
        );
        let mut note = [0u8; 16];
        let length = rustix::fs::getxattr(&key, "user.note", &mut note).unwrap();
        assert_eq!(&note[..length], b"kept", "{what}");
        now
    };
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    assert_ne!(check("installed").ino(), before.ino());
    operation.roll_back("test").unwrap();
    let now = check("rolled back");
    assert_eq!(now.modified().unwrap(), before.modified().unwrap());
}

#[test]
fn links_are_followed_and_stay() {
    let node = Plain::new();
    for directory in ["/var/lib/kubelet/pki", "/srv/keys"] {
        std::fs::create_dir_all(node.path(directory)).unwrap();
    }
    node.write("/srv/keys/real.key", "old key", 0o400);
    node.write("/var/lib/kubelet/pki/b.pem", "old pem", 0o600);
    // Relative, then absolute (under the root), then a chain of both through a linked directory; and one to nowhere.
    symlink("b.pem", node.path("/var/lib/kubelet/pki/current.pem")).unwrap();
    symlink("/srv/keys", node.path("/etc/kubernetes/keys")).unwrap();
    symlink(
        "../keys/real.key",
        node.path("/etc/kubernetes/pki/linked.key"),
    )
    .unwrap();
    symlink(
        "/srv/keys/absent.crt",
        node.path("/etc/kubernetes/pki/linked.crt"),
    )
    .unwrap();
    let paths = [
        "/var/lib/kubelet/pki/current.pem",
        "/etc/kubernetes/pki/linked.key",
        "/etc/kubernetes/pki/linked.crt",
    ];
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    let replacements = paths.map(|path| node.replacement(path, path, "new", 0o644));
    operation.install(replacements.into()).unwrap();
    for path in paths {
        assert!(node.path(path).is_symlink(), "{path}");
    }
    assert_eq!(
        node.read("/var/lib/kubelet/pki/b.pem"),
        format!("new {}\n", paths[0])
    );
    assert_eq!(
        node.read("/srv/keys/real.key"),
        format!("new {}\n", paths[1])
    );
    assert_eq!(
        node.read("/srv/keys/absent.crt"),
        format!("new {}\n", paths[2])
    );
    let mode = std::fs::metadata(node.path("/srv/keys/real.key"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o7777, 0o400);
    operation.roll_back("test").unwrap();
    assert_eq!(node.read("/srv/keys/real.key"), "old key");
    assert!(!node.path("/srv/keys/absent.crt").exists());
}

/// Not a check but a figure: flushing is what a transaction costs.
#[test]
fn how_long_eighteen_files_take() {
    let node = Plain::new();
    let mut paths = Vec::new();
    for number in 0..18 {
        let directory = if number < 12 { "pki" } else { "pki/etcd" };
        let path = format!("/etc/kubernetes/{directory}/{number}.pem");
        node.write(&path, &"x".repeat(1700), 0o600);
        paths.push(path);
    }
    let lock = node.lock();
    for _ in 0..3 {
        let replacements = paths
            .iter()
            .map(|path| node.replacement(&path[..path.len() - 5], path, "new", 0o600));
        let replacements = replacements.collect();
        let started = std::time::Instant::now();
        let mut operation = node.begin(&lock);
        operation.install(replacements).unwrap();
        let installed = started.elapsed();
        finish(operation);
        println!(
            "18 files: installed in {installed:?}, finished in {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn what_cannot_be_replaced_is_refused_before_anything_changes() {
    let node = Plain::new();
    let pki = "/etc/kubernetes/pki";
    std::fs::create_dir(node.path(pki).join("directory")).unwrap();
    symlink("loop-b", node.path(pki).join("loop-a")).unwrap();
    symlink("loop-a", node.path(pki).join("loop-b")).unwrap();
    symlink("apiserver.key", node.path(pki).join("same")).unwrap();
    nix::unistd::mkfifo(&node.path(pki).join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let names = |node: &Plain| node.names(&node.path(pki));
    let before = names(&node);
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    for name in ["directory", "loop-a", "fifo", "same", "missing/x"] {
        let mut replacements = node.replacements("new");
        replacements.push(node.replacement(name, &format!("{pki}/{name}"), "new", 0o600));
        let error = operation.install(replacements).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(names(&node), before, "{name}");
        assert_eq!(node.read(FILES[0].1), format!("old {}\n", FILES[0].1));
    }
    // Having failed, it may be tried again.
    operation.install(node.replacements("new")).unwrap();
    let error = operation.install(node.replacements("newer")).unwrap_err();
    assert!(matches!(error, TransactionError::Journal { .. }), "{error}");
    finish(operation);
    assert_eq!(generations(&node.store).unwrap().len(), 1);
}

#[test]
fn an_immutable_file_is_refused_with_the_way_out() {
    let node = Plain::new();
    let path = node.path("/etc/kubernetes/scheduler.conf");
    let file = std::fs::File::open(&path).unwrap();
    let flags = rustix::fs::ioctl_getflags(&file);
    let marked = flags.and_then(|flags| {
        rustix::fs::ioctl_setflags(&file, flags | rustix::fs::IFlags::IMMUTABLE).map(|()| flags)
    });
    let flags = match marked {
        Ok(flags) => flags,
        Err(error) => {
            testkit::skipped(&format!("no immutable files here: {error}"));
            return;
        }
    };
    let before = node.cluster();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    let result = operation.install(node.replacements("new"));
    rustix::fs::ioctl_setflags(&file, flags).unwrap();
    let error = result.unwrap_err().to_string();
    assert!(error.contains("chattr -i"), "{error}");
    assert_eq!(node.cluster(), before);
}

#[test]
fn a_failure_after_the_first_rename_puts_everything_back() {
    let node = Plain::new();
    let before = node.cluster();
    let lock = node.lock();
    // A mount point can be staged beside and read, but not be renamed over.
    let target = node.path("/etc/kubernetes/scheduler.conf");
    let mounted = std::process::Command::new("mount")
        .args(["--bind"])
        .args([&target, &target])
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        testkit::skipped("nothing can be mounted here");
        return;
    }
    let mut operation = node.begin(&lock);
    let result = operation.install(node.replacements("new"));
    let unmounted = std::process::Command::new("umount").arg(&target).status();
    assert!(unmounted.unwrap().success());
    match result {
        Err(TransactionError::File(error)) => assert_eq!(error.path, target),
        other => panic!("{other:?}"),
    }
    assert_eq!(node.cluster(), before);
    operation
        .finish(Outcome::RolledBack("test".into()), 3, u64::MAX)
        .unwrap();
    assert!(recover(&node.store, &lock).unwrap().is_empty());
}

/// The other writes while the old file is copied, or as soon as the backup is complete and only the renames are left.
#[test]
fn a_file_changed_by_somebody_else_while_staged_is_not_replaced() {
    let mut detected = [0; 2];
    for round in 0..20 {
        let node = Plain::new();
        let stop = AtomicBool::new(false);
        let path = node.path("/etc/kubernetes/scheduler.conf");
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        let backup = node.store.backups().join(operation.id());
        let awaited = backup.join(["etc/kubernetes/pki", "index.json"][round % 2]);
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !awaited.exists() && !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
                std::fs::write(&path, "by somebody else").unwrap();
            });
            let result = operation.install(node.replacements("new"));
            stop.store(true, Ordering::Relaxed);
            result
        });
        let expected = if result.is_ok() { "new" } else { "old" };
        for (_, file, _) in &FILES[..4] {
            assert_eq!(node.read(file), format!("{expected} {file}\n"));
        }
        if let Err(error) = result {
            match error {
                TransactionError::Changed { path: changed } => assert_eq!(changed, path),
                other => panic!("{other}"),
            }
            assert_eq!(
                node.read("/etc/kubernetes/scheduler.conf"),
                "by somebody else"
            );
            finish(operation);
            assert_eq!(node.names(&node.path("/etc/kubernetes/pki")).len(), 3);
            detected[round % 2] += 1;
        }
    }
    println!("{detected:?} of 10 changes each detected before a rename");
    assert!(detected[0] > 0 && detected[1] > 0);
}

#[test]
fn what_takes_more_room_than_any_certificate_is_not_copied() {
    let big = |key: &std::path::Path| {
        let file = std::fs::File::options().write(true).open(key).unwrap();
        file.set_len(11 << 20).unwrap();
        true
    };
    let marked = |key: &std::path::Path| {
        let none = rustix::fs::XattrFlags::empty();
        let value = [b'x'; 60_000];
        (0..5)
            .all(|number| rustix::fs::setxattr(key, format!("user.{number}"), &value, none).is_ok())
    };
    type Growth<'a> = (&'a dyn Fn(&std::path::Path) -> bool, &'a str);
    let growths: [Growth<'_>; 2] = [
        (&big, "larger than 10 MiB"),
        (&marked, "256 KiB of extended attributes"),
    ];
    for (grow, expected) in growths {
        // In memory, where attributes may be large.
        let node = Plain::fleeting(&SMALL);
        if !grow(&node.path(FILES[0].1)) {
            testkit::skipped("in part: no large attributes here");
            continue;
        }
        let names = || node.names(&node.path("/etc/kubernetes/pki"));
        let before = names();
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        let error = operation.install(node.replacements("new")).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(names(), before);
        finish(operation);
    }
}
