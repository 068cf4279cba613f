//! What an administrator says of when the daemon may act: `kubecertd hold`, and maintenance windows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use kubecertd::report::{State, read_status};
use testkit::daemon::{Daemon, wait_until};
use testkit::{Node, said, text};

const LONG: Duration = Duration::from_secs(3600);
const HOLD: &str = "/var/lib/kubecertd/journal/hold.json";

#[test]
fn a_hold_keeps_the_daemon_from_renewing_until_it_is_lifted() {
    let node = Node::due();
    node.configure("[renewal]\nwindow-override = \"1h\"\n");
    let old = node.serial("apiserver");
    let output = node.run(&["hold", "moving\nhouse"]);
    assert!(!output.status.success(), "{}", said(&output));
    let output = node.run(&["hold", "moving house", "--until", "2020-01-01"]);
    assert!(!output.status.success(), "{}", said(&output));
    let output = node.run(&["hold", "moving house"]);
    assert!(output.status.success(), "{}", said(&output));
    let mode = std::fs::metadata(node.path(HOLD)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o600);
    let preflight = node.run(&["preflight"]);
    assert_eq!(preflight.status.code(), Some(1), "{}", said(&preflight));
    for command in ["plan", "preflight"] {
        let output = node.run(&[command]);
        assert!(
            text(&output.stdout).contains("moving house"),
            "{command}: {}",
            said(&output)
        );
    }
    let mut daemon = Daemon::start_with(&node, LONG);
    daemon.expect("STATUS=Waiting: on hold since");
    let status = read_status(&node.root).unwrap();
    assert_eq!(status.state, State::OnHold);
    assert!(
        status
            .problems
            .iter()
            .any(|one| one.contains("moving house")),
        "{status:?}"
    );
    assert_eq!(node.serial("apiserver"), old);
    // Noticed at once, since the daemon watches the directory.
    let output = node.run(&["unhold"]);
    assert!(
        text(&output.stdout).contains("acts by itself again"),
        "{}",
        said(&output)
    );
    wait_until("the renewal", || node.serial("apiserver") != old);
    assert!(text(&node.run(&["unhold"]).stdout).contains("There was no hold"));
}

#[test]
fn what_another_user_may_have_written_holds_nothing() {
    let node = Node::due();
    assert!(node.run(&["hold", "moving house"]).status.success());
    let path = node.path(HOLD);
    let right = std::fs::read(&path).unwrap();
    let writable = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&path, writable).unwrap();
    let preflight = || text(&node.run(&["preflight"]).stdout);
    let found = preflight();
    assert!(
        found.contains("another user may have written it"),
        "{found}"
    );
    assert!(!found.contains("moving house"), "{found}");
    for content in [b"{".to_vec(), vec![b' '; 1 << 20]] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let found = preflight();
        assert!(found.contains("hold.json: "), "{found}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::write(node.path("/hold.json"), right).unwrap();
    std::os::unix::fs::symlink(node.path("/hold.json"), &path).unwrap();
    assert!(!preflight().contains("moving house"));
}

#[test]
fn outside_the_windows_the_daemon_waits_and_a_command_does_not() {
    let node = Node::due();
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let tomorrow = now.date().tomorrow().unwrap().tomorrow().unwrap();
    let day = tomorrow.strftime("%a").to_string().to_lowercase();
    node.configure(&format!(
        "[renewal]\nwindow-override = \"1h\"\n[window.night]\ndays = [\"{day}\"]\nstart = \"02:00\"\nlength = \"3h\"\n"
    ));
    let plan = text(&node.run(&["plan"]).stdout);
    assert!(plan.contains("\nWindow: night, from "), "{plan}");
    let old = node.serial("apiserver");
    let mut daemon = Daemon::start_with(&node, LONG);
    daemon.expect("STATUS=Waiting: outside the maintenance windows");
    let status = read_status(&node.root).unwrap();
    assert_eq!(status.state, State::WaitingForWindow);
    assert_eq!(node.serial("apiserver"), old);
    let output = node.run(&["renew", "all"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_ne!(node.serial("apiserver"), old);
}
