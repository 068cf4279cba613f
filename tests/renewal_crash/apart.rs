//! What has to hold after a fault in an operation that restarts no pod of kubeadm's.

use std::collections::BTreeSet;

use kubecertd::journal::Outcome;
use testkit::injection::{End, Run};
use testkit::machine::Machine;

use crate::check::{After, history, is_in_flight, text};
use crate::course::{Course, EXPORTER, KUBELET_PKI, everything};

/// Recovers, and looks at every file: those that belong together are all new or all old, and the history says which.
pub(crate) fn check_apart(node: &Machine, course: &Course, run: &Run, place: &str) -> After {
    let context = |what: &str| format!("{place}: {what}\n{}", run.printed);
    let recovered = node.run(&["recover"]);
    let said = text(&recovered);
    // Nobody can be asked about the exporter's, which is said each time.
    let is_unproved = *course == Course::Described && said.contains("not proved: exporter: ");
    assert!(
        recovered.status.success() || (is_unproved && recovered.status.code() == Some(1)),
        "{}",
        context(&said)
    );
    assert!(!is_in_flight(node), "{}", context(&said));
    for printed in [&said, &run.printed] {
        assert!(!printed.contains("PRIVATE KEY"), "{place}");
    }
    let changed = changed(node, place);
    let is_new = !changed.is_empty();
    assert!(
        !is_new || changed == belonging_together(course),
        "{changed:?}: {}",
        context(&said)
    );
    let may_be_new = match run.end {
        End::Overcame | End::Unharmed => is_new,
        // Such a run shows nothing and is tried again.
        End::Beside => false,
        End::Killed | End::Refused => true,
    };
    assert!(may_be_new, "{}", context(&said));
    assert!(node.control_plane.down().is_empty(), "{}", context(&said));
    let receipts = history(node, &context(&said));
    let is_told = match receipts.as_slice() {
        [] => !is_new,
        [one] if is_new => one.outcome == Outcome::Done,
        [one] => matches!(one.outcome, Outcome::RolledBack(_)),
        _ => false,
    };
    assert!(
        is_told || run.end != End::Killed,
        "{receipts:?}: {}",
        context(&said)
    );
    if is_new { After::New } else { After::Old }
}

/// The paths whose contents are others, or that came anew; nothing went away, and modes and owners are as they were.
fn changed(node: &Machine, place: &str) -> BTreeSet<String> {
    let mut now = everything(node);
    now.retain(|path, _| !path.contains("/.kubecertd/") && !path.ends_with("/.kubecertd"));
    for (path, before) in &node.before {
        let Some(entry) = now.get(path) else {
            panic!("{place}: {path} is gone");
        };
        // A file with a key is not readable by all once it was made anew.
        let may_be = [before.mode, before.mode & 0o640];
        assert!(
            entry.owner == before.owner && may_be.contains(&entry.mode),
            "{place}: {path}: {:o} became {:o}",
            before.mode,
            entry.mode
        );
    }
    now.into_iter()
        .filter(|(path, entry)| {
            let before = node.before.get(path);
            before.is_none_or(|before| before.contents != entry.contents)
        })
        .map(|(path, _)| undated(path))
        .collect()
}

/// The name of the kubelet's file says when it was made.
fn undated(path: String) -> String {
    let dated = format!("{KUBELET_PKI}/kubelet-client-20");
    if path.starts_with(&dated) {
        format!("{KUBELET_PKI}/kubelet-client-*.pem")
    } else {
        path
    }
}

fn belonging_together(course: &Course) -> BTreeSet<String> {
    let below = |directory: &str, names: &[&str]| {
        let paths = names.iter().map(|name| format!("{directory}/{name}"));
        paths.collect::<BTreeSet<String>>()
    };
    match course {
        Course::Repair => below(
            KUBELET_PKI,
            &["kubelet-client-current.pem", "kubelet-client-*.pem"],
        ),
        Course::Extend => below(
            "/etc/kubernetes",
            &[
                "pki/ca.crt",
                "pki/etcd/ca.crt",
                "pki/front-proxy-ca.crt",
                "admin.conf",
                "super-admin.conf",
                "controller-manager.conf",
                "scheduler.conf",
            ],
        ),
        Course::Described => below(EXPORTER, &["client.crt", "client.key"]),
        other => unreachable!("{other:?} restarts pods"),
    }
}
