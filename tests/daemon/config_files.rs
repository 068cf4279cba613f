//! The configuration's files: which are read, which wins, what is said of those that cannot be read.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests write their own temporary files

use std::fs;
use std::path::Path;

use kubecertd::config::{
    Config, ConfigError, Loaded, RestartMode, load, load_what_is_right, parse,
};
use testkit::tree::Tree;

fn read(node: &Tree) -> Result<Loaded, Vec<ConfigError>> {
    load(&node.root, None)
}

fn only_mistake(node: &Tree) -> String {
    let errors = read(node).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].to_string()
}

const MAIN: &str = "/etc/kubecertd/kubecertd.toml";

#[test]
fn without_any_file_the_defaults_hold() {
    let loaded = read(&Tree::new()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.files.is_empty());
    assert!(loaded.origins.iter().all(|origin| origin.path.is_none()));
}

#[test]
fn drop_ins_win_by_systemds_rules() {
    let node = Tree::new();
    node.write(
        MAIN,
        "[renewal]\nbefore = \"1d\"\nvalidity = \"100d\"\n[backup]\nkeep = 3\n",
    );
    node.write(
        "/usr/lib/kubecertd/kubecertd.d/10-vendor.toml",
        "renewal.before = \"2d\"\nbackup.keep = 4\n",
    );
    node.write(
        "/usr/lib/kubecertd/kubecertd.d/50-same.toml",
        "renewal.before = \"9d\"\n",
    );
    node.write(
        "/run/kubecertd/kubecertd.d/50-same.toml",
        "renewal.before = \"8d\"\n",
    );
    let same = node.write(
        "/etc/kubecertd/kubecertd.d/50-same.toml",
        "restart.mode = \"none\"\n",
    );
    let last = node.write(
        "/run/kubecertd/kubecertd.d/90-last.toml",
        "renewal.before = \"5d\"\n",
    );
    node.write("/etc/kubecertd/kubecertd.d/99-not-read.conf", "nonsense");
    node.write("/etc/kubecertd/kubecertd.d/.99-hidden.toml", "nonsense");
    let loaded = read(&node).unwrap();
    assert_eq!(loaded.config.renewal.before.as_secs(), 5 * 86_400);
    assert_eq!(loaded.config.renewal.validity.as_secs(), 100 * 86_400);
    assert_eq!(loaded.config.restart.mode, RestartMode::None);
    assert_eq!(loaded.config.backup.keep, 4);
    let names: Vec<_> = loaded
        .files
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "kubecertd.toml",
            "10-vendor.toml",
            "50-same.toml",
            "90-last.toml"
        ]
    );
    assert_eq!(loaded.files[2], same);
    let before = loaded
        .origins
        .iter()
        .find(|origin| origin.key == "renewal.before")
        .unwrap();
    assert_eq!(
        (before.value.as_str(), before.path.as_ref()),
        ("\"5d\"", Some(&last))
    );
}

#[test]
fn an_empty_file_or_a_link_to_dev_null_masks() {
    let node = Tree::new();
    for name in ["10-a", "20-b"] {
        node.write(
            &format!("/usr/lib/kubecertd/kubecertd.d/{name}.toml"),
            "backup.keep = 4\n",
        );
    }
    node.write("/etc/kubecertd/kubecertd.d/10-a.toml", "");
    node.link("/run/kubecertd/kubecertd.d/20-b.toml", "/dev/null");
    node.link(MAIN, "/dev/null");
    assert_eq!(read(&node).unwrap().config, Config::default());
}

#[test]
fn links_are_followed_under_the_root() {
    let node = Tree::new();
    node.write("/srv/real.toml", "backup.keep = 7\n");
    let main = node.link(MAIN, "/srv/real.toml");
    let loaded = read(&node).unwrap();
    assert_eq!(loaded.config.backup.keep, 7);
    assert_eq!(loaded.files, [main]);
}

#[test]
fn what_cannot_be_read_is_named_with_the_reason() {
    let node = Tree::new();
    node.link(MAIN, "/srv/gone.toml");
    assert!(
        only_mistake(&node).contains("symbolic link to"),
        "{}",
        only_mistake(&node)
    );

    let node = Tree::new();
    node.link(MAIN, "kubecertd.toml");
    assert!(only_mistake(&node).contains("kubecertd.toml: cannot be read"));

    let node = Tree::new();
    fs::create_dir_all(node.root.join(MAIN)).unwrap();
    assert!(only_mistake(&node).contains("it is a directory"));

    let node = Tree::new();
    node.write(MAIN, vec![b'#'; 2 * 1024 * 1024]);
    assert!(only_mistake(&node).contains("larger than 1 MiB"));

    let node = Tree::new();
    node.write(MAIN, b"[renewal]\n# caf\xe9\n");
    assert!(
        only_mistake(&node).ends_with(
            "kubecertd.toml:2:6: the byte 0xe9 is not UTF-8; save the file as UTF-8 text"
        )
    );

    let node = Tree::new();
    node.write(MAIN, [0x7f, b'E', b'L', b'F', 0, 0xff]);
    assert!(only_mistake(&node).contains("0xff"));

    let node = Tree::new();
    node.write(
        "/etc/kubecertd/kubecertd.d",
        "a file where a directory should be",
    );
    assert!(only_mistake(&node).contains("kubecertd.d: cannot be read"));
}

#[test]
fn a_fifo_does_not_hang() {
    let node = Tree::new();
    let path = node.place(MAIN);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(only_mistake(&node).contains("no regular file"));
}

#[test]
fn an_unreadable_mode_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let node = Tree::new();
    let path = node.write(MAIN, "");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        testkit::not_on_this_machine("root reads files of any mode");
        return;
    }
    assert!(only_mistake(&node).contains("ermission denied"));
}

#[test]
fn mistakes_of_all_files_are_shown_together() {
    let node = Tree::new();
    node.write(MAIN, "[renewal]\nbefor = \"1d\"\n");
    node.write("/etc/kubecertd/kubecertd.d/10-a.toml", "backup.keep = 0\n");
    fs::create_dir_all(node.root.join("/etc/kubecertd/kubecertd.d/20-b.toml")).unwrap();
    let text: Vec<String> = read(&node)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(text.len(), 3, "{text:#?}");
    for part in ["befor", "backup.keep", "it is a directory"] {
        assert!(
            text.iter().any(|message| message.contains(part)),
            "{part}: {text:#?}"
        );
    }
}

#[test]
fn a_mistake_that_a_later_file_overrides_is_still_one() {
    let node = Tree::new();
    node.write(MAIN, "backup.keep = 0\n");
    node.write("/etc/kubecertd/kubecertd.d/10-a.toml", "backup.keep = 5\n");
    assert!(only_mistake(&node).contains("backup.keep"));
}

#[test]
fn a_named_file_is_the_only_one_and_has_to_be_there() {
    let node = Tree::new();
    node.write("/etc/kubecertd/kubecertd.d/10-a.toml", "backup.keep = 5\n");
    let other = node.write("/tmp/other.toml", "backup.keep = 6\n");
    let loaded = load(&node.root, Some(&other)).unwrap();
    assert_eq!((loaded.config.backup.keep, loaded.files), (6, vec![other]));
    assert!(load(&node.root, Some(Path::new("/nowhere/k.toml"))).is_err());
}

#[test]
fn an_empty_path_takes_back_what_an_earlier_file_said() {
    let node = Tree::new();
    node.write(MAIN, "paths.manifests = \"/srv/manifests\"\n");
    node.write(
        "/etc/kubecertd/kubecertd.d/10-a.toml",
        "paths.manifests = \"\"\n",
    );
    assert_eq!(read(&node).unwrap().config, Config::default());
}

#[test]
fn what_is_shown_can_be_read_back_and_names_its_source() {
    let node = Tree::new();
    let main = node.write(
        MAIN,
        "[renewal]\nbefore = \"36h\"\nskip = [\"super-admin.conf\", \"apiserver\"]\n[paths]\ncertificates = \"/srv/pki \\\"x\\\"\"\n",
    );
    let loaded = read(&node).unwrap();
    let shown = loaded.to_toml();
    assert!(
        shown.contains(&format!("before = \"1d12h\" # {}\n", main.display())),
        "{shown}"
    );
    assert!(shown.contains("\nvalidity = \"365d\"\n"), "{shown}");
    assert!(
        shown.contains("\nmanifests = \"\" # found on the node\n"),
        "{shown}"
    );
    assert_eq!(parse(Path::new("shown.toml"), &shown), Ok(loaded.config));
}

#[test]
fn the_shipped_file_has_every_key_with_its_default_and_an_explanation() {
    let shipped = include_str!("../../config/kubecertd.toml");
    assert_eq!(
        parse(Path::new("kubecertd.toml"), shipped),
        Ok(Config::default())
    );
    let is_option =
        |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.contains(" = ");
    let active: String = shipped
        .lines()
        .map(|line| format!("{}\n", if is_option(line) { &line[1..] } else { line }))
        .collect();
    assert_eq!(
        parse(Path::new("kubecertd.toml"), &active),
        Ok(Config::default())
    );

    let node = Tree::new();
    node.write(MAIN, &active);
    let loaded = read(&node).unwrap();
    let absent: Vec<_> = loaded
        .origins
        .iter()
        .filter(|origin| origin.path.is_none())
        .collect();
    assert!(
        absent.is_empty(),
        "not in config/kubecertd.toml: {absent:?}"
    );

    let lines: Vec<&str> = shipped.lines().collect();
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| is_option(line)) {
        let explained = lines[..number]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("# "))
            .count();
        assert!(
            explained >= 2,
            "{line} has {explained} lines of explanation"
        );
    }
}

#[test]
fn what_is_valid_and_probably_not_meant_is_said() {
    let warnings = |text: &str| -> Vec<String> {
        let node = Tree::new();
        node.write(MAIN, text);
        fs::create_dir_all(node.root.join("/srv/pki")).unwrap();
        fs::write(node.root.join("/srv/file"), "").unwrap();
        let loaded = read(&node).unwrap();
        let directory = node.root.directory().display().to_string();
        loaded
            .warnings
            .iter()
            .map(|warning| warning.to_string().replace(&directory, ""))
            .collect()
    };
    for text in [
        "",
        "renewal.before = \"121d\"\n",
        // Nobody wrote that thirty days are too long for these.
        "renewal.validity = \"20m\"\n",
        "paths.certificates = \"/srv/pki\"\n",
        "paths.certificates = \"\"\n",
        "log.level = \"info,kubecertd::restart=debug\"\n",
    ] {
        assert!(warnings(text).is_empty(), "{text}: {:?}", warnings(text));
    }
    for (text, warning) in [
        (
            "[renewal]\nbefore = \"300d\"\n",
            "kubecertd.toml:2:10: renewal.before = \"300d\" is more than a third of renewal.validity = \"365d\": \
             certificates of that lifetime are renewed \"121d16h\" before their end and not earlier; write that or less",
        ),
        (
            "[paths]\ncertificates = \"/srv/pik\"\n",
            "kubecertd.toml:2:16: paths.certificates = \"/srv/pik\": this does not exist on this node; write where it lies, \
             or leave the key out",
        ),
        (
            "[paths]\nmanifests = \"/srv/file\"\n",
            "kubecertd.toml:2:13: paths.manifests = \"/srv/file\": this is no directory; write where it lies, or leave the \
             key out",
        ),
        (
            "[paths]\nkubelet-configuration = \"/srv/pki\"\n",
            "paths.kubelet-configuration = \"/srv/pki\": this is no file",
        ),
        (
            "[restart]\ncontainer-runtime = \"/run/none.sock\"\n",
            "kubecertd.toml:2:21: restart.container-runtime = \"/run/none.sock\": this does not exist",
        ),
        (
            "[log]\nlevel = \"warn,kubecertdd=debug\"\n",
            "kubecertd.toml:2:9: log.level = \"warn,kubecertdd=debug\": nothing of kubecertd logs under \"kubecertdd\", so \
             this part has no effect; did you mean \"kubecertd\"?",
        ),
    ] {
        let all = warnings(text);
        assert_eq!(all.len(), 1, "{text}: {all:?}");
        assert!(all[0].contains(warning), "{}", all[0]);
    }
}

#[test]
fn tables_are_merged_key_by_key_and_shown_with_who_said_so() {
    let node = Tree::new();
    let main = node.write(
        MAIN,
        "[certificate.\"admin.conf\"]\nbefore = \"7d\"\nvalidity = \"30d\"\n[certificate.apiserver]\n\
         [window.night]\nstart = \"02:00\"\nlength = \"2h\"\ndays = [\"fri\", \"mon\", \"fri\"]\n",
    );
    let drop_in = node.write(
        "/etc/kubecertd/kubecertd.d/10-a.toml",
        "certificate.\"admin.conf\".before = \"5d\"\ncertificate.etcd-peer.skip = true\n\
         window.night.time-zone = \"Europe/Berlin\"\nwindow.night.length = \"3h\"\n",
    );
    let loaded = read(&node).unwrap();
    let tables: Vec<_> = loaded
        .origins
        .iter()
        .filter(|origin| origin.table.starts_with("certificate"))
        .map(|origin| {
            let path = origin.path.clone().unwrap();
            (origin.key.as_str(), origin.value.as_str(), path)
        })
        .collect();
    assert_eq!(
        tables,
        [
            (
                "certificate.\"admin.conf\".before",
                "\"5d\"",
                drop_in.clone()
            ),
            (
                "certificate.\"admin.conf\".validity",
                "\"30d\"",
                main.clone()
            ),
            ("certificate.etcd-peer.skip", "true", drop_in.clone()),
        ]
    );
    let shown = loaded.to_toml();
    let window = "\n[window.night]\ndays = [\"mon\", \"fri\"] # ";
    assert!(shown.contains(window), "{shown}");
    assert!(
        shown.contains("\ntime-zone = \"Europe/Berlin\" # "),
        "{shown}"
    );
    let expected = format!(
        "\n[certificate.\"admin.conf\"]\nbefore = \"5d\" # {}\nvalidity = \"30d\" # {}\n\n[certificate.etcd-peer]\n",
        drop_in.display(),
        main.display()
    );
    assert!(shown.contains(&expected), "{shown}");
    let read_back = parse(Path::new("shown.toml"), &shown).unwrap();
    assert_eq!(read_back.windows, loaded.config.windows);
    let night = &read_back.windows["night"];
    assert_eq!((night.days.len(), night.length.as_secs()), (2, 3 * 3600));
    for name in ["admin.conf", "etcd-peer", "apiserver"] {
        assert_eq!(read_back.renewal_of(name), loaded.config.renewal_of(name));
    }
}

#[test]
fn a_name_that_no_certificate_of_the_node_has_is_said() {
    let node = Tree::new();
    node.write(
        MAIN,
        "[renewal]\nskip = [\"hok.crt\", \"etcd-server\"]\n[certificate.\"hook.crt\"]\nskip = true\n[certificate.zzz]\n",
    );
    let loaded = read(&node).unwrap();
    let known = ["hook.crt", "apiserver"].into();
    let directory = node.root.directory().display().to_string();
    let said: Vec<String> = loaded
        .named
        .iter()
        .filter_map(|named| named.unknown(&known))
        .map(|odd| odd.to_string().replace(&directory, ""))
        .collect();
    assert_eq!(
        said,
        [
            "/etc/kubecertd/kubecertd.toml:2:9: renewal.skip: no certificate of this node is called \"hok.crt\", so this has \
             no effect; did you mean \"hook.crt\"?",
            "/etc/kubecertd/kubecertd.toml:5:14: [certificate.zzz]: no certificate of this node is called \"zzz\", so this \
             has no effect; `kubecertd check-expiration --all` shows the names",
        ]
    );
}

#[test]
fn a_threshold_of_one_certificate_beyond_a_third_of_its_validity_is_odd() {
    let node = Tree::new();
    node.write(
        MAIN,
        "[certificate.\"admin.conf\"]\nbefore = \"20d\"\nvalidity = \"30d\"\n[certificate.apiserver]\nbefore = \"100d\"\n",
    );
    let loaded = read(&node).unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    let warning = loaded.warnings[0].to_string();
    assert!(
        warning.contains(
            ":2:10: certificate.\"admin.conf\".before = \"20d\" is more than a third of \
             certificate.\"admin.conf\".validity = \"30d\": certificates of that lifetime are renewed \"10d\""
        ),
        "{warning}"
    );
}

#[test]
fn what_is_right_is_had_without_the_files_that_are_wrong() {
    let node = Tree::new();
    node.write(
        MAIN,
        "backup.keep = 3\n[paths]\ncertificates = \"/srv/pki\"\nmanifest = 1\n",
    );
    node.write(
        "/etc/kubecertd/kubecertd.d/10-a.toml",
        "renewal.validity = \"100d\"\n",
    );
    node.write("/etc/kubecertd/kubecertd.d/20-b.toml", "backup.keep = \n");
    let kept = node.write("/etc/kubecertd/kubecertd.d/30-c.toml", "backup.keep = 5\n");
    let (loaded, mistakes) = load_what_is_right(&node.root, None);
    assert_eq!(mistakes.len(), 2, "{mistakes:#?}");
    // Nothing of a file counts that could not be understood as a whole.
    assert_eq!(loaded.config.locations, Config::default().locations);
    assert_eq!(loaded.config.backup.keep, 5);
    assert_eq!(loaded.config.renewal.validity.as_secs(), 100 * 86_400);
    assert_eq!(loaded.files.last(), Some(&kept));
    // Two that are wrong only together.
    let wrong = node.write(
        "/etc/kubecertd/kubecertd.d/40-d.toml",
        "renewal.before = \"100d\"\n",
    );
    let (loaded, mistakes) = load_what_is_right(&node.root, None);
    assert!(
        mistakes.iter().any(|mistake| mistake.path() == wrong),
        "{mistakes:#?}"
    );
    assert_eq!(
        loaded.config.renewal.before,
        Config::default().renewal.before
    );
    assert_eq!(loaded.config.renewal.validity.as_secs(), 100 * 86_400);
    // Files that are right lose nothing, and a named one that is not there is said.
    let node = Tree::new();
    node.write(MAIN, "backup.keep = 3\n");
    let (loaded, mistakes) = load_what_is_right(&node.root, None);
    assert_eq!((loaded.config.backup.keep, mistakes.len()), (3, 0));
    let (loaded, mistakes) = load_what_is_right(&node.root, Some(Path::new("/nowhere/k.toml")));
    assert_eq!((loaded.config, mistakes.len()), (Config::default(), 1));
}
