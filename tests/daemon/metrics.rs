//! The file for the node exporter's textfile collector.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

use kubecertd::report::read_status;
use testkit::daemon::{Daemon, wait_until};
use testkit::{ELEVEN, Node};

const TEXTFILE: &str = "/var/lib/metrics/kubecertd.prom";

/// Series and values, read as strictly as the collector does, which throws away a file with anything wrong in it.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    let mut described = BTreeSet::new();
    let mut current = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().unwrap().to_owned();
            assert!(described.insert(name.clone()), "{line} is there twice");
            current = name;
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            assert!(matches!(kind, "gauge" | "counter"), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert_eq!(name.split('{').next().unwrap(), current, "{line}");
        let value: f64 = value.parse().unwrap();
        let twice = series.insert(name.to_owned(), value);
        assert_eq!(twice, None, "{line} is there twice");
    }
    series
}

fn configured() -> Node {
    let node = Node::fresh();
    node.configure(&format!("[metrics]\ntextfile = \"{TEXTFILE}\"\n"));
    node
}

#[test]
fn what_the_daemon_knows_is_there_for_prometheus() {
    let node = configured();
    std::fs::create_dir_all(node.path("/var/lib/metrics")).unwrap();
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Next: ");
    wait_until("the metrics", || node.path(TEXTFILE).exists());
    let mode = std::fs::metadata(node.path(TEXTFILE)).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o644);
    let series = parsed(&std::fs::read_to_string(node.path(TEXTFILE)).unwrap());
    let now = jiff::Timestamp::now().as_second() as f64;
    let checked = series["kubecertd_last_check_timestamp_seconds"];
    assert!((now - 60.0..=now).contains(&checked), "{checked}");
    assert_eq!(series["kubecertd_halted"], 0.0);
    assert_eq!(series["kubecertd_state{state=\"waiting\"}"], 1.0);
    assert_eq!(series["kubecertd_state{state=\"failing\"}"], 0.0);
    for name in ELEVEN {
        let labels = format!("{{name=\"{name}\"}}");
        let end = series[&format!("kubecertd_effective_not_after_timestamp_seconds{labels}")];
        let due = series[&format!("kubecertd_next_renewal_timestamp_seconds{labels}")];
        assert!(now < due && due < end, "{name}: {due} {end}");
    }
    // As x509-certificate-exporter has them.
    let of = |metric: &str, what: &str| -> Vec<&String> {
        let names = series.keys();
        names
            .filter(|name| name.starts_with(metric) && name.contains(what))
            .collect()
    };
    for (what, labels) in [
        (
            "filename=\"apiserver.crt\"",
            "subject_CN=\"kube-apiserver\",issuer_CN=\"kubernetes\"}",
        ),
        (
            "filename=\"admin.conf\"",
            "embedded_kind=\"user\",embedded_key=\"",
        ),
        ("filename=\"ca.crt\"", "subject_CN=\"kubernetes\""),
    ] {
        for metric in ["x509_cert_not_after{", "x509_cert_expired{"] {
            let found = of(metric, what);
            assert!(
                found.iter().any(|name| name.contains(labels)),
                "{what}: {found:?}"
            );
        }
    }
    let serial = of("x509_cert_not_after{", "filename=\"apiserver.crt\"")[0];
    let serial = serial.split("serial_number=\"").nth(1).unwrap();
    let serial = serial.split('"').next().unwrap();
    assert!(serial.bytes().all(|byte| byte.is_ascii_digit()), "{serial}");
    assert!(series.len() <= 200);
    daemon.stop();
}

#[test]
fn a_place_where_they_cannot_be_is_said_with_a_code_and_holds_nothing_up() {
    let node = configured();
    let old = node.serial("apiserver");
    let code = || {
        let status = read_status(&node.root).ok()?;
        status.findings.into_iter().next().map(|found| found.code)
    };
    let daemon = Daemon::start(&node);
    wait_until("the warning", || {
        code().as_deref() == Some("metrics-directory-missing")
    });
    // The directory's owner may put a link there, to have another directory's file replaced.
    let elsewhere = node.path("/elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::create_dir_all(node.path("/var/lib")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, node.path("/var/lib/metrics")).unwrap();
    assert!(node.run(&["renew", "apiserver"]).status.success());
    wait_until("the other warning", || {
        code().as_deref() == Some("metrics-link")
    });
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_ne!(node.serial("apiserver"), old);
    // A link in the file's own place is replaced, and what it leads to is not.
    std::fs::remove_file(node.path("/var/lib/metrics")).unwrap();
    std::fs::create_dir(node.path("/var/lib/metrics")).unwrap();
    std::fs::write(elsewhere.join("precious"), "as it was").unwrap();
    std::os::unix::fs::symlink(elsewhere.join("precious"), node.path(TEXTFILE)).unwrap();
    assert!(node.run(&["renew", "scheduler.conf"]).status.success());
    wait_until("the metrics", || {
        code().is_none() && node.path(TEXTFILE).is_file()
    });
    let kept = std::fs::read_to_string(elsewhere.join("precious")).unwrap();
    assert_eq!(kept, "as it was");
    parsed(&std::fs::read_to_string(node.path(TEXTFILE)).unwrap());
    let log = daemon.stop();
    let told = log.matches("the metrics are out of date").count();
    assert_eq!(told, 2, "{log}");
}
