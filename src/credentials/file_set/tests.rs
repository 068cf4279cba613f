#![allow(clippy::unwrap_used, clippy::disallowed_methods)]
use super::*;
use crate::host::names;

fn places(directory: &tempfile::TempDir) -> Places {
    let root = Root::new(directory.path()).unwrap();
    Places::new(&root, Path::new("/k/pki"), Path::new("/k")).unwrap()
}

#[test]
fn what_was_put_in_place_is_taken_back_when_a_later_file_cannot_be() {
    let directory = tempfile::tempdir().unwrap();
    let places = places(&directory);
    let sets = Sets::open(&places).unwrap();
    let [first, second, third] =
        ["ca.crt", "ca.key", "sa.key"].map(|name| places.certificates.join(name));
    std::fs::write(&first, "old").unwrap();
    std::fs::write(&third, "changed meanwhile").unwrap();
    let over = |path: &Path| {
        let mut old = reading::find_all(places.root(), path).unwrap().unwrap();
        old.contents = Zeroizing::new(b"old".to_vec());
        NewFile::over(path.to_path_buf(), "new", old)
    };
    let files = [
        over(&first),
        NewFile::new(second, "new", SECRET),
        over(&third),
    ];
    let error = sets.put(&files).unwrap_err();
    assert!(
        error.to_string().contains("was changed meanwhile"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&first).unwrap(), "old");
    assert_eq!(
        std::fs::read_to_string(&third).unwrap(),
        "changed meanwhile"
    );
    assert_eq!(
        names(&places.certificates).unwrap(),
        ["ca.crt", "etcd", "sa.key"]
    );
}

#[test]
fn two_commands_do_not_work_in_one_directory() {
    let directory = tempfile::tempdir().unwrap();
    let places = places(&directory);
    let _sets = Sets::open(&places).unwrap();
    let error = Sets::open(&places).err().unwrap();
    assert!(error.to_string().contains("another kubecertd"), "{error}");
}

/// Leaves files as a killed command does: `put`, but for the names.
fn leave(places: &Places, files: &[(&Path, Option<&str>)], is_whole: bool) {
    let mark = Mark {
        id: new_id(places).unwrap(),
        files: files
            .iter()
            .map(|(path, old)| Marked {
                path: places.shown(path),
                replaces: old.map(|old| digest(old.as_bytes())),
            })
            .collect(),
    };
    for (path, old) in files {
        std::fs::write(staged(path, old.is_some(), &mark.id).unwrap(), "new").unwrap();
    }
    if is_whole {
        std::fs::write(Mark::path(places), mark.text(places).unwrap()).unwrap();
    }
}

#[test]
fn a_set_that_was_whole_is_finished_and_one_that_was_not_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let places = places(&directory);
    drop(Sets::open(&places).unwrap());
    let [free, taken, over, newer] =
        ["sa.key", "sa.pub", "ca.crt", "ca.key"].map(|name| places.certificates.join(name));
    std::fs::write(&taken, "another's").unwrap();
    std::fs::write(&over, "old").unwrap();
    std::fs::write(&newer, "newer").unwrap();
    let files = [
        (free.as_path(), None),
        (&taken, None),
        (&over, Some("old")),
        (&newer, Some("old")),
    ];
    leave(&places, &files, false);
    drop(Sets::open(&places).unwrap());
    assert_eq!(
        names(&places.certificates).unwrap(),
        ["ca.crt", "ca.key", "etcd", "sa.pub"]
    );
    leave(&places, &files, true);
    drop(Sets::open(&places).unwrap());
    assert_eq!(
        names(&places.certificates).unwrap(),
        ["ca.crt", "ca.key", "etcd", "sa.key", "sa.pub"]
    );
    let read = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&over), "new");
    assert_eq!(read(&taken), "another's");
    assert_eq!(read(&newer), "newer");
}

#[test]
fn a_set_is_finished_where_its_files_lie_and_only_by_those_with_its_mark() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::new(directory.path()).unwrap();
    let at = |certificates: &str, kubeconfigs: &str| {
        Places::new(&root, Path::new(certificates), Path::new(kubeconfigs)).unwrap()
    };
    let whole = at("/k/pki", "/shared");
    drop(Sets::open(&whole).unwrap());
    let admin = whole.kubeconfigs.join("admin.conf");
    leave(&whole, &[(&admin, None)], true);
    // Another's certificates, the same kubeconfigs: it is not its set.
    let other = at("/other/pki", "/shared");
    drop(Sets::open(&other).unwrap());
    assert_eq!(names(&whole.kubeconfigs).unwrap().len(), 1);
    assert!(!admin.exists());
    // The same certificates, other kubeconfigs: the set is finished, where it is.
    let elsewhere = at("/k/pki", "/elsewhere");
    let locked = Sets::open(&other).unwrap();
    let error = Sets::open(&elsewhere).err().unwrap();
    assert!(error.to_string().contains("another kubecertd"), "{error}");
    drop(locked);
    drop(Sets::open(&elsewhere).unwrap());
    assert_eq!(names(&whole.kubeconfigs).unwrap(), ["admin.conf"]);
    assert!(!Mark::path(&whole).exists());
    // Both directories are locked.
    let _locked = Sets::open(&elsewhere).unwrap();
    let error = Sets::open(&at("/third/pki", "/elsewhere")).err().unwrap();
    assert!(
        error.to_string().contains("/elsewhere: another kubecertd"),
        "{error}"
    );
}

#[test]
fn a_mark_that_cannot_be_followed_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let places = places(&directory);
    drop(Sets::open(&places).unwrap());
    for text in ["x", "{}", r#"{"id": "../../x", "files": []}"#] {
        std::fs::write(Mark::path(&places), text).unwrap();
        let error = Sets::open(&places).err().unwrap();
        assert!(error.to_string().contains("cannot be followed"), "{error}");
    }
}
