//! `kubecertd check-expiration` on a made-up node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod common;

use common::{ELEVEN, Node, text};

#[test]
fn the_table_has_kubeadms_columns_and_all_rows() {
    let node = Node::fresh();
    let output = node.run(&["check-expiration"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.starts_with("CERTIFICATE                EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   EXTERNALLY MANAGED\n"),
        "{table}"
    );
    for name in ELEVEN {
        assert!(
            table.lines().any(|line| line.starts_with(name)),
            "{name} in:\n{table}"
        );
    }
    assert!(
        table.contains("\n\nCERTIFICATE AUTHORITY   EXPIRES"),
        "{table}"
    );
}

#[test]
fn json_is_read_by_scripts_made_for_kubeadm() {
    let node = Node::fresh();
    let output = node.run(&["check-expiration", "-o", "json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["kind"], "CertificateExpirationInfo");
    assert_eq!(value["apiVersion"], "output.kubeadm.k8s.io/v1alpha3");
    assert_eq!(value["certificates"].as_array().unwrap().len(), 11);
    assert_eq!(value["certificateAuthorities"].as_array().unwrap().len(), 3);
}

#[test]
fn the_exit_code_tells_whether_something_ends_within_a_time() {
    let node = Node::due();
    let code = |arguments: &[&str]| {
        let mut all = vec!["check-expiration", "--within"];
        all.extend(arguments);
        node.run(&all).status.code()
    };
    assert_eq!(code(&["10d"]), Some(0));
    assert_eq!(code(&["30d"]), Some(1));
    std::fs::write(node.path("/etc/kubernetes/pki/apiserver.crt"), b"damaged").unwrap();
    assert_eq!(code(&["30d"]), Some(2));
}

#[test]
fn whatever_else_is_wrong_is_no_answer_to_whether_something_ends() {
    let code = |node: &Node| {
        let output = node.run(&["check-expiration", "--within", "10d"]);
        (output.status.code(), text(&output.stderr))
    };
    let key = Node::fresh();
    std::fs::write(key.path("/etc/kubernetes/pki/apiserver.key"), b"damaged").unwrap();
    let manifest = Node::fresh();
    let path = manifest.path("/etc/kubernetes/manifests/etcd.yaml");
    std::fs::write(path, b"kind: X").unwrap();
    let directory = Node::fresh();
    std::fs::remove_dir_all(directory.path("/etc/kubernetes/manifests")).unwrap();
    for (node, why) in [
        (&key, "pki/apiserver.key: holds no PEM block"),
        (&manifest, "manifests/etcd.yaml: not a Pod"),
        (&directory, "the manifest directory does not exist"),
    ] {
        let (code, told) = code(node);
        assert_eq!(code, Some(2), "{told}");
        assert_eq!(told.matches(why).count(), 1, "{told}");
    }
    let configuration = Node::fresh();
    configuration.configure("[renewal]\nbefor = \"30d\"\n");
    assert_eq!(code(&configuration).0, Some(2));
    // What is unreadable is said once.
    let certificate = Node::fresh();
    std::fs::write(certificate.path("/etc/kubernetes/pki/apiserver.crt"), b"").unwrap();
    let told = code(&certificate).1;
    assert_eq!(told.matches("is empty").count(), 1, "{told}");
}

#[test]
fn nobody_reading_the_table_changes_nothing_about_the_answer() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Node::due()
        .command()
        .args(["check-expiration", "--within", "30d"])
        .stdout(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn one_unreadable_file_is_one_row_with_a_reason() {
    let node = Node::fresh();
    std::fs::write(node.path("/etc/kubernetes/pki/apiserver.crt"), b"damaged").unwrap();
    let table = text(&node.run(&["check-expiration"]).stdout);
    assert!(table.contains("!UNREADABLE! apiserver"), "{table}");
    assert!(table.contains("pki/apiserver.crt"), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("etcd-server")),
        "{table}"
    );
}

#[test]
fn another_certificates_directory_is_found_through_the_manifests() {
    let node = Node::fresh();
    std::fs::create_dir_all(node.path("/srv")).unwrap();
    std::fs::rename(node.path("/etc/kubernetes/pki"), node.path("/srv/pki")).unwrap();
    for name in std::fs::read_dir(node.path("/etc/kubernetes/manifests")).unwrap() {
        let path = name.unwrap().path();
        let manifest = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, manifest.replace("/etc/kubernetes/pki", "/srv/pki")).unwrap();
    }
    let table = text(&node.run(&["check-expiration"]).stdout);
    assert!(!table.contains("!MISSING! apiserver"), "{table}");
}

#[test]
fn all_adds_the_kubelets_certificates() {
    let node = Node::fresh();
    let table = text(&node.run(&["check-expiration", "--all"]).stdout);
    assert!(table.contains("kubelet-client-current.pem"), "{table}");
    assert!(table.contains("kubelet.conf"), "{table}");
}

#[test]
fn a_certificate_without_an_end_shows_the_date_that_it_has() {
    // Beyond 2049 the date is a GeneralizedTime, which has room for the year 9999.
    let days = |days: i64| jiff::SignedDuration::from_hours(24 * days);
    let node = Node::new(days(-365 * 15), days(365 * 24 + 200));
    let path = node.path("/etc/kubernetes/pki/apiserver.crt");
    let mut der = pem::parse(std::fs::read(&path).unwrap())
        .unwrap()
        .into_contents();
    let end = node.certificate("apiserver").not_after;
    let end = end.strftime("%Y%m%d%H%M%SZ").to_string();
    let place = der
        .windows(end.len())
        .position(|window| window == end.as_bytes())
        .unwrap();
    der[place..place + end.len()].copy_from_slice(b"99991231235959Z");
    std::fs::write(&path, pem::encode(&pem::Pem::new("CERTIFICATE", der))).unwrap();

    let table = text(&node.run(&["check-expiration"]).stdout);
    assert!(table.contains("Dec 31, 9999 23:59 UTC"), "{table}");
    let json = text(&node.run(&["check-expiration", "-o", "json"]).stdout);
    assert!(json.contains("\"9999-12-31T23:59:59Z\""), "{json}");
    let plan = text(&node.run(&["plan", "-o", "json"]).stdout);
    assert!(plan.contains("\"9999-12-31T23:59:59Z\""), "{plan}");
    assert!(!(table + &json + &plan).contains("9999-12-30"));
}
