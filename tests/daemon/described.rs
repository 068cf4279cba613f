//! Certificates that are not kubeadm's, as the daemon watches them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::Validity;
use kubecertd::report::read_status;
use testkit::daemon::{Daemon, wait_until};
use testkit::others::{HAPROXY, HAPROXY_TABLE, put, server_leaf};
use testkit::pair::Pair;
use testkit::{Node, first_certificate};

#[test]
fn what_comes_in_its_place_is_noticed_and_renewed() {
    let node = Node::fresh();
    let (now, days) = (Timestamp::now(), |days: i64| {
        SignedDuration::from_hours(24 * days)
    });
    node.haproxy_of(Validity {
        not_before: now - days(10),
        not_after: now + days(300),
    });
    node.configure(HAPROXY_TABLE);
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Next: ");
    let status = read_status(&node.root).unwrap();
    assert!(status.certificates.iter().any(|one| one.name == "haproxy"));
    // Due however new its file is.
    let validity = Validity {
        not_before: now - days(28),
        not_after: now + days(2),
    };
    let pair = Pair::sign(&server_leaf(), &node.ca, validity);
    put(&node, HAPROXY, &pair);
    wait_until("the renewal", || {
        first_certificate(&node.path(HAPROXY.0)).serial != pair.certificate.serial
    });
    let log = daemon.stop();
    assert!(log.contains("haproxy renewed"), "{log}");
}

#[test]
fn what_a_pattern_matches_later_is_noticed_and_renewed() {
    let node = Node::fresh();
    let place = ("/etc/edge/a.crt", "/etc/edge/a.key");
    node.configure(
        "[certificate.edge]\nfile = \"/etc/edge/*.crt\"\nkey = \"/etc/edge/*.key\"\nissuer = \"ca\"\n",
    );
    std::fs::create_dir_all(node.path("/etc/edge")).unwrap();
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Next: ");
    let (now, days) = (Timestamp::now(), |days: i64| {
        SignedDuration::from_hours(24 * days)
    });
    let validity = Validity {
        not_before: now - days(28),
        not_after: now + days(2),
    };
    let pair = Pair::sign(&server_leaf(), &node.ca, validity);
    put(&node, place, &pair);
    wait_until("the renewal", || {
        first_certificate(&node.path(place.0)).serial != pair.certificate.serial
    });
    let log = daemon.stop();
    assert!(log.contains("edge/a renewed"), "{log}");
}
