//! Copies of admin.conf are renewed with it: those that the record knows, wherever they may lie, and nothing else in them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use jiff::SignedDuration;
use kubecertd::config::Config;
use kubecertd::node::{Credential, Kubeconfig};
use kubecertd::operation::{Context, Event, catch_up_copies};
use testkit::{Node, said, skipped, text};

pub(crate) const ROOTS: &str = "/root/.kube/config";
pub(crate) const ALICES: &str = "/home/alice/.kube/config";
pub(crate) const ADMIN: &str = "/etc/kubernetes/admin.conf";
const SUPER_ADMIN: &str = "/etc/kubernetes/super-admin.conf";
pub(crate) const ALICE: u32 = 12_345;

/// A node with root and alice, both with a home.
pub(crate) fn with_users(node: Node) -> Node {
    node.write(
        "/etc/passwd",
        format!(
            "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
             alice:x:{ALICE}:{ALICE}:Alice:/home/alice:/bin/bash\n"
        ),
    );
    for home in ["/root", "/home/alice"] {
        fs::create_dir_all(node.path(home).join(".kube")).unwrap();
    }
    node
}

/// Copies are somebody's: without root there is only one user.
pub(crate) fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skipped("files of several users need root");
    }
    is_root
}

/// Puts a file into alice's home, as hers.
pub(crate) fn give_to_alice(node: &Node, path: &str, contents: impl AsRef<[u8]>) {
    let path = node.write(path, contents);
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    for directory in path.ancestors().skip(1) {
        if directory.ends_with("home") {
            break;
        }
        chown(directory, Some(ALICE), Some(ALICE)).unwrap();
    }
}

pub(crate) fn discover(node: &Node, discover: &str) {
    node.configure(&format!("[admin-copies]\ndiscover = \"{discover}\"\n"));
}

pub(crate) fn succeeds(node: &Node, arguments: &[&str]) -> String {
    let output = node.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// Certificate and key of a kubeconfig's current context, in base64.
fn credentials(kubeconfig: &str) -> [String; 2] {
    use base64::Engine as _;
    let read = Kubeconfig::parse(kubeconfig).unwrap();
    [read.certificate, read.key].map(|one| match one {
        Credential::Embedded(pem) => base64::engine::general_purpose::STANDARD.encode(&*pem),
        Credential::File(path) => panic!("{}", path.display()),
    })
}

fn last_receipt(node: &Node) -> serde_json::Value {
    let output = node.run(&["history", "-o", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    all.as_array().unwrap().last().unwrap().clone()
}

/// Not one other byte changes, and back again.
#[test]
fn a_copy_of_roots_goes_with_its_original_and_back() {
    let node = with_users(Node::due());
    let original = node.read(ADMIN);
    let [certificate, key] = credentials(&original);
    let copy = original.replace(
        "users:\n",
        &format!(
            "# mine\nusers:\n- name: again  # by hand\n  user: {{client-certificate-data: {certificate}, \
             client-key-data: '{key}'}}\n- name: other\n  user:\n    token: \"secret\"\n"
        ),
    );
    assert_ne!(copy, original);
    let path = node.write(ROOTS, &copy);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();

    let planned = succeeds(&node, &["plan"]);
    assert!(
        planned.contains("admin.conf: its copy /root/.kube/config is renewed with it"),
        "{planned}"
    );
    let listed = succeeds(&node, &["check-expiration", "--all"]);
    assert!(
        listed.contains("COPY") && listed.contains(ROOTS),
        "{listed}"
    );
    let kubeadms = succeeds(&node, &["check-expiration"]);
    assert!(!kubeadms.contains(ROOTS), "{kubeadms}");

    let told = succeeds(&node, &["renew", "all"]);
    assert!(
        told.contains("/root/.kube/config: the copy of admin.conf"),
        "{told}"
    );
    let new = credentials(&node.read(ADMIN));
    let quoted = |text: &str| format!("\"{text}\"");
    let wanted = copy
        .replace(&format!("'{key}'"), &key)
        .replace(&certificate, &quoted(&new[0]))
        .replace(&key, &quoted(&new[1]));
    assert_ne!(certificate, new[0]);
    assert_eq!(node.read(ROOTS), wanted);
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640);
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let receipt = last_receipt(&node);
    assert_eq!(receipt["copies"], serde_json::json!([ROOTS]));
    let shown = succeeds(&node, &["history", "show", receipt["id"].as_str().unwrap()]);
    assert!(shown.contains(ROOTS), "{shown}");

    succeeds(&node, &["rollback", "last"]);
    assert_eq!(node.read(ADMIN), original);
    let back = credentials(&node.read(ROOTS));
    assert_eq!(back, [certificate, key]);
    succeeds(&node, &["history", "verify"]);
}

#[test]
fn every_named_file_and_what_is_copied_of_super_admin_follows() {
    let node = with_users(Node::due());
    node.configure(
        "[admin-copies]\npaths = [\"/srv/ci/admin\", \"/srv/none\"]\ndiscover = \"none\"\n",
    );
    node.write("/srv/ci/admin", node.read(SUPER_ADMIN));
    node.write(ROOTS, node.read(ADMIN));
    let before = node.read(ROOTS);
    succeeds(&node, &["renew", "all"]);
    assert_eq!(node.read(ROOTS), before, "discovery is off");
    assert_eq!(
        credentials(&node.read("/srv/ci/admin")),
        credentials(&node.read(SUPER_ADMIN))
    );
    assert!(!node.path("/srv/none").exists(), "none is made");
    assert!(!node.path(ALICES).exists());
}

#[test]
fn users_copies_are_renewed_where_that_is_wanted_and_stay_theirs() {
    if !is_root() {
        return;
    }
    let node = with_users(Node::due());
    give_to_alice(&node, ALICES, node.read(ADMIN));
    let before = node.read(ALICES);
    succeeds(&node, &["renew", "admin.conf"]);
    assert_eq!(node.read(ALICES), before, "only root's by default");
    let listed = succeeds(&node, &["check-expiration", "--all"]);
    assert!(!listed.contains(ALICES), "{listed}");
    discover(&node, "users");
    let listed = succeeds(&node, &["check-expiration", "--all"]);
    let row = listed.lines().find(|line| line.contains(ALICES)).unwrap();
    assert!(row.ends_with("stale"), "{row}");
    let planned = succeeds(&node, &["plan"]);
    assert!(
        planned.contains("brought up to date by the daemon's next look"),
        "{planned}"
    );
    // Nothing is due for admin.conf: what an earlier renewal did not reach is found by its certificate.
    succeeds(&node, &["run", "--once"]);
    assert_eq!(
        credentials(&node.read(ALICES)),
        credentials(&node.read(ADMIN))
    );
    let found = node.path(ALICES).metadata().unwrap();
    assert_eq!(
        (found.uid(), found.gid(), found.mode() & 0o7777),
        (ALICE, ALICE, 0o600)
    );
}

/// As from inside the unit.
#[test]
fn homes_that_are_hidden_are_said() {
    let node = with_users(Node::fresh());
    discover(&node, "users");
    node.remove("/home");
    succeeds(&node, &["run", "--once"]);
    let status = node.read("/run/kubecertd/status.json");
    assert!(status.contains("homes-hidden"), "{status}");
    discover(&node, "root");
    succeeds(&node, &["run", "--once"]);
    let status = node.read("/run/kubecertd/status.json");
    assert!(!status.contains("homes-hidden"), "{status}");
}

/// Whose access has ended gets no new one by a file that was kept; root's own file is mended.
#[test]
fn after_its_end_a_users_copy_is_not_given_what_it_had() {
    if !is_root() {
        return;
    }
    let hours = SignedDuration::from_hours;
    let node = with_users(Node::new(hours(24 * 366), hours(-24)));
    discover(&node, "users");
    give_to_alice(&node, ALICES, node.read(ADMIN));
    node.write(ROOTS, node.read(ADMIN));
    let before = node.read(ALICES);
    succeeds(&node, &["renew", "all"]);
    succeeds(&node, &["run", "--once"]);
    assert_eq!(node.read(ALICES), before);
    assert_eq!(
        credentials(&node.read(ROOTS)),
        credentials(&node.read(ADMIN))
    );
    let output = node.run(&["check-expiration", "--all", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let copies = document["copies"].as_array().unwrap();
    let of = |path: &str| copies.iter().find(|copy| copy["path"] == path).unwrap();
    assert_eq!(of(ROOTS)["state"], "current");
    assert_eq!(
        (&of(ALICES)["state"], &of(ALICES)["fault"]),
        (&"kept".into(), &"ended".into())
    );
    // A user can have such a file as long as he likes: it is nobody's trouble.
    let within = node.run(&["check-expiration", "--all", "--within", "1d"]);
    assert!(!text(&within.stderr).contains(ALICES), "{}", said(&within));
}

/// What could not be done does not fail the renewal, is in the receipt and in the status, and is done later.
#[test]
fn a_copy_that_is_in_use_is_said_and_follows_later() {
    let node = with_users(Node::due());
    node.write(ROOTS, node.read(ADMIN));
    let before = node.read(ROOTS);
    let lock = node.write("/root/.kube/config.lock", "");
    succeeds(&node, &["run", "--once"]);
    assert_eq!(node.read(ROOTS), before);
    let receipt = last_receipt(&node);
    let remark = receipt["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|remark| remark["code"] == "copy-not-updated")
        .unwrap_or_else(|| panic!("{receipt}"));
    assert_eq!(remark["fields"]["path"], ROOTS);
    assert_eq!(remark["fields"]["certificate"], "admin.conf");
    assert_eq!(remark["fields"]["fault"], "in-use");
    assert_eq!(receipt["outcome"], "done");
    let status = node.read("/run/kubecertd/status.json");
    assert!(status.contains("copy-not-updated"), "{status}");
    fs::remove_file(lock).unwrap();
    succeeds(&node, &["run", "--once"]);
    assert_eq!(
        credentials(&node.read(ROOTS)),
        credentials(&node.read(ADMIN))
    );
    let status = node.read("/run/kubecertd/status.json");
    assert!(!status.contains("copy-not-updated"), "{status}");
}

/// While an operation is cut off its old certificate may come back: copies wait for its end. Nor is anything begun by itself that an
/// administrator holds back.
#[test]
fn nothing_follows_an_operation_that_is_not_finished_or_while_on_hold() {
    let node = with_users(Node::due());
    let before = node.read(ADMIN);
    node.write(ROOTS, &before);
    let lock = node.write("/root/.kube/config.lock", "");
    succeeds(&node, &["renew", "admin.conf"]);
    fs::remove_file(lock).unwrap();
    let context = Context::new(node.root.clone(), Config::default(), None);
    let catch_up = || {
        let mut codes = Vec::new();
        let mut tell = |event: Event| codes.push(event.code());
        let left = catch_up_copies(&context, &context.observe(), &mut tell).unwrap();
        assert!(left.is_empty(), "{left:?}");
        codes
    };
    testkit::cut_off::half_committed(&node);
    assert!(catch_up().is_empty());
    succeeds(&node, &["recover"]);
    succeeds(&node, &["hold", "moving house"]);
    assert!(catch_up().is_empty());
    assert_eq!(node.read(ROOTS), before);
    succeeds(&node, &["unhold"]);
    assert_eq!(catch_up(), ["copy-updated"]);
    assert_eq!(
        credentials(&node.read(ROOTS)),
        credentials(&node.read(ADMIN))
    );
    assert!(catch_up().is_empty());
}
