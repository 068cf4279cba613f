//! `kubecertd run` and its configuration: where it looks for changes, what it says of mistakes, what takes effect.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::os::unix::fs::symlink;
use std::time::Duration;

use jiff::Timestamp;
use kubecertd::report::{Status, read_status};
use nix::sys::signal::Signal;
use testkit::daemon::{Daemon, wait_until};
use testkit::{Node, text};

const LONG: Duration = Duration::from_secs(3600);

fn status(node: &Node) -> Status {
    read_status(&node.root).unwrap()
}

fn due(node: &Node) -> Option<Timestamp> {
    let certificates = status(node).certificates;
    let one = certificates.iter().find(|one| one.name == "apiserver");
    one.unwrap().due_at
}

fn write(node: &Node, path: &str, before: &str) {
    let path = node.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("[renewal]\nbefore = \"{before}\"\n")).unwrap();
}

#[test]
fn every_place_of_the_configuration_is_watched() {
    let node = Node::fresh();
    write(&node, "/opt/settings/main.toml", "20d");
    std::fs::create_dir_all(node.path("/usr/lib/kubecertd/kubecertd.d")).unwrap();
    std::fs::create_dir_all(node.path("/etc/kubecertd")).unwrap();
    symlink(
        "/opt/settings/main.toml",
        node.path("/etc/kubecertd/kubecertd.toml"),
    )
    .unwrap();
    let mut daemon = Daemon::start_with(&node, LONG);
    daemon.expect("STATUS=Next: ");
    std::thread::sleep(Duration::from_secs(3));
    for (path, before) in [
        ("/opt/settings/main.toml", "25d"),
        ("/usr/lib/kubecertd/kubecertd.d/10-vendor.toml", "30d"),
        ("/run/kubecertd/kubecertd.d/20-here.toml", "35d"),
        ("/run/kubecertd/kubecertd.d/20-here.toml", "40d"),
        ("/etc/kubecertd/kubecertd.d/30-admin.toml", "45d"),
    ] {
        let earlier = due(&node);
        write(&node, path, before);
        wait_until(path, || due(&node) != earlier);
    }
    // What it writes itself beside the drop-ins wakes it no more.
    std::thread::sleep(Duration::from_secs(3));
    let updated = status(&node).updated;
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(status(&node).updated, updated);
    daemon.stop();
}

#[test]
fn the_configuration_that_was_named_is_watched() {
    let node = Node::fresh();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("named.toml");
    std::fs::write(&file, "[renewal]\nbefore = \"20d\"\n").unwrap();
    let mut daemon = Daemon::start_as(&node, LONG, &["--config", file.to_str().unwrap()]);
    daemon.expect("STATUS=Next: ");
    std::thread::sleep(Duration::from_secs(3));
    let earlier = due(&node);
    std::fs::write(&file, "[renewal]\nbefore = \"30d\"\n").unwrap();
    wait_until("the change", || due(&node) != earlier);
    daemon.stop();
}

#[test]
fn a_mistake_is_shown_as_long_as_it_is_there_and_logged_once() {
    let node = Node::fresh();
    node.configure("[renewal]\nbefore = \"20d\"\n");
    let mut daemon = Daemon::start_with(&node, LONG);
    daemon.expect("STATUS=Next: ");
    node.configure("[renewal]\nbefor = \"40d\"\n");
    let said = daemon.expect("kubecertd.toml:2");
    assert!(said.contains("STATUS=Next: "), "{said}");
    let shown = |node: &Node| {
        let problems = status(node).problems;
        problems.iter().any(|one| one.contains("kubecertd.toml:2"))
    };
    assert!(shown(&node));
    for round in ["one", "two"] {
        let updated = status(&node).updated;
        std::fs::write(node.path("/etc/kubernetes/touched"), round).unwrap();
        wait_until("another look", || status(&node).updated != updated);
        assert!(shown(&node));
    }
    node.configure("[renewal]\nbefore = \"20d\"\n");
    wait_until("the end of the mistake", || !shown(&node));
    let log = daemon.stop();
    assert_eq!(log.matches("kubecertd.toml:2").count(), 1, "{log}");
}

#[test]
fn another_log_level_takes_effect_at_once_unless_one_was_given_by_hand() {
    for (arguments, quiet) in [(&[][..], true), (&["--log-level", "info"][..], false)] {
        let node = Node::fresh();
        let mut daemon = Daemon::start_as(&node, LONG, arguments);
        daemon.expect("READY=1");
        node.configure("[log]\nlevel = \"error\"\n");
        daemon.signal(Signal::SIGHUP);
        daemon.expect("RELOADING=1");
        daemon.expect("READY=1");
        let log = daemon.stop();
        assert!(log.contains("watches"), "{log}");
        assert_eq!(!log.contains("asked to stop"), quiet, "{log}");
    }
}

#[test]
fn a_log_level_that_is_none_is_an_error_of_usage() {
    let node = Node::fresh();
    for (level, told) in [("verbose", "not one of error, warn"), ("inof", "\"info\"")] {
        let given = node.run(&["--log-level", level, "plan"]);
        let mut command = node.command();
        let inherited = command.env("KUBECERTD_LOG", level).arg("plan").output();
        for output in [given, inherited.unwrap()] {
            assert_eq!(output.status.code(), Some(2));
            let error = text(&output.stderr);
            assert!(error.contains(told), "{error}");
        }
    }
    let filter = "info,kubecertd::restart=debug";
    let output = node.run(&["--log-level", filter, "plan"]);
    assert!(output.status.success());
}

#[test]
fn the_last_operation_outlives_the_daemon() {
    let node = Node::due();
    assert!(node.run(&["run", "--once"]).status.success());
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Next: ");
    let last = status(&node).last_operation.unwrap();
    assert!(
        last.summary.starts_with("renewed 11 certificates"),
        "{last:?}"
    );
    daemon.stop();
}

#[test]
fn what_is_odd_in_the_configuration_is_in_log_and_status_until_it_is_gone() {
    let node = Node::fresh();
    node.configure("[renewal]\nbefore = \"300d\"\n[log]\nformat = \"text\"\n");
    let noted = |node: &Node| {
        let problems = status(node).problems;
        let odd = |problem: &&String| problem.contains("kubecertd.toml:2:");
        problems.iter().find(odd).cloned().unwrap_or_default()
    };
    let mut daemon = Daemon::start_with(&node, LONG);
    daemon.expect("STATUS=Next: ");
    assert!(noted(&node).contains("renewed \"121d16h\" before their end"));
    node.configure("[paths]\nkubelet-certificates = \"/srv/none\"\n[log]\nformat = \"text\"\n");
    wait_until("the other warning", || noted(&node).contains("/srv/none"));
    node.configure("[renewal]\nbefore = \"20d\"\n");
    wait_until("the end of it", || noted(&node).is_empty());
    let log = daemon.stop();
    assert_eq!(log.matches("more than a third of").count(), 1, "{log}");
}

#[test]
fn a_name_that_the_node_does_not_have_is_said_by_the_check_and_in_the_status() {
    let node = Node::fresh();
    node.configure(
        "[certificate.\"admn.conf\"]\nskip = true\n[certificate.\"admin.conf\"]\nbefore = \"9d\"\n",
    );
    let expected = "kubecertd.toml:1:14: [certificate.\"admn.conf\"]: no certificate of this node is called \
                    \"admn.conf\", so this has no effect; did you mean \"admin.conf\"?";
    let checked = node.run(&["config", "check"]);
    assert!(checked.status.success());
    let warned = text(&checked.stderr);
    assert!(warned.contains(expected), "{warned}");
    let mut daemon = Daemon::start_with(&node, LONG);
    daemon.expect("STATUS=Next: ");
    let problems = status(&node).problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.ends_with(expected) || problem.contains(expected)),
        "{problems:?}"
    );
    node.configure("[certificate.\"admin.conf\"]\nbefore = \"9d\"\n");
    wait_until("the warning's end", || status(&node).problems.is_empty());
}
