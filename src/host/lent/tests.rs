#![allow(clippy::disallowed_methods)]
use std::os::unix::fs::{MetadataExt, PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::*;

const LIMIT: u64 = 1 << 10;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("config");
    (directory, path)
}

fn opened(path: &Path) -> LentFile {
    LentFile::read(path, LIMIT).unwrap().unwrap()
}

fn names(path: &Path) -> Vec<OsString> {
    crate::host::names(path.parent().unwrap()).unwrap()
}

#[test]
fn a_file_is_replaced_with_all_that_it_has_and_nothing_is_left_beside_it() {
    let (_directory, path) = directory();
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(12), Some(34)).unwrap();
    }
    let before = std::fs::metadata(&path).unwrap();
    // What a killed process left.
    std::fs::write(path.with_file_name(".config.kubecertd-0"), "key").unwrap();
    std::fs::write(path.with_file_name(".other.kubecertd-0"), "key").unwrap();
    let old = opened(&path);
    assert_eq!(old.contents(), b"old");
    old.replace(b"new", &|| true).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    let after = std::fs::metadata(&path).unwrap();
    for of in [MetadataExt::uid, MetadataExt::gid, MetadataExt::mode] {
        assert_eq!(of(&after), of(&before));
    }
    assert_eq!(names(&path), [".other.kubecertd-0", "config"]);
}

#[test]
fn what_is_no_file_of_its_own_is_refused() {
    let (directory, path) = directory();
    let refused = |path: &Path| LentFile::read(path, LIMIT).unwrap_err();
    assert!(LentFile::read(&path, LIMIT).unwrap().is_none());
    let foreign = directory.path().join("shadow");
    std::fs::write(&foreign, "root's").unwrap();

    symlink("shadow", &path).unwrap();
    assert!(matches!(refused(&path), LentFault::Link));
    std::fs::remove_file(&path).unwrap();
    std::fs::hard_link(&foreign, &path).unwrap();
    assert!(matches!(refused(&path), LentFault::HardLinks(2)));
    std::fs::remove_file(&path).unwrap();
    // Opening it for reading would wait for ever.
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(refused(&path).to_string(), "is a FIFO, not a file");
    std::fs::remove_file(&path).unwrap();
    let huge = File::create(&path).unwrap();
    huge.set_len(1 << 40).unwrap();
    assert!(refused(&path).to_string().starts_with("is larger than"));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(refused(&path).to_string(), "is a directory, not a file");
    assert_eq!(std::fs::read(&foreign).unwrap(), b"root's");
}

#[test]
fn a_directory_that_is_swapped_for_a_link_leads_nowhere_else() {
    let (directory, _) = directory();
    let base = directory.path().canonicalize().unwrap();
    for name in ["home", "foreign"] {
        std::fs::create_dir(base.join(name)).unwrap();
        std::fs::write(base.join(name).join("config"), name).unwrap();
    }
    let path = base.join("home/config");
    let read = opened(&path);
    std::fs::rename(base.join("home"), base.join("moved")).unwrap();
    symlink("foreign", base.join("home")).unwrap();
    read.replace(b"new", &|| true).unwrap();
    assert_eq!(std::fs::read(base.join("moved/config")).unwrap(), b"new");
    assert_eq!(
        std::fs::read(base.join("foreign/config")).unwrap(),
        b"foreign"
    );
    assert!(matches!(
        LentFile::read(&path, LIMIT).unwrap_err(),
        LentFault::Link
    ));
}

#[test]
fn what_its_owner_does_meanwhile_is_kept() {
    let (_directory, path) = directory();
    let changed = |read: LentFile| {
        let error = read.replace(b"new", &|| true).unwrap_err();
        assert!(matches!(error, LentFault::Changed), "{error}");
    };
    // Written to in place, after it was read.
    std::fs::write(&path, "old").unwrap();
    let read = opened(&path);
    std::fs::write(&path, "own").unwrap();
    changed(read);
    assert_eq!(std::fs::read(&path).unwrap(), b"own");
    // Another file in its place.
    let read = opened(&path);
    std::fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    changed(read);
    assert!(path.is_symlink());
    // Nothing in its place: none is made.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "old").unwrap();
    let read = opened(&path);
    std::fs::remove_file(&path).unwrap();
    changed(read);
    assert!(names(&path).is_empty());
    // kubectl is at it.
    std::fs::write(&path, "old").unwrap();
    let read = opened(&path);
    std::fs::write(path.with_file_name("config.lock"), "").unwrap();
    let error = read.replace(b"new", &|| true).unwrap_err();
    assert!(matches!(error, LentFault::Locked(_)), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(names(&path), ["config", "config.lock"]);
}

/// The moment after the two have changed places.
fn exchanged(path: &Path) -> (LentFile, New) {
    let read = opened(path);
    let mut new = read.make_new().unwrap();
    let attributes = Attributes::of(&read.file).unwrap();
    new.write(b"new", &attributes).unwrap();
    new.place.exchange(&read.place).unwrap();
    (read, new)
}

/// What the rest of a replacement makes of it.
fn looked_back(mut read: LentFile, new: &New) -> LentFault {
    let error = read.look_back(new).unwrap_err();
    new.discard();
    error
}

/// What came out, under its temporary name.
fn came_out(path: &Path) -> PathBuf {
    path.with_file_name(&names(path)[0])
}

#[test]
fn what_came_out_and_was_not_read_goes_back() {
    let (_directory, path) = directory();
    std::fs::write(&path, "old").unwrap();
    let (read, new) = exchanged(&path);
    // Its writer had it open all the time.
    std::fs::write(came_out(&path), "own").unwrap();
    let error = looked_back(read, &new);
    assert!(matches!(error, LentFault::Changed), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"own");
    assert_eq!(names(&path), ["config"]);
}

#[test]
fn what_came_out_and_cannot_be_looked_at_goes_back() {
    let (_directory, path) = directory();
    std::fs::write(&path, "old").unwrap();
    let (mut read, new) = exchanged(&path);
    // Such a handle can be looked at and not read.
    let flags = rustix::fs::OFlags::PATH;
    read.file = new.place.open(flags).unwrap();
    let error = looked_back(read, &new);
    assert!(matches!(error, LentFault::System(_)), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(names(&path), ["config"]);
}

#[test]
fn what_came_out_goes_where_another_was_put_over_the_new_one() {
    let (_directory, path) = directory();
    std::fs::write(&path, "old").unwrap();
    let (read, new) = exchanged(&path);
    let own = path.with_file_name("own");
    std::fs::write(&own, "own").unwrap();
    std::fs::rename(own, &path).unwrap();
    let error = looked_back(read, &new);
    assert!(matches!(error, LentFault::Changed), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"own");
    assert_eq!(names(&path), ["config"]);
}

/// As on a file system that knows no such thing.
#[test]
fn what_cannot_change_places_is_looked_at_in_the_last_moment() {
    let (_directory, path) = directory();
    let put_over = |meanwhile: fn(&Path)| {
        std::fs::write(&path, "old").unwrap();
        let mut read = opened(&path);
        let mut new = read.make_new().unwrap();
        let attributes = Attributes::of(&read.file).unwrap();
        new.write(b"new", &attributes).unwrap();
        meanwhile(&path);
        let put = read.put_over(&new);
        new.discard();
        put
    };
    put_over(|_| {}).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    let error = put_over(|path| std::fs::write(path, "own").unwrap()).unwrap_err();
    assert!(matches!(error, LentFault::Changed), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"own");
    let error = put_over(|path| {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, "old").unwrap();
    })
    .unwrap_err();
    assert!(matches!(error, LentFault::Changed), "{error}");
    assert_eq!(names(&path), ["config"]);
    let lock = |path: &Path| std::fs::write(path.with_file_name("config.lock"), "").unwrap();
    let error = put_over(lock).unwrap_err();
    assert!(matches!(error, LentFault::Locked(_)), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(names(&path), ["config", "config.lock"]);
}

#[test]
fn what_nobody_waits_for_any_more_changes_nothing() {
    for (most, whole) in [(0, false), (1, false), (2, true)] {
        let (_directory, path) = directory();
        std::fs::write(&path, "old").unwrap();
        let left = path.with_file_name(".config.kubecertd-0");
        std::fs::write(&left, "").unwrap();
        let asked = std::cell::Cell::new(0);
        let is_awaited = || asked.replace(asked.get() + 1) < most;
        let replaced = opened(&path).replace(b"new", &is_awaited);
        match replaced {
            Ok(()) => assert!(whole, "{most}"),
            Err(error) => assert!(!whole && matches!(error, LentFault::Abandoned), "{error}"),
        }
        let contents = std::fs::read(&path).unwrap();
        assert_eq!(contents == b"new", whole, "{most}");
        assert_eq!(left.exists(), most == 0, "nothing at all is done");
        drop(std::fs::remove_file(left));
        assert_eq!(names(&path), ["config"]);
    }
}

#[test]
fn what_an_earlier_process_left_is_found_and_removed_without_the_file() {
    let (_directory, path) = directory();
    let found = || LeftBehind::beside(&path).unwrap();
    assert!(found().is_none());
    assert!(
        LeftBehind::beside(&path.join("none/config"))
            .unwrap()
            .is_none()
    );
    for name in [".config.kubecertd-0", ".other.kubecertd-0", ".config"] {
        std::fs::write(path.with_file_name(name), "key").unwrap();
    }
    let left = found().unwrap();
    left.remove().unwrap();
    left.remove().unwrap();
    assert!(found().is_none());
    assert_eq!(names(&path), [".config", ".other.kubecertd-0"]);
}
