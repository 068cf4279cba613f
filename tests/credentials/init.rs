//! `kubecertd pki init`

use std::collections::BTreeSet;

use kubecertd::node::{Credential, Kubeconfig};
use kubecertd::pki::{certificates_from_pem, certificates_to_pem};
use testkit::text;

use crate::place::{CONFIG, Place, TWELVE, authority};

fn init(place: &Place, names: &[&str]) -> String {
    place.succeed(&[&["pki", "init", "--config", CONFIG], names].concat())
}

fn refuse(place: &Place, names: &[&str]) -> String {
    place.fail(&[&["pki", "init", "--config", CONFIG], names].concat())
}

#[test]
fn a_whole_control_plane_is_made() {
    let place = Place::new();
    init(&place, &["all", "kubeconfigs"]);
    let mut expected = BTreeSet::new();
    for base in ["ca", "etcd/ca", "front-proxy-ca"] {
        expected.extend(["crt", "key"].map(|end| format!("/etc/kubernetes/pki/{base}.{end}")));
        let certificate = place.certificate(&format!("pki/{base}"));
        assert!(certificate.is_ca && certificate.is_self_signed(), "{base}");
    }
    expected.extend(["sa.key", "sa.pub"].map(|name| format!("/etc/kubernetes/pki/{name}")));
    for base in TWELVE {
        if base.ends_with(".conf") {
            expected.insert(format!("/etc/kubernetes/{base}"));
            let read = Kubeconfig::parse(place.read(&format!("/etc/kubernetes/{base}"))).unwrap();
            let Credential::Embedded(pem) = read.certificate else {
                panic!("{base}")
            };
            let certificate = certificates_from_pem(&pem).unwrap().remove(0);
            assert!(
                certificate.is_signed_by(&place.certificate("pki/ca")),
                "{base}"
            );
            assert_eq!(certificate.extended_key_usage, ["1.3.6.1.5.5.7.3.2"]);
        } else {
            expected.extend(["crt", "key"].map(|end| format!("/etc/kubernetes/{base}.{end}")));
        }
    }
    assert_eq!(place.files(), expected);
    for (path, entry) in place.entries("/etc/kubernetes") {
        let mode = match path.as_str() {
            path if path.ends_with(".crt") => 0o644,
            _ if entry.contents == "directory" => 0o755,
            _ => 0o600,
        };
        assert_eq!(entry.mode, mode, "{path}");
    }
    let kubelet = Kubeconfig::parse(place.read("/etc/kubernetes/kubelet.conf")).unwrap();
    assert_eq!(kubelet.server, "https://10.0.0.5:6443");
    assert_eq!(place.certificate("pki/etcd/server").subject, "CN=cp-1");
    // Once more: all is kept, and nothing differs.
    let entries = place.entries("/etc/kubernetes");
    let output = place.run(&["pki", "init", "--config", CONFIG, "all", "kubeconfigs"]);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(text(&output.stdout).matches(": kept").count(), 16);
    assert_eq!(place.entries("/etc/kubernetes"), entries);
}

#[test]
fn the_pages_way_from_authorities_to_kubeconfigs() {
    let place = Place::new();
    init(&place, &["ca", "etcd-ca", "front-proxy-ca", "sa"]);
    place.succeed(&["csr", "generate", "--config", CONFIG]);
    place.succeed(&["csr", "sign", "--allow-system-masters", "--config", CONFIG]);
    place.succeed(&["csr", "install"]);
    place.succeed(&["csr", "clean"]);
    // What that made is what `pki init` would have made.
    let output = place.run(&["pki", "init", "--config", CONFIG, "all", "kubeconfigs"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).matches(": kept").count(), 16);
    // kubelet.conf leads to the whole control plane here, as kubeadm's generate-csr makes it.
    assert_eq!(
        text(&output.stderr).lines().count(),
        1,
        "{}",
        text(&output.stderr)
    );
    assert!(
        text(&output.stderr).contains("kubelet.conf: it leads to https://api.example.net:8443")
    );
}

#[test]
fn differences_of_what_is_kept_are_said_aloud() {
    let place = Place::new();
    init(&place, &["all", "kubeconfigs"]);
    place.write(
        "/other.yaml",
        place
            .read(CONFIG)
            .replace("cp-1", "cp-2")
            .replace("extra.", "more.")
            .replace("prod", "test")
            .replace("ECDSA-P256", "RSA-2048"),
    );
    let before = place.entries("/etc/kubernetes");
    let output = place.run(&[
        "pki",
        "init",
        "--config",
        "/other.yaml",
        "all",
        "kubeconfigs",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(place.entries("/etc/kubernetes"), before);
    let said = text(&output.stderr);
    for difference in [
        "apiserver: it lacks cp-2, more.example.net",
        "apiserver: it has cp-1, extra.example.net as well",
        "etcd-server: it is for \"cp-1\", and by the configuration it would be for \"cp-2\"",
        "kubelet.conf: it is for \"system:node:cp-1\"",
        "admin.conf: its cluster is \"prod\"",
        "ca: its key is ECDSA-P256, and the configuration says RSA-2048",
    ] {
        assert!(said.contains(difference), "{difference}\nnot in\n{said}");
    }
}

#[test]
fn what_is_there_and_not_sound_keeps_all_from_being_made() {
    let whole = Place::new();
    init(&whole, &["all", "kubeconfigs"]);
    let other = Place::new();
    init(&other, &["all", "kubeconfigs"]);
    for (path, instead, said) in [
        (
            "pki/apiserver.key",
            Some(other.read("/etc/kubernetes/pki/apiserver.key")),
            "apiserver.crt: the new certificate does not belong to the new key",
        ),
        (
            "pki/apiserver.crt",
            None,
            "apiserver.key: is there without its certificate",
        ),
        (
            "pki/apiserver.key",
            None,
            "apiserver.crt: is there without its key",
        ),
        (
            "pki/ca.key",
            Some(other.read("/etc/kubernetes/pki/ca.key")),
            "ca.key: the key does not belong to the CA certificate",
        ),
        (
            "pki/ca.crt",
            None,
            "ca.key: is there without its certificate",
        ),
        (
            "pki/ca.crt",
            Some(whole.read("/etc/kubernetes/pki/apiserver.crt")),
            "ca.crt: holds no CA certificate that is valid now",
        ),
        (
            "pki/front-proxy-client.crt",
            Some("damaged".to_owned()),
            "front-proxy-client.crt: no PEM block CERTIFICATE",
        ),
        (
            "admin.conf",
            Some(other.read("/etc/kubernetes/admin.conf")),
            "admin.conf: trusts none of the certificates of ca",
        ),
        (
            "scheduler.conf",
            Some(whole.read("/etc/kubernetes/controller-manager.conf")),
            "scheduler.conf: is for the name",
        ),
        (
            "pki/sa.pub",
            Some(other.read("/etc/kubernetes/pki/sa.pub")),
            "sa.pub: does not belong to sa.key",
        ),
        (
            "pki/sa.key",
            None,
            "sa.pub: is there without its private key",
        ),
    ] {
        let place = Place::new();
        place.copy_from(&whole);
        let path = format!("/etc/kubernetes/{path}");
        place.remove(&path);
        if let Some(instead) = instead {
            place.write(&path, instead);
        }
        // Something is to be made besides, and is not.
        place.remove("/etc/kubernetes/pki/etcd/peer.crt");
        place.remove("/etc/kubernetes/pki/etcd/peer.key");
        let error = refuse(&place, &["all", "kubeconfigs"]);
        assert!(error.contains(said), "{error}\nnot {said}");
    }
}

#[test]
fn a_public_key_that_is_missing_is_made_again() {
    let place = Place::new();
    init(&place, &["sa"]);
    let public = place.read("/etc/kubernetes/pki/sa.pub");
    place.remove("/etc/kubernetes/pki/sa.pub");
    init(&place, &["sa"]);
    assert_eq!(place.read("/etc/kubernetes/pki/sa.pub"), public);
}

#[test]
fn without_the_authoritys_key_what_is_there_is_kept_and_nothing_made() {
    let place = Place::new();
    init(&place, &["all"]);
    place.remove("/etc/kubernetes/pki/ca.key");
    let said = init(&place, &["all"]);
    assert_eq!(said.matches(": kept").count(), 11, "{said}");
    let error = refuse(&place, &["admin.conf"]);
    assert!(
        error.contains("ca is there without its key, so admin.conf cannot be made here"),
        "{error}"
    );
    let error = refuse(&Place::new(), &["apiserver"]);
    assert!(
        error.contains("there is no ca to sign apiserver; make it first (kubecertd pki init ca)"),
        "{error}"
    );
}

#[test]
fn an_authority_of_ones_own_is_used() {
    let place = Place::new();
    let own = authority("corporate");
    place.write_pair("ca", &own);
    let output = place.run(&[
        "pki",
        "init",
        "--config",
        CONFIG,
        "ca",
        "apiserver",
        "admin.conf",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("ca: its name is CN=corporate"),
        "{}",
        text(&output.stderr)
    );
    assert!(
        place
            .certificate("pki/apiserver")
            .is_signed_by(own.certificate())
    );
    let admin = Kubeconfig::parse(place.read("/etc/kubernetes/admin.conf")).unwrap();
    assert_eq!(
        admin.certificate_authority.unwrap(),
        certificates_to_pem([own.certificate()]).as_bytes()
    );
}

#[test]
fn an_external_etcd_needs_nothing_here() {
    let place = Place::new();
    place.write(
        "/external.yaml",
        place.read(CONFIG) + "etcd: {external: {endpoints: [https://etcd.example.net:2379]}}\n",
    );
    place.succeed(&["pki", "init", "--config", "/external.yaml", "all"]);
    assert!(!place.files().iter().any(|path| path.contains("etcd")));
    let error = place.fail(&["pki", "init", "--config", "/external.yaml", "etcd-ca"]);
    assert!(
        error.contains("the configuration has an external etcd"),
        "{error}"
    );
    let error = refuse(&place, &["nothing"]);
    assert!(
        error.contains("\"nothing\" is none of all, kubeconfigs, ca, etcd-ca"),
        "{error}"
    );
}

#[test]
fn the_pages_configurations_are_read() {
    let place = Place::new();
    let init = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {name: cp-1}\n\
        localAPIEndpoint: {advertiseAddress: 10.0.0.5}\n---\n";
    for configuration in [
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\ncontrollerManager:\n  extraArgs:\n\
         \x20 - name: \"cluster-signing-cert-file\"\n    value: \"/etc/kubernetes/pki/ca.crt\"\n\
         \x20 - name: \"cluster-signing-key-file\"\n    value: \"/etc/kubernetes/pki/ca.key\"\n",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n---\n\
         apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nserverTLSBootstrap: true\n",
    ] {
        place.write("/page.yaml", format!("{init}{configuration}"));
        place.succeed(&[
            "pki",
            "init",
            "--config",
            "/page.yaml",
            "ca",
            "front-proxy-ca",
        ]);
    }
}

#[test]
fn a_configuration_without_a_version_is_said_where_it_decides() {
    let said = |configuration: &str, command: &[&str]| {
        let place = Place::with_authorities();
        place.write("/said.yaml", configuration);
        let output = place.run(&[command, &["--config", "/said.yaml"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let without = Place::new().read(CONFIG);
    let with = format!("{without}kubernetesVersion: v1.36.2\n");
    for command in [
        &["csr", "generate"][..],
        &["pki", "init", "apiserver-kubelet-client"],
    ] {
        let warning = said(&without, command);
        assert!(
            warning
                .contains("apiserver-kubelet-client: the configuration has no kubernetesVersion")
                && warning.contains("write kubernetesVersion into the configuration"),
            "{warning}"
        );
        assert_eq!(said(&with, command), "");
    }
    // Where it decides nothing, nothing is said.
    assert_eq!(
        said(&without, &["csr", "generate", "--only", "apiserver"]),
        ""
    );
}

/// Of what it signed nothing can be said, and nothing of it is to be moved away.
#[test]
fn an_unsound_authority_is_said_once_and_what_it_signed_is_left_in_peace() {
    let place = Place::new();
    init(&place, &["all", "kubeconfigs"]);
    place.write("/etc/kubernetes/pki/ca.crt", "damaged");
    place.write("/etc/kubernetes/pki/etcd/ca.crt", "damaged");
    let said = refuse(&place, &["all", "kubeconfigs"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines.iter().all(|line| line.contains("ca.crt")), "{said}");
    assert!(
        !said.contains("\\n") && !said.contains("move it away"),
        "{said}"
    );
}
