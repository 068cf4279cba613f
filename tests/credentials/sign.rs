//! `kubecertd csr sign`

use std::collections::BTreeSet;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{KeyAlgorithm, NewLeaf, PrivateKey, SubjectAltName};
use testkit::text;

use crate::place::{CONFIG, Place, TWELVE, authority};

#[test]
fn every_request_is_signed_by_its_authority_with_its_usages() {
    let place = Place::with_authorities();
    place.generate();
    let before = Timestamp::now();
    place.succeed(&[
        "csr",
        "sign",
        "--days",
        "30",
        "--allow-system-masters",
        "--config",
        CONFIG,
    ]);
    let mut serials = BTreeSet::new();
    for base in TWELVE {
        let certificate = place.certificate(base);
        let request = place.request(base);
        let by = match base {
            "pki/front-proxy-client" => "pki/front-proxy-ca",
            _ if base.contains("etcd") => "pki/etcd/ca",
            _ => "pki/ca",
        };
        assert!(certificate.is_signed_by(&place.certificate(by)), "{base}");
        assert_eq!(certificate.subject_der, request.subject_der, "{base}");
        assert_eq!(
            certificate.subject_alt_names, request.subject_alt_names,
            "{base}"
        );
        assert_eq!(
            certificate.extended_key_usage, request.extended_key_usage,
            "{base}"
        );
        assert_eq!(certificate.key_usage, Some(0b101), "{base}");
        assert!(!certificate.is_ca);
        let end = before + SignedDuration::from_hours(24 * 30);
        assert!(
            certificate.not_after.duration_since(end).abs() < SignedDuration::from_secs(60),
            "{base}"
        );
        assert!(certificate.not_before < before);
        assert!(serials.insert(certificate.serial));
        let path = place.path(&format!("/etc/kubernetes/{base}.crt"));
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o7777, 0o644);
    }
    // Once more: what is signed is kept.
    let signed = place.entries("/etc/kubernetes");
    let said = place.succeed(&["csr", "sign", "--allow-system-masters"]);
    assert_eq!(said.matches("was signed before").count(), 12, "{said}");
    assert_eq!(place.entries("/etc/kubernetes"), signed);
}

/// Puts a request in the place of one.
fn ask(place: &Place, base: &str, leaf: &NewLeaf) {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    place.write(
        &format!("/etc/kubernetes/{base}.csr"),
        leaf.request(&key).unwrap(),
    );
}

fn client(name: &str, groups: &[&str]) -> NewLeaf {
    NewLeaf {
        common_name: name.to_owned(),
        organizations: groups.iter().map(ToString::to_string).collect(),
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    }
}

#[test]
fn a_request_for_more_than_its_files_name_says_is_refused_and_nothing_signed() {
    let place = Place::with_authorities();
    place.generate();
    let dns = |name: &str| SubjectAltName::Dns(name.to_owned());
    let server = |name: &str, names: Vec<SubjectAltName>| NewLeaf {
        subject_alt_names: names,
        server_auth: true,
        ..client(name, &[])
    };
    for (base, leaf, said) in [
        (
            "kubelet.conf",
            client("system:node:cp-1", &["system:nodes", "system:masters"]),
            "asks for the groups (O)",
        ),
        (
            "kubelet.conf",
            client("kubernetes-admin", &["system:nodes"]),
            "kubelet.conf is system:node:NODE",
        ),
        (
            "kubelet.conf",
            client("system:node:", &["system:nodes"]),
            "kubelet.conf is system:node:NODE",
        ),
        (
            "scheduler.conf",
            client("system:kube-scheduler", &["system:masters"]),
            "asks for the groups (O) [system:masters]",
        ),
        (
            "scheduler.conf",
            client("system:kube-controller-manager", &[]),
            "scheduler.conf is system:kube-scheduler",
        ),
        (
            "admin.conf",
            client("kubernetes-admin", &["system:masters"]),
            "give --allow-system-masters if this is one",
        ),
        (
            "admin.conf",
            NewLeaf {
                subject_alt_names: vec![dns("kubernetes")],
                ..client("kubernetes-admin", &["kubeadm:cluster-admins"])
            },
            "a client's, has none",
        ),
        (
            "admin.conf",
            NewLeaf {
                server_auth: true,
                ..client("kubernetes-admin", &["kubeadm:cluster-admins"])
            },
            "extended key usage 1.3.6.1.5.5.7.3.1",
        ),
        (
            "pki/apiserver",
            server("kube-apiserver", vec![]),
            "asks for no names",
        ),
        (
            "pki/apiserver",
            server("kube-apiserver", vec![dns("a b")]),
            "is no DNS name",
        ),
        (
            "pki/apiserver",
            server(
                "kube-apiserver",
                vec![SubjectAltName::Uri("spiffe://x".to_owned())],
            ),
            "neither a DNS name nor an IP address",
        ),
        (
            "pki/etcd/server",
            server("cp-1", vec![dns("other")]),
            "not among its DNS names",
        ),
        (
            "pki/front-proxy-client",
            client("kube-apiserver", &[]),
            "front-proxy-client is front-proxy-client",
        ),
    ] {
        let kept = place.read(&format!("/etc/kubernetes/{base}.csr"));
        ask(&place, base, &leaf);
        let error = place.fail(&["csr", "sign"]);
        assert!(
            error.contains(&format!("/etc/kubernetes/{base}.csr: ")) && error.contains(said),
            "{error}\nnot {said}"
        );
        place.write(&format!("/etc/kubernetes/{base}.csr"), kept);
    }
    // All that is wrong is said at once.
    ask(&place, "kubelet.conf", &client("x", &[]));
    ask(&place, "scheduler.conf", &client("x", &[]));
    let error = place.fail(&["csr", "sign"]);
    assert!(
        error.contains("kubelet.conf.csr") && error.contains("scheduler.conf.csr"),
        "{error}"
    );
}

#[test]
fn with_a_configuration_names_of_another_node_or_cluster_are_refused() {
    let place = Place::with_authorities();
    place.generate();
    place.write("/other.yaml", place.read(CONFIG).replace("cp-1", "cp-2"));
    let error = place.fail(&["csr", "sign", "--config", "/other.yaml"]);
    assert!(
        error.contains("it is of another node or cluster"),
        "{error}"
    );
    place.write(
        "/more.yaml",
        place
            .read(CONFIG)
            .replace("extra.example.net", "other.example.net"),
    );
    let error = place.fail(&["csr", "sign", "--config", "/more.yaml"]);
    assert!(
        error.contains("asks for extra.example.net, which does not follow from the configuration"),
        "{error}"
    );
}

#[test]
fn the_administrators_group_is_signed_only_where_it_is_meant() {
    let base = "pki/apiserver-kubelet-client";
    let asking = |groups: &[&str]| {
        let place = Place::with_authorities();
        let configuration = place.read(CONFIG);
        for version in ["v1.36.0", "v1.36.2"] {
            place.write(
                &format!("/{version}.yaml"),
                format!("{configuration}kubernetesVersion: {version}\n"),
            );
        }
        ask(
            &place,
            base,
            &client("kube-apiserver-kubelet-client", groups),
        );
        place
    };
    let admins = asking(&["kubeadm:cluster-admins"]);
    for arguments in [
        &["csr", "sign", "--config", "/v1.36.2.yaml"][..],
        &[
            "csr",
            "sign",
            "--config",
            "/v1.36.2.yaml",
            "--allow-cluster-admins",
            "--allow-system-masters",
        ],
    ] {
        let error = admins.fail(arguments);
        assert!(
            error.contains("asks for the groups (O) [kubeadm:cluster-admins], and by the configuration apiserver-kubelet-client has []"),
            "{error}"
        );
    }
    for arguments in [
        &["csr", "sign"][..],
        &["csr", "sign", "--config", CONFIG],
        &["csr", "sign", "--allow-system-masters"],
    ] {
        let error = admins.fail(arguments);
        assert!(error.contains("or --allow-cluster-admins"), "{error}");
    }
    admins.succeed(&["csr", "sign", "--config", "/v1.36.0.yaml"]);
    assert_eq!(
        admins.certificate(base).organizations,
        ["kubeadm:cluster-admins"]
    );
    asking(&["kubeadm:cluster-admins"]).succeed(&["csr", "sign", "--allow-cluster-admins"]);

    // The other way round: an older cluster's API server needs it.
    let none = asking(&[]);
    let error = none.fail(&["csr", "sign", "--config", "/v1.36.0.yaml"]);
    assert!(
        error.contains("has [kubeadm:cluster-admins]; make the request again"),
        "{error}"
    );
    none.succeed(&["csr", "sign", "--config", "/v1.36.2.yaml"]);
}

#[test]
fn super_admin_is_signed_only_where_it_is_meant() {
    let place = Place::with_authorities();
    place.generate();
    for arguments in [
        &["csr", "sign"][..],
        &["csr", "sign", "--config", CONFIG],
        &["csr", "sign", "--only", "super-admin.conf"],
    ] {
        let error = place.fail(arguments);
        assert!(
            error.contains(
                "/etc/kubernetes/super-admin.conf.csr: asks for the group system:masters"
            ) && error.contains("give --allow-system-masters if super-admin.conf is meant"),
            "{error}"
        );
    }
    // The others without it.
    let said = place.succeed(&["csr", "sign", "--only", "admin.conf", "--only", "apiserver"]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        !place
            .files()
            .contains("/etc/kubernetes/super-admin.conf.crt")
    );
    assert!(!place.files().contains("/etc/kubernetes/pki/etcd/peer.crt"));
    place.succeed(&["csr", "sign", "--allow-system-masters"]);
    assert_eq!(
        place.certificate("super-admin.conf").organizations,
        ["system:masters"]
    );
}

#[test]
fn an_old_clusters_administrators_are_signed_where_that_is_allowed() {
    let place = Place::with_authorities();
    ask(
        &place,
        "admin.conf",
        &client("kubernetes-admin", &["system:masters"]),
    );
    place.succeed(&["csr", "sign", "--allow-system-masters"]);
    assert_eq!(
        place.certificate("admin.conf").organizations,
        ["system:masters"]
    );
    // Not where no cluster had it.
    ask(
        &place,
        "scheduler.conf",
        &client("system:kube-scheduler", &["system:masters"]),
    );
    place.fail(&["csr", "sign", "--allow-system-masters"]);
}

#[test]
fn a_request_that_was_changed_is_refused() {
    let place = Place::with_authorities();
    place.generate();
    let path = "/etc/kubernetes/pki/apiserver.csr";
    let request = place.read(path);
    // Another name of the same length, so that only the signature tells.
    let block = pem::parse(&request).unwrap();
    let mut der = block.contents().to_vec();
    let name = b"extra.example.net";
    let at = der.windows(name.len()).position(|bytes| bytes == name);
    der[at.unwrap()] = b'E';
    let changed = pem::encode(&pem::Pem::new(block.tag(), der));
    for (text, said) in [
        (
            changed,
            "apiserver.csr: its signature is not by its own key",
        ),
        (
            request.replace(" REQUEST", ""),
            "holds a CERTIFICATE and no CERTIFICATE REQUEST",
        ),
        (request.repeat(2), "more than one PEM block"),
        ("x".to_owned(), "holds no PEM block"),
    ] {
        place.write(path, text);
        let error = place.fail(&["csr", "sign"]);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn without_the_right_authority_nothing_is_signed() {
    let place = Place::with_authorities();
    place.generate();
    place.remove("/etc/kubernetes/pki/etcd/ca.key");
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(
        error.contains("/etc/kubernetes/pki/etcd/ca.key: is not there"),
        "{error}"
    );
    // Another authority's key.
    let other = authority("etcd-ca");
    place.write(
        "/etc/kubernetes/pki/etcd/ca.key",
        other.key().to_pem().unwrap().as_bytes(),
    );
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(
        error.contains("does not belong to the CA certificate"),
        "{error}"
    );
}

#[test]
fn requests_of_kubeadm_and_openssl_are_signed_with_their_subjects_as_they_are() {
    if Command::new("openssl").arg("version").output().is_err() {
        testkit::skipped("openssl is not installed: it has made no request");
        return;
    }
    let place = Place::with_authorities();
    let made = Command::new("openssl")
        .args([
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-utf8",
            "-subj",
            "/O=system:nodes/CN=system:node:w-1",
            "-keyout",
        ])
        .arg(place.place("/etc/kubernetes/kubelet.key"))
        .arg("-out")
        .arg(place.path("/etc/kubernetes/kubelet.conf.csr"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    place.succeed(&["csr", "sign"]);
    let certificate = place.certificate("kubelet.conf");
    assert_eq!(
        certificate.subject_der,
        place.request("kubelet.conf").subject_der
    );
    assert_eq!(certificate.extended_key_usage, ["1.3.6.1.5.5.7.3.2"]);
    let verified = Command::new("openssl")
        .args(["verify", "-purpose", "sslclient", "-CAfile"])
        .arg(place.path("/etc/kubernetes/pki/ca.crt"))
        .arg(place.path("/etc/kubernetes/kubelet.conf.crt"))
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", text(&verified.stderr));
}

#[test]
fn what_another_authority_signed_is_not_taken_for_signed() {
    let place = Place::with_authorities();
    place.generate();
    let sign = ["csr", "sign", "--only", "admin.conf"];
    place.succeed(&sign);
    let before = place.certificate("admin.conf");
    assert!(place.succeed(&sign).contains("was signed before"));
    place.write_pair("ca", &authority("kubernetes"));
    let said = place.succeed(&sign);
    assert!(said.contains("admin.conf: signed again"), "{said}");
    let after = place.certificate("admin.conf");
    assert!(after.is_signed_by(&place.certificate("pki/ca")));
    assert!(!before.is_signed_by(&place.certificate("pki/ca")));
}
