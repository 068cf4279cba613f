//! `kubecertd csr install` and `csr clean`

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use kubecertd::node::{Credential, Kubeconfig};
use kubecertd::pki::{
    NewLeaf, PrivateKey, SubjectAltName, certificates_from_pem, certificates_to_pem,
};
use testkit::text;

use crate::place::{CONFIG, Place, TWELVE, authority};

fn signed() -> Place {
    let place = Place::with_authorities();
    place.generate();
    place.succeed(&["csr", "sign", "--allow-system-masters"]);
    place
}

#[test]
fn certificates_are_embedded_and_the_rest_of_the_kubeconfig_is_kept() {
    let place = signed();
    let before = place.read("/etc/kubernetes/admin.conf");
    let said = place.succeed(&["csr", "install"]);
    assert_eq!(said.matches(": embedded, until ").count(), 5, "{said}");
    assert_eq!(said.matches(": in place, until ").count(), 7, "{said}");
    for name in TWELVE.into_iter().filter(|name| name.ends_with(".conf")) {
        let read = Kubeconfig::parse(place.read(&format!("/etc/kubernetes/{name}"))).unwrap();
        let Credential::Embedded(pem) = read.certificate else {
            panic!("{name}")
        };
        assert_eq!(
            certificates_from_pem(&pem).unwrap()[0],
            place.certificate(name)
        );
        assert_eq!(
            read.certificate_authority.unwrap(),
            place.read("/etc/kubernetes/pki/ca.crt").as_bytes()
        );
        assert_eq!(
            place.entries("/etc/kubernetes")[&format!("/etc/kubernetes/{name}")].mode,
            0o600
        );
    }
    let after = place.read("/etc/kubernetes/admin.conf");
    let kept: Vec<&str> = after
        .lines()
        .filter(|line| !line.contains("certificate"))
        .collect();
    assert_eq!(kept, before.lines().collect::<Vec<_>>());
    // Once more: nothing changes.
    let entries = place.entries("/etc/kubernetes");
    place.succeed(&["csr", "install"]);
    assert_eq!(place.entries("/etc/kubernetes"), entries);
}

#[test]
fn a_kubeconfig_keeps_its_owner_its_group_and_its_mode() {
    let place = signed();
    let path = place.path("/etc/kubernetes/admin.conf");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let is_root = path.metadata().unwrap().uid() == 0;
    if is_root {
        chown(&path, None, Some(12345)).unwrap();
    } else {
        testkit::not_on_this_machine("not root: no file can be given to another group");
    }
    let of = |path: &std::path::Path| {
        let metadata = path.metadata().unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    let before = of(&path);
    let said = place.succeed(&["csr", "install"]);
    assert!(said.contains("admin.conf: embedded"), "{said}");
    assert_eq!(of(&path), before);
}

#[test]
fn a_kubeconfig_whose_credentials_are_files_is_left_as_it_is() {
    let place = signed();
    place.remove("/etc/kubernetes/kubelet.conf.crt");
    place.remove("/etc/kubernetes/kubelet.conf.csr");
    let rotated = rotated(&place);
    place.write("/etc/kubernetes/kubelet.conf", &rotated);
    let said = place.succeed(&["csr", "install"]);
    assert!(
        said.contains("kubelet.conf: skipped, there is no key in it"),
        "{said}"
    );
    assert!(said.contains("admin.conf: embedded"), "{said}");
    assert_eq!(place.read("/etc/kubernetes/kubelet.conf"), rotated);
    let output = place.run(&["pki", "init", "--config", CONFIG, "kubeconfigs"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("kubelet.conf: there is no key in it"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(place.read("/etc/kubernetes/kubelet.conf"), rotated);
    // Which cluster this is, is in an admin.conf without a certificate as well.
    let token = rotated.replace(
        "client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem",
        "token: secret",
    );
    place.write(
        "/etc/kubernetes/admin.conf",
        token.replace(
            "    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem\n",
            "",
        ),
    );
    place.succeed(&["kubeconfig", "user", "--client-name", "x"]);
    // A certificate that waits for such a one is said.
    place.write(
        "/etc/kubernetes/kubelet.conf.crt",
        place.read("/etc/kubernetes/scheduler.conf.crt"),
    );
    let error = place.fail(&["csr", "install"]);
    assert!(
        error.contains("kubelet.conf.crt: kubelet.conf has no key in it"),
        "{error}"
    );
}

/// kubelet.conf as the kubelet's own renewal leaves it.
fn rotated(place: &Place) -> String {
    use base64::Engine as _;
    let authority = place.read("/etc/kubernetes/pki/ca.crt");
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: prod\n  cluster:\n    certificate-authority-data: {authority}\n\
         \x20   server: https://10.0.0.5:6443\ncontexts:\n- name: x\n  context:\n    cluster: prod\n    user: default-auth\n\
         current-context: x\nusers:\n- name: default-auth\n  user:\n\
         \x20   client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem\n\
         \x20   client-key: /var/lib/kubelet/pki/kubelet-client-current.pem\n"
    )
}

#[test]
fn what_came_back_without_the_names_that_were_asked_for_is_refused() {
    let place = signed();
    let whole = place.read("/etc/kubernetes/pki/apiserver.csr");
    let key = PrivateKey::from_pem(place.read("/etc/kubernetes/pki/apiserver.key").as_bytes());
    let key = key.unwrap();
    let fewer = NewLeaf {
        common_name: "kube-apiserver".to_owned(),
        organizations: Vec::new(),
        subject_alt_names: vec![SubjectAltName::Dns("kubernetes".to_owned())],
        server_auth: true,
        client_auth: false,
    };
    place.remove("/etc/kubernetes/pki/apiserver.crt");
    place.write(
        "/etc/kubernetes/pki/apiserver.csr",
        fewer.request(&key).unwrap(),
    );
    place.succeed(&["csr", "sign", "--only", "apiserver"]);
    // What was asked for is there.
    place.succeed(&["csr", "install"]);
    place.write("/etc/kubernetes/pki/apiserver.csr", whole);
    let error = place.fail(&["csr", "install"]);
    assert!(
        error.contains("/etc/kubernetes/pki/apiserver.crt: ")
            && error.contains("it lacks the name"),
        "{error}"
    );
    // Signing again mends it.
    let said = place.succeed(&["csr", "sign", "--allow-system-masters"]);
    assert!(
        said.contains("apiserver: signed again, since the certificate there is of no use"),
        "{said}"
    );
    assert_eq!(said.matches("was signed before").count(), 11, "{said}");
    place.succeed(&["csr", "install"]);
}

#[test]
fn cleaning_removes_requests_and_embedded_certificates_and_nothing_else() {
    let place = signed();
    for other in ["notes.csr", "pki/other.csr", "other.crt", "pki/etcd/x.crt"] {
        place.write(&format!("/etc/kubernetes/{other}"), "mine");
    }
    let signed = place.files();
    // Not embedded yet.
    let output = place.run(&["csr", "clean"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("admin.conf.crt: is not embedded in admin.conf"),
        "{}",
        text(&output.stderr)
    );
    assert!(place.files().contains("/etc/kubernetes/admin.conf.csr"));
    place.succeed(&["csr", "install"]);
    place.succeed(&["csr", "clean"]);
    let gone: BTreeSet<String> = TWELVE
        .into_iter()
        .flat_map(|base| {
            let certificate = base
                .ends_with(".conf")
                .then(|| format!("/etc/kubernetes/{base}.crt"));
            certificate
                .into_iter()
                .chain([format!("/etc/kubernetes/{base}.csr")])
        })
        .collect();
    let left: BTreeSet<String> = signed.difference(&gone).cloned().collect();
    assert_eq!(place.files(), left);
}

#[test]
fn what_is_no_request_stays() {
    let place = Place::with_authorities();
    place.generate();
    place.write("/etc/kubernetes/admin.conf.csr", "mine");
    let output = place.run(&["csr", "clean", "--unsigned"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(place.read("/etc/kubernetes/admin.conf.csr"), "mine");
    assert!(!place.files().contains("/etc/kubernetes/pki/apiserver.csr"));
    assert!(place.files().contains("/etc/kubernetes/pki/apiserver.key"));
}

#[test]
fn what_is_not_signed_yet_is_said() {
    let place = signed();
    place.remove("/etc/kubernetes/pki/etcd/peer.crt");
    place.remove("/etc/kubernetes/scheduler.conf.crt");
    let output = place.run(&["csr", "install"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("etcd-peer: not signed yet; its certificate is expected at /etc/kubernetes/pki/etcd/peer.crt"), "{said}");
    assert!(said.contains("scheduler.conf: not signed yet"), "{said}");
    assert!(said.contains("admin.conf: embedded"), "{said}");
}

#[test]
fn a_wrong_certificate_keeps_all_from_being_embedded() {
    let other = Place::with_authorities();
    other.generate();
    other.succeed(&["csr", "sign", "--allow-system-masters"]);
    for (base, instead, said) in [
        // Another key's.
        (
            "admin.conf",
            other.certificate("admin.conf"),
            "does not belong to the new key",
        ),
        (
            "pki/apiserver",
            other.certificate("pki/apiserver"),
            "does not belong to the new key",
        ),
        // Exchanged with another of the same cluster.
        (
            "scheduler.conf",
            other.certificate("kubelet.conf"),
            "scheduler.conf is system:kube-scheduler",
        ),
    ] {
        let place = signed();
        place.write(
            &format!("/etc/kubernetes/{base}.crt"),
            certificates_to_pem([&instead]),
        );
        let error = place.fail(&["csr", "install"]);
        assert!(
            error.contains(&format!("/etc/kubernetes/{base}.crt: ")) && error.contains(said),
            "{error}"
        );
    }
    // Signed by an authority that nobody here trusts.
    let place = signed();
    place.write_pair("ca", &authority("kubernetes"));
    let error = place.fail(&["csr", "install"]);
    assert!(
        error.contains("not signed by an authority that its users trust"),
        "{error}"
    );
}
