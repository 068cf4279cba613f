//! The names that server certificates are called for, and putting them in on request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use kubecertd::pki::SubjectAltName;
use testkit::{Node, said};

use crate::admin_copies::succeeds;

const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const ETCD: &str = "/etc/kubernetes/manifests/etcd.yaml";

fn names(node: &Node, certificate: &str) -> Vec<String> {
    let certificate = node.certificate(certificate);
    let names = certificate.subject_alt_names.iter();
    names.map(SubjectAltName::to_string).collect()
}

fn plan(node: &Node) -> serde_json::Value {
    serde_json::from_slice(&node.run(&["plan", "-o", "json"]).stdout).unwrap()
}

/// The names of the note that a certificate lacks some.
fn noted(node: &Node, certificate: &str) -> Vec<String> {
    let plan = plan(node);
    let mut all = plan["certificates"].as_array().unwrap().iter();
    let item = all.find(|item| item["name"] == certificate).unwrap();
    let remarks = item["remarks"].as_array().into_iter().flatten();
    remarks
        .filter(|remark| remark["code"] == "names-missing")
        .flat_map(|remark| remark["fields"]["names"].as_array().unwrap().clone())
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

/// What the daemon kept of kube-system/kubeadm-config.
fn know_configuration(node: &Node, text: &str) {
    let known = serde_json::json!({"others": [], "configuration": text});
    node.write("/var/lib/kubecertd/cluster.json", known.to_string());
}

const CONFIGURATION: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.2
apiServer:
  certSANs: [\"*.apps.example.com\", lb.example.com]
certificateValidityPeriod: 4380h0m0s
encryptionAlgorithm: RSA-3072
networking: {dnsDomain: cluster.local, serviceSubnet: 10.96.0.0/12}
";

#[test]
fn what_a_node_calls_for_and_a_certificate_lacks_is_shown() {
    let node = Node::fresh();
    for certificate in ["apiserver", "etcd-server", "etcd-peer", "admin.conf"] {
        assert!(noted(&node, certificate).is_empty(), "{certificate}");
    }
    let listed = succeeds(&node, &["check-expiration", "--all"]);
    assert!(!listed.contains("LACKS"), "{listed}");

    let manifest = node.read(MANIFEST);
    let flags =
        "--advertise-address=192.0.2.77\n    - --service-cluster-ip-range=172.20.0.0/16,fd00::/112";
    node.write(
        MANIFEST,
        manifest.replace("--advertise-address=192.0.2.11", flags),
    );
    let manifest = node.read(ETCD);
    let flag = "--initial-advertise-peer-urls=https://192.0.2.88:2380,https://[2001:db8::8]:2380,http://plain.example:1,https://0.0.0.0:2";
    node.write(
        ETCD,
        manifest.replace("--name=cp1", &format!("{flag}\n    - --name=cp1")),
    );
    assert_eq!(
        noted(&node, "apiserver"),
        ["IP:192.0.2.77", "IP:172.20.0.1"]
    );
    assert_eq!(
        noted(&node, "etcd-peer"),
        ["IP:192.0.2.88", "IP:2001:db8::8"]
    );
    assert!(noted(&node, "etcd-server").is_empty());
    let told = succeeds(&node, &["plan"]);
    assert!(
        told.contains("apiserver: it lacks names that are called for: IP:192.0.2.77 (by --advertise-address of kube-apiserver)"),
        "{told}"
    );
    let listed = succeeds(&node, &["check-expiration", "--all"]);
    let row = listed
        .lines()
        .find(|line| line.contains("IP:172.20.0.1"))
        .unwrap();
    assert!(
        row.starts_with("apiserver") && row.contains("--service-cluster-ip-range"),
        "{row}"
    );
    let document = node.run(&["check-expiration", "--all", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&document.stdout).unwrap();
    assert_eq!(document["missingNames"][0]["certificate"], "apiserver");
    assert_eq!(
        document["missingNames"][0]["names"][0]["name"],
        "IP:192.0.2.77"
    );
    let kubeadms = node.run(&["check-expiration", "-o", "json"]);
    assert!(!said(&kubeadms).contains("missingNames"));

    // An everyday renewal keeps the names as they are.
    let before = names(&node, "apiserver");
    succeeds(&node, &["renew", "all"]);
    assert_eq!(names(&node, "apiserver"), before);

    succeeds(&node, &["renew", "--san-from-config", "--dry-run"]);
    assert_eq!(names(&node, "apiserver"), before);
    let serial = node.serial("etcd-server");
    let told = succeeds(&node, &["renew", "--san-from-config"]);
    assert!(
        told.contains("apiserver: has more names than before"),
        "{told}"
    );
    let after = names(&node, "apiserver");
    assert_eq!(after[..before.len()], before);
    assert_eq!(after[before.len()..], ["IP:192.0.2.77", "IP:172.20.0.1"]);
    assert_eq!(node.serial("etcd-server"), serial, "it lacks none");
    assert!(noted(&node, "apiserver").is_empty() && noted(&node, "etcd-peer").is_empty());
    let told = succeeds(&node, &["renew", "--san-from-config"]);
    assert!(told.contains("Nothing to renew"), "{told}");
}

#[test]
fn names_that_are_asked_for_are_added_and_kept_by_later_renewals() {
    let node = Node::fresh();
    let before = names(&node, "apiserver");
    let added = "LB.example.com,192.0.2.99";
    succeeds(
        &node,
        &[
            "renew",
            "apiserver",
            "--add-san",
            added,
            "--add-san",
            "*.apps.example.com",
            "--add-san",
            "kubernetes",
        ],
    );
    let wanted = [
        "DNS:lb.example.com",
        "IP:192.0.2.99",
        "DNS:*.apps.example.com",
    ];
    let after = names(&node, "apiserver");
    assert_eq!(after[..before.len()], before);
    assert_eq!(after[before.len()..], wanted, "and none twice");
    let output = node.run(&["history", "-o", "json"]);
    let history: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let receipt = history.as_array().unwrap().last().unwrap();
    let remark = &receipt["remarks"][0];
    assert_eq!(remark["code"], "names-added", "{receipt}");
    assert_eq!(remark["fields"]["names"], serde_json::json!(wanted));
    assert!(
        receipt
            .to_string()
            .contains("renew apiserver --add-san lb.example.com"),
        "{receipt}"
    );

    // Within the same second it would not end later.
    succeeds(&node, &["renew", "apiserver", "--force"]);
    assert_eq!(names(&node, "apiserver"), after);
    // A certificate that lacks what the present one has goes back only where that is meant.
    let refused = node.run(&["rollback", receipt["id"].as_str().unwrap()]);
    assert!(
        !refused.status.success() && said(&refused).contains("lacks the name"),
        "{}",
        said(&refused)
    );
}

#[test]
fn names_are_refused_where_they_are_of_no_use_or_no_names() {
    let node = Node::fresh();
    let before = testkit::contents(&node.path("/etc/kubernetes"));
    for (arguments, reason) in [
        (
            &["admin.conf", "--add-san", "x"][..],
            "client's certificate",
        ),
        (
            &["apiserver-kubelet-client", "--add-san", "x"],
            "client's certificate",
        ),
        (
            &["apiserver", "front-proxy-client", "--add-san", "x"],
            "front-proxy-client gets no further names",
        ),
        (
            &["kubelet.conf", "--add-san", "x"],
            "not renewed by kubecertd",
        ),
        (&["all", "--add-san", "x"], "certificates that are named"),
        (
            &["apiserver", "--add-san", "under_score"],
            "neither an IP address nor a DNS name",
        ),
        (
            &["apiserver", "--add-san", "a.*.b"],
            "neither an IP address nor a DNS name",
        ),
        (
            &["apiserver", "--add-san", "*"],
            "neither an IP address nor a DNS name",
        ),
        (
            &["apiserver", "--add-san", ""],
            "neither an IP address nor a DNS name",
        ),
        (
            &["apiserver", "--add-san", "a\nb"],
            "neither an IP address nor a DNS name",
        ),
        (
            &["apiserver", "--add-san", "10.0.0.1/8"],
            "neither an IP address nor a DNS name",
        ),
        (&["--add-san", "x"], "required"),
        (
            &["apiserver", "--add-san", "x", "--san-from-config"],
            "cannot be used with",
        ),
    ] {
        for dry in [&[][..], &["--dry-run"]] {
            let all: Vec<&str> = ["renew"]
                .iter()
                .chain(arguments)
                .chain(dry)
                .copied()
                .collect();
            let output = node.run(&all);
            assert!(!output.status.success(), "{all:?}");
            assert!(said(&output).contains(reason), "{all:?}: {}", said(&output));
        }
    }
    assert_eq!(testkit::contents(&node.path("/etc/kubernetes")), before);
    // A CA elsewhere is asked for what the certificate has.
    node.remove("/etc/kubernetes/pki/ca.key");
    let output = node.run(&["renew", "apiserver", "--add-san", "x"]);
    assert!(
        said(&output).contains("its CA's key is not on this node"),
        "{}",
        said(&output)
    );
    assert!(
        !node.path("/var/lib/kubecertd/outbox").exists(),
        "nothing is asked for"
    );
}

#[test]
fn the_clusters_own_configuration_is_shown_and_followed_on_request_only() {
    let node = Node::fresh();
    know_configuration(&node, CONFIGURATION);
    let wanted = ["DNS:*.apps.example.com", "DNS:lb.example.com"];
    assert_eq!(noted(&node, "apiserver"), wanted);
    let says = &plan(&node)["clusterSays"];
    let codes: Vec<&str> = says
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["other-validity", "other-algorithm"], "{says}");
    let shown = succeeds(&node, &["config", "show"]);
    assert!(
        shown.contains("certificateValidityPeriod 182d12h"),
        "{shown}"
    );
    node.configure("[renewal]\nvalidity = \"4380h\"\nkey-algorithm = \"RSA-3072\"\n");
    assert!(plan(&node)["clusterSays"].is_null());
    node.configure("");

    let old = node.certificate("apiserver");
    succeeds(&node, &["renew", "apiserver"]);
    let new = node.certificate("apiserver");
    assert_eq!(new.key_kind(), old.key_kind());
    assert_eq!(new.subject_alt_names, old.subject_alt_names);
    succeeds(&node, &["renew", "--san-from-config"]);
    assert!(names(&node, "apiserver").ends_with(&wanted.map(str::to_owned)));
    // A wildcard is good for one label.
    let more = CONFIGURATION.replace("lb.example.com", "a.apps.example.com, b.c.apps.example.com");
    know_configuration(&node, &more);
    assert_eq!(noted(&node, "apiserver"), ["DNS:b.c.apps.example.com"]);

    for hostile in [
        "",
        "kind: [",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer: {certSANs: [\"bad name\"]}\n",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking: {serviceSubnet: nonsense}\n",
    ] {
        know_configuration(&node, hostile);
        assert!(noted(&node, "apiserver").is_empty(), "{hostile}");
    }
}

#[test]
fn what_a_ca_elsewhere_would_have_to_sign_is_not_asked_for_without_the_names() {
    let node = Node::fresh();
    know_configuration(&node, CONFIGURATION);
    node.remove("/etc/kubernetes/pki/ca.key");
    let before = testkit::contents(&node.path("/etc/kubernetes"));
    for arguments in [
        &["renew", "--san-from-config"][..],
        &["renew", "apiserver", "--san-from-config"],
        &["renew", "apiserver", "--san-from-config", "--dry-run"],
    ] {
        let output = node.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let told = said(&output);
        assert!(told.contains("apiserver gets no further names"), "{told}");
        assert!(told.contains("its CA's key is not on this node"), "{told}");
    }
    assert_eq!(testkit::contents(&node.path("/etc/kubernetes")), before);
    assert!(!node.path("/var/lib/kubecertd/outbox").exists());
    // What can have its names gets them all the same.
    let more = "--initial-advertise-peer-urls=https://192.0.2.88:2380\n    - --name=cp1";
    node.write(ETCD, node.read(ETCD).replace("--name=cp1", more));
    let told = succeeds(&node, &["renew", "--san-from-config"]);
    assert!(told.contains("apiserver gets no further names"), "{told}");
    assert!(names(&node, "etcd-peer").contains(&"IP:192.0.2.88".to_owned()));
    assert!(!names(&node, "apiserver").contains(&"DNS:lb.example.com".to_owned()));
}

#[test]
fn a_dry_run_shows_the_names_that_a_certificate_would_get() {
    let node = Node::fresh();
    know_configuration(&node, CONFIGURATION);
    let told = succeeds(&node, &["renew", "--san-from-config", "--dry-run"]);
    let gets = "apiserver gets more names: DNS:*.apps.example.com, DNS:lb.example.com";
    assert!(told.contains(gets), "{told}");
    assert!(!told.contains("it lacks names"), "{told}");
    let told = succeeds(
        &node,
        &["renew", "apiserver", "--add-san", "x.example", "--dry-run"],
    );
    assert!(
        told.contains("apiserver gets more names: DNS:x.example"),
        "{told}"
    );
}

/// Only a certificate that gets a name is renewed for its names, and may end sooner for them.
#[test]
fn what_gets_no_name_ends_no_sooner_for_it() {
    let node = Node::fresh();
    know_configuration(&node, CONFIGURATION);
    node.configure("[renewal]\nvalidity = \"720h\"\n");
    for arguments in [
        &["renew", "admin.conf", "--san-from-config"][..],
        &["renew", "apiserver", "--add-san", "kubernetes"],
    ] {
        let output = node.run(arguments);
        let told = said(&output);
        assert!(!output.status.success(), "{arguments:?}: {told}");
        assert!(
            told.contains("no later than this one"),
            "{arguments:?}: {told}"
        );
    }
    succeeds(&node, &["renew", "apiserver", "--san-from-config"]);
    assert!(names(&node, "apiserver").contains(&"DNS:lb.example.com".to_owned()));
}

#[test]
fn what_the_cluster_says_is_of_kubeadms_certificates_and_of_their_own_tables() {
    let node = Node::fresh();
    know_configuration(&node, CONFIGURATION);
    node.configure(
        "[renewal]\nvalidity = \"4380h\"\nkey-algorithm = \"RSA-3072\"\n\
         [certificate.apiserver]\nkey-algorithm = \"RSA-2048\"\n",
    );
    let says = plan(&node)["clusterSays"].to_string();
    assert!(says.contains("RSA-2048"), "{says}");
    assert!(!says.contains("other-validity"), "{says}");
}
