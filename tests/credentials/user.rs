//! `kubecertd kubeconfig`

use jiff::{SignedDuration, Timestamp};
use kubecertd::node::{Credential, Kubeconfig};
use kubecertd::pki::{Certificate, certificates_from_pem};
use testkit::{Node, text};

use crate::place::{CONFIG, Place};

fn certificate(kubeconfig: &str) -> Certificate {
    let Credential::Embedded(pem) = Kubeconfig::parse(kubeconfig).unwrap().certificate else {
        panic!("{kubeconfig}")
    };
    certificates_from_pem(&pem).unwrap().remove(0)
}

#[test]
fn the_pages_examples() {
    let place = Place::with_authorities();
    place.write(
        "/example.yaml",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: \"kubernetes\"\n\
         controlPlaneEndpoint: \"some-dns-address:6443\"\ncertificatesDir: \"/etc/kubernetes/pki\"\n",
    );
    let printed = place.succeed(&[
        "kubeconfig",
        "user",
        "--config",
        "/example.yaml",
        "--client-name",
        "x",
        "--validity-period",
        "1h",
    ]);
    assert_eq!(
        Kubeconfig::parse(&printed).unwrap().server,
        "https://some-dns-address:6443"
    );
    let printed = place.succeed(&[
        "kubeconfig",
        "user",
        "--config",
        CONFIG,
        "--org",
        "appdevs",
        "--client-name",
        "johndoe",
        "--validity-period",
        "24h",
    ]);
    let read = Kubeconfig::parse(&printed).unwrap();
    assert_eq!(
        (
            read.server.as_str(),
            read.cluster.as_str(),
            read.user.as_str()
        ),
        ("https://api.example.net:8443", "prod", "johndoe")
    );
    assert_eq!(
        read.certificate_authority.unwrap(),
        place.read("/etc/kubernetes/pki/ca.crt").as_bytes()
    );
    let issued = certificate(&printed);
    assert_eq!(issued.subject, "O=appdevs, CN=johndoe");
    assert_eq!(issued.extended_key_usage, ["1.3.6.1.5.5.7.3.2"]);
    assert!(issued.is_signed_by(&place.certificate("pki/ca")));
    let output = place.run(&[
        "kubeconfig",
        "user",
        "--config",
        CONFIG,
        "--client-name",
        "johndoe",
        "--org",
        "appdevs",
    ]);
    assert_eq!(text(&output.stderr), "");
    let day = Timestamp::now() + SignedDuration::from_hours(24);
    assert!(issued.not_after.duration_since(day).abs() < SignedDuration::from_secs(60));

    let printed = place.succeed(&[
        "kubeconfig",
        "user",
        "--config",
        CONFIG,
        "--client-name",
        "admin",
        "--validity-period",
        "168h",
    ]);
    assert_eq!(certificate(&printed).subject, "CN=admin");

    let list = place.succeed(&["kubeconfig", "list"]);
    assert!(list.contains("johndoe (appdevs): until "), "{list}");
    assert!(
        list.contains(&format!("serial {}", issued.serial)),
        "{list}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&place.succeed(&["kubeconfig", "list", "-o", "json"])).unwrap();
    assert_eq!(json[1]["clientName"], "johndoe");
    assert_eq!(json[1]["serial"], issued.serial);
    assert_eq!(json[3]["clientName"], "admin");
    assert!(
        json[1]["by"]["command"]
            .as_array()
            .unwrap()
            .iter()
            .any(|word| word == "johndoe")
    );
}

#[test]
fn without_a_configuration_it_is_the_nodes_own_cluster() {
    let node = Node::fresh();
    let output = node.run(&[
        "kubeconfig",
        "user",
        "--client-name",
        "kubecertd",
        "--org",
        "kubecertd:nodes",
        "--file",
        "/etc/kubecertd/kubeconfig",
    ]);
    assert_eq!(output.status.code(), Some(1), "its directory is missing");
    node.configure("");
    let output = node.run(&[
        "kubeconfig",
        "user",
        "--client-name",
        "kubecertd",
        "--org",
        "kubecertd:nodes",
        "--file",
        "/etc/kubecertd/kubeconfig",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let admin = Kubeconfig::parse(node.read("/etc/kubernetes/admin.conf")).unwrap();
    let written = node.read("/etc/kubecertd/kubeconfig");
    let read = Kubeconfig::parse(&written).unwrap();
    assert_eq!((read.server, read.cluster), (admin.server, admin.cluster));
    assert_eq!(read.certificate_authority, admin.certificate_authority);
    let issued = certificate(&written);
    assert_eq!(issued.subject, "O=kubecertd:nodes, CN=kubecertd");
    assert_eq!(
        node.entries("/etc/kubecertd")["/etc/kubecertd/kubeconfig"].mode,
        0o600
    );
    // A second one does not take its place.
    let output = node.run(&[
        "kubeconfig",
        "user",
        "--client-name",
        "x",
        "--file",
        "/etc/kubecertd/kubeconfig",
    ]);
    assert!(text(&output.stderr).contains("already there: /etc/kubecertd/kubeconfig"));
    assert_eq!(node.read("/etc/kubecertd/kubeconfig"), written);
    let list = text(&node.run(&["kubeconfig", "list"]).stdout);
    assert!(
        list.contains("kubecertd (kubecertd:nodes)")
            && list.contains("to /etc/kubecertd/kubeconfig"),
        "{list}"
    );
    assert!(!list.contains("x:"), "{list}");
}

#[test]
fn masters_only_where_they_are_meant() {
    let place = Place::with_authorities();
    let wanted = [
        "kubeconfig",
        "user",
        "--config",
        CONFIG,
        "--client-name",
        "a",
        "--org",
        "system:masters",
    ];
    let error = place.fail(&wanted);
    assert!(
        error.contains("give --allow-system-masters as well"),
        "{error}"
    );
    let output = place.run(&[&wanted[..], &["--allow-system-masters"]].concat());
    assert!(output.status.success());
    assert!(
        text(&output.stderr).contains("warning: a belongs to system:masters"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(
        certificate(&text(&output.stdout)).organizations,
        ["system:masters"]
    );
}

#[test]
fn a_token_needs_no_key_of_the_authority_and_is_in_no_record() {
    let place = Place::with_authorities();
    place.remove("/etc/kubernetes/pki/ca.key");
    let printed = place.succeed(&[
        "kubeconfig",
        "user",
        "--config",
        CONFIG,
        "--client-name",
        "a",
        "--token",
        "12e3",
    ]);
    assert!(printed.contains("token: \"12e3\"\n"), "{printed}");
    assert!(
        place
            .succeed(&["kubeconfig", "list"])
            .contains("No certificate of a user")
    );
    let error = place.fail(&[
        "kubeconfig",
        "user",
        "--config",
        CONFIG,
        "--client-name",
        "a",
    ]);
    assert!(
        error.contains("/etc/kubernetes/pki/ca.key: is not there"),
        "{error}"
    );
}

#[test]
fn nothing_is_issued_that_is_not_recorded() {
    let place = Place::with_authorities();
    place.write(
        "/var/lib/kubecertd/issued.jsonl/x",
        "a directory is in the way",
    );
    let output = place.run(&[
        "kubeconfig",
        "user",
        "--config",
        CONFIG,
        "--client-name",
        "a",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert!(
        text(&output.stderr).contains("nothing is issued that is not recorded"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_record_that_was_cut_short_goes_on_and_a_damaged_one_is_said() {
    let place = Place::with_authorities();
    let user = |name: &str| {
        place.succeed(&[
            "kubeconfig",
            "user",
            "--config",
            CONFIG,
            "--client-name",
            name,
        ])
    };
    user("first");
    let record = "/var/lib/kubecertd/issued.jsonl";
    place.write(record, place.read(record) + "{\"clientName\":\"to");
    user("second");
    let list = place.succeed(&["kubeconfig", "list"]);
    assert!(
        list.contains("first: until") && list.contains("second: until"),
        "{list}"
    );
    place.write(record, "x\n".to_owned() + &place.read(record));
    let error = place.fail(&["kubeconfig", "list"]);
    assert!(
        error.contains("issued.jsonl: line 1 cannot be read"),
        "{error}"
    );
}

#[test]
fn odd_names_are_refused() {
    let place = Place::with_authorities();
    for (name, said) in [
        ("", "say who it is for"),
        ("a\nb", "control characters"),
        (&"x".repeat(65), "longer than 64 letters"),
    ] {
        let error = place.fail(&[
            "kubeconfig",
            "user",
            "--config",
            CONFIG,
            "--client-name",
            name,
        ]);
        assert!(error.contains(said), "{error}");
    }
    let error = place.fail(&["kubeconfig", "user", "--client-name", "a"]);
    assert!(
        error.contains("there is no /etc/kubernetes/admin.conf"),
        "{error}"
    );
}
