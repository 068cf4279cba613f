//! `kubecertd csr generate`

use std::collections::BTreeSet;
use std::process::Command;

use kubecertd::node::Waiting;
use kubecertd::pki::{CertificateRequest, PrivateKey, SubjectAltName};
use testkit::injection::has_strace;
use testkit::{Node, text};

use crate::place::{CONFIG, Place, TWELVE};

#[test]
fn a_set_is_made_as_kubeadm_makes_it_and_asks_for_usages() {
    let place = Place::new();
    let said = place.succeed(&["csr", "generate", "--config", CONFIG]);
    assert!(
        said.starts_with("generating keys and CSRs in /etc/kubernetes/pki\n  apiserver\n"),
        "{said}"
    );
    let mut expected = BTreeSet::new();
    for base in TWELVE {
        let key = if base.contains(".conf") {
            base.to_owned()
        } else {
            format!("{base}.key")
        };
        expected.insert(format!("/etc/kubernetes/{key}"));
        expected.insert(format!("/etc/kubernetes/{base}.csr"));
    }
    assert_eq!(place.files(), expected);
    let entries = place.entries("/etc/kubernetes");
    for path in &expected {
        assert_eq!(entries[path].mode, 0o600, "{path}");
    }
    assert_eq!(entries["/etc/kubernetes/pki/etcd"].mode, 0o755);

    let apiserver = place.request("pki/apiserver");
    assert_eq!(apiserver.subject, "CN=kube-apiserver");
    assert!(
        apiserver
            .subject_alt_names
            .contains(&SubjectAltName::Dns("extra.example.net".to_owned()))
    );
    assert!(
        apiserver
            .subject_alt_names
            .contains(&SubjectAltName::Dns("api.example.net".to_owned()))
    );
    for (base, subject, usages) in [
        (
            "pki/apiserver",
            "CN=kube-apiserver",
            &["1.3.6.1.5.5.7.3.1"][..],
        ),
        (
            "pki/etcd/server",
            "CN=cp-1",
            &["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
        ),
        (
            "pki/etcd/peer",
            "CN=cp-1",
            &["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
        ),
        (
            "pki/front-proxy-client",
            "CN=front-proxy-client",
            &["1.3.6.1.5.5.7.3.2"],
        ),
        (
            "kubelet.conf",
            "O=system:nodes, CN=system:node:cp-1",
            &["1.3.6.1.5.5.7.3.2"],
        ),
        (
            "admin.conf",
            "O=kubeadm:cluster-admins, CN=kubernetes-admin",
            &["1.3.6.1.5.5.7.3.2"],
        ),
        (
            "super-admin.conf",
            "O=system:masters, CN=kubernetes-super-admin",
            &["1.3.6.1.5.5.7.3.2"],
        ),
    ] {
        let request = place.request(base);
        assert_eq!(request.subject, subject, "{base}");
        assert_eq!(request.extended_key_usage, usages, "{base}");
        assert_eq!(request.key_usage, Some(0b101), "{base}");
    }
    for (name, server) in [
        ("admin.conf", "https://api.example.net:8443"),
        ("kubelet.conf", "https://api.example.net:8443"),
        ("scheduler.conf", "https://10.0.0.5:6443"),
        ("controller-manager.conf", "https://10.0.0.5:6443"),
    ] {
        let waiting = Waiting::parse(place.read(&format!("/etc/kubernetes/{name}"))).unwrap();
        assert_eq!(waiting.server, server, "{name}");
        assert_eq!(waiting.cluster, "prod");
        let key = PrivateKey::from_pem(&waiting.key.unwrap()).unwrap();
        assert_eq!(
            key.public_key_der(),
            place.request(name).public_key_der,
            "{name}"
        );
    }
}

#[test]
fn of_a_worker_only_its_kubelet_is_asked_for() {
    let place = Place::new();
    place.succeed(&[
        "csr",
        "generate",
        "--config",
        CONFIG,
        "--only",
        "kubelet.conf",
    ]);
    let expected = [
        "/etc/kubernetes/kubelet.conf",
        "/etc/kubernetes/kubelet.conf.csr",
    ];
    assert_eq!(place.files(), BTreeSet::from(expected.map(str::to_owned)));
    let error = place.fail(&["csr", "generate", "--config", CONFIG, "--only", "ca"]);
    assert!(error.contains("\"ca\" is none of apiserver, "), "{error}");
}

#[test]
fn one_file_that_is_there_keeps_all_from_being_written() {
    for taken in [
        "pki/apiserver.key",
        "pki/etcd/peer.csr",
        "scheduler.conf",
        "kubelet.conf.csr",
    ] {
        let place = Place::new();
        place.write(&format!("/etc/kubernetes/{taken}"), "mine");
        let error = place.fail(&["csr", "generate", "--config", CONFIG]);
        assert!(
            error.contains(&format!(
                "already there: /etc/kubernetes/{taken}; nothing was written"
            )),
            "{error}"
        );
    }
    let place = Place::new();
    place.link("/etc/kubernetes/admin.conf", "/nowhere");
    let error = place.fail(&["csr", "generate", "--config", CONFIG]);
    assert!(
        error.contains("already there: /etc/kubernetes/admin.conf"),
        "{error}"
    );
}

#[test]
fn directories_and_configurations_of_their_own_are_followed() {
    let place = Place::new();
    place.write("/own.toml", "[log]\nlevel = \"info\"\n");
    place.write("/k.yaml", "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\ncertificatesDir: /srv/pki\n\
        etcd: {external: {endpoints: [https://e:2379]}}\nfeatureGates: {PublicKeysECDSA: true}\n---\n\
        apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\nnodeRegistration: {name: x}\nlocalAPIEndpoint: {advertiseAddress: \"2001:db8::7\"}\n");
    // kubecertd's own configuration before the command, kubeadm's behind it.
    place.succeed(&[
        "--config",
        "/own.toml",
        "csr",
        "generate",
        "--config",
        "/k.yaml",
        "--kubeconfig-dir",
        "/srv",
    ]);
    let files: BTreeSet<String> = place.entries("/srv").into_keys().collect();
    assert!(files.contains("/srv/pki/apiserver.key") && files.contains("/srv/admin.conf"));
    assert!(
        !files
            .iter()
            .any(|path| path.contains("healthcheck") || path.contains("etcd-client"))
    );
    let waiting = Waiting::parse(place.read("/srv/admin.conf")).unwrap();
    assert_eq!(waiting.server, "https://[2001:db8::7]:6443");
}

#[test]
fn a_configuration_that_cannot_be_followed_is_refused_with_its_line() {
    let place = Place::new();
    for (text, said) in [
        (
            "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n",
            "/k.yaml: line 1: apiVersion kubeadm.k8s.io/v1beta2 is too old",
        ),
        (
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer:\n  certSANs: [\"a b\"]\n",
            "/k.yaml: line 4: apiServer.certSANs: \"a b\" is neither",
        ),
        (
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n",
            "localAPIEndpoint.advertiseAddress",
        ),
    ] {
        let address = if said.starts_with('/') {
            "localAPIEndpoint: {advertiseAddress: 10.0.0.5}\n"
        } else {
            ""
        };
        place.write("/k.yaml", format!("{text}---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {{name: n}}\n{address}"));
        let error = place.fail(&["csr", "generate", "--config", "/k.yaml"]);
        assert!(error.contains(said), "{error}");
    }
    let error = place.fail(&["csr", "generate", "--config", "/missing.yaml"]);
    assert!(
        error.contains("/missing.yaml: there is no such file"),
        "{error}"
    );
}

#[test]
fn a_renewal_asks_for_what_the_nodes_certificates_have() {
    let node = Node::fresh();
    let before = node.entries("/etc/kubernetes");
    let output = node.run(&["csr", "generate", "--from-existing"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // kubelet.conf refers to the kubelet's own file.
    assert!(
        text(&output.stderr).contains("kubelet.conf: there is no certificate"),
        "{}",
        text(&output.stderr)
    );
    for name in ["apiserver", "etcd/server", "front-proxy-client"] {
        let request = node.read(&format!("/etc/kubernetes/renewal/pki/{name}.csr"));
        let request = CertificateRequest::from_pem(request.as_bytes()).unwrap();
        let old = node.certificate(&name.replace('/', "-"));
        assert_eq!(request.subject_der, old.subject_der, "{name}");
        assert_eq!(request.subject_alt_names, old.subject_alt_names, "{name}");
        assert_eq!(request.extended_key_usage, old.extended_key_usage, "{name}");
        assert_ne!(request.public_key_der, old.public_key_der, "{name}");
        assert_eq!(request.key_kind(), old.key_kind(), "{name}");
    }
    let old = kubecertd::node::Kubeconfig::parse(node.read("/etc/kubernetes/admin.conf")).unwrap();
    let new = Waiting::parse(node.read("/etc/kubernetes/renewal/admin.conf")).unwrap();
    assert_eq!(
        (new.server, new.user, new.cluster),
        (old.server, old.user, old.cluster)
    );
    let mut after = node.entries("/etc/kubernetes");
    after.retain(|path, _| !path.starts_with("/etc/kubernetes/renewal"));
    assert_eq!(after, before);
}

#[test]
fn killed_at_any_rename_all_or_nothing_is_there() {
    if !has_strace() {
        testkit::skipped("strace is not installed: nothing was killed");
        return;
    }
    let whole = {
        let place = Place::new();
        place.generate();
        place.files()
    };
    let mut outcomes = BTreeSet::new();
    for (call, nth) in [
        ("renameat", 1),
        ("renameat2", 1),
        ("renameat2", 2),
        ("renameat2", 12),
        ("renameat2", 24),
        ("unlinkat", 1),
        ("fsync", 3),
        ("fsync", 24),
        ("fsync", 28),
    ] {
        let place = Place::new();
        let killed = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &format!("trace={call}"),
            ])
            .args(["-e", &format!("inject={call}:signal=KILL:when={nth}")])
            .arg(testkit::program())
            .arg("--root")
            .arg(place.directory.path())
            .args(["csr", "generate", "--config", CONFIG])
            .output()
            .unwrap();
        assert!(
            !killed.status.success(),
            "{call} {nth}: {}",
            text(&killed.stderr)
        );
        // Any command that works there settles it.
        place.run(&["csr", "clean"]);
        let files = place.files();
        assert!(
            files.is_empty() || files == whole,
            "{call} {nth}: {files:?}"
        );
        outcomes.insert(files.is_empty());
        if files.is_empty() {
            place.generate();
        }
        assert_eq!(place.files(), whole);
    }
    assert_eq!(
        outcomes.len(),
        2,
        "killed before and after the set was whole"
    );
}
