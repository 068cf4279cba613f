//! In whose hands the files may be of certificates that are not kubeadm's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::described::renew_in_vain;
use kubecertd::pki::{
    Certificate, CertificateAuthority, KeyAlgorithm, NewLeaf, PrivateKey, certificates_to_pem,
};
use testkit::others::{HAPROXY, HAPROXY_TABLE, close, due, due_of, put, server_leaf};
use testkit::pair::{Pair, authority};
use testkit::tree::Tree;
use testkit::{Node, contents, said};

/// The user who is named as owner.
const OWNER: u32 = 1234;

fn to_owner(tree: &Tree, path: &str) {
    chown(tree.path(path), Some(OWNER), None).unwrap();
}

/// Writes certificate and key, which the owner has, and the table that says so.
fn put_as_owner(node: &Node, pair: &Pair, issuer: &str) {
    put(node, HAPROXY, pair);
    to_owner(node, HAPROXY.0);
    to_owner(node, HAPROXY.1);
    let table = HAPROXY_TABLE.replace("issuer = \"ca\"\n", issuer);
    node.configure(&format!("{table}owner = \"{OWNER}\"\n"));
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    for at in 0..=bytes.len() - old.len() {
        if bytes[at..].starts_with(old) {
            bytes[at..at + new.len()].copy_from_slice(new);
        }
    }
    bytes
}

/// Whoever else can write a file or a directory above it could have root renew, or write, what he likes.
#[test]
fn nothing_is_written_where_others_could_have_put_it() {
    for (path, mode) in [
        ("/etc/haproxy", 0o777),
        ("/etc/haproxy", 0o1777),
        ("/etc/haproxy", 0o775),
        ("/etc", 0o757),
        (HAPROXY.0, 0o666),
        (HAPROXY.1, 0o620),
    ] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        fs::set_permissions(node.path(path), Permissions::from_mode(mode)).unwrap();
        let told = renew_in_vain(&node, "haproxy");
        assert!(
            told.contains("written by others"),
            "{path} {mode:o}: {told}"
        );
        let plan = said(&node.run(&["plan", "-o", "json"]));
        assert!(plan.contains("not-replaceable"), "{plan}");
        fs::set_permissions(node.path(path), Permissions::from_mode(mode & !0o022)).unwrap();
        assert!(node.run(&["renew", "haproxy"]).status.success(), "{path}");
    }
    for path in ["/etc/haproxy", HAPROXY.0, HAPROXY.1] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        chown(node.path(path), Some(1234), None).unwrap();
        let told = renew_in_vain(&node, "haproxy");
        assert!(told.contains("belongs to user 1234"), "{told}");
        // Another than the one that is named.
        node.configure(&format!("{HAPROXY_TABLE}owner = \"4321\"\n"));
        assert!(renew_in_vain(&node, "haproxy").contains("user 1234"));
        node.configure(&format!("{HAPROXY_TABLE}owner = \"1234\"\n"));
        let output = node.run(&["renew", "haproxy"]);
        assert!(output.status.success(), "{path}: {}", said(&output));
    }
}

/// An owner who has the key of an old certificate of an administrator's would have it renewed for ever.
#[test]
fn a_client_of_the_api_server_is_not_renewed_in_the_hands_of_another_user() {
    let node = Node::fresh();
    let stolen = NewLeaf {
        common_name: "kubernetes-admin".to_owned(),
        organizations: vec!["system:masters".to_owned()],
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    put(&node, HAPROXY, &Pair::sign(&stolen, &node.ca, due()));
    chown(node.path(HAPROXY.0), Some(1234), None).unwrap();
    node.configure(&format!("{HAPROXY_TABLE}owner = \"1234\"\n"));
    let told = renew_in_vain(&node, "haproxy");
    assert!(told.contains("by a client"), "{told}");
    // Root's own may be whatever root put there.
    chown(node.path(HAPROXY.0), Some(0), None).unwrap();
    assert!(node.run(&["renew", "haproxy"]).status.success());
}

#[test]
fn a_link_on_the_way_is_not_followed_out_of_the_place() {
    for link in [HAPROXY.0, HAPROXY.1, "/etc/haproxy"] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        let elsewhere = node.place("/opt/elsewhere/x");
        fs::rename(node.path(link), &elsewhere).unwrap();
        symlink("/opt/elsewhere/x", node.path(link)).unwrap();
        let before = contents(&node.path("/opt"));
        let output = node.run(&["renew", "haproxy"]);
        let told = said(&output);
        let followed = link == "/etc/haproxy";
        assert_eq!(output.status.success(), followed, "{link}: {told}");
        assert_eq!(contents(&node.path("/opt")) == before, !followed, "{link}");
        if followed {
            // Root's links alone are followed; others' are not.
            std::os::unix::fs::lchown(node.path(link), Some(1234), None).unwrap();
            assert!(!node.run(&["renew", "haproxy", "--force"]).status.success());
        }
    }
}

/// Names are easily written; and of a signature that nothing here can check nobody knows whose it is.
#[test]
fn what_an_owner_wrote_himself_is_not_signed() {
    const SHA256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    const SHA224: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x01";
    let node = Node::fresh();
    let validity = due();
    let own = authority("kubernetes", validity.not_before, validity.not_after);
    let forged = Pair::sign(&server_leaf(), &own, validity);
    let key_id = |of: &CertificateAuthority| of.certificate().subject_key_id.clone().unwrap();
    let der = replaced(forged.certificate.der(), &key_id(&own), &key_id(&node.ca));
    let forged = Pair {
        certificate: Certificate::from_der(&replaced(&der, SHA256, SHA224)).unwrap(),
        key: forged.key,
    };
    put_as_owner(&node, &forged, "issuer = \"ca\"\n");
    let told = renew_in_vain(&node, "haproxy");
    assert!(
        told.contains("cannot be checked (ECDSA with SHA-224"),
        "{told}"
    );
    assert!(told.contains("user 1234"), "{told}");

    // Nor is it asked for where the key of the CA is elsewhere.
    node.remove("/etc/kubernetes/pki/ca.key");
    let told = said(&node.run(&["run", "--once"]));
    let outbox = fs::read_dir(node.path("/var/lib/kubecertd/outbox"));
    let requests: Vec<_> = outbox.into_iter().flatten().flatten().collect();
    let is_its = |name: &str| name.starts_with("haproxy");
    assert!(
        !requests
            .iter()
            .any(|one| is_its(&one.file_name().to_string_lossy())),
        "{told}"
    );
    assert_eq!(said(&node.run(&["orders"])).matches("haproxy").count(), 0);
}

/// A certificate that every client is shown, with a key file that says no more than that certificate.
#[test]
fn the_certificate_of_another_is_not_renewed_with_a_key_that_proves_nothing() {
    let node = Node::fresh();
    let key = PrivateKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    let certificate = server_leaf().sign(&key, &node.ca, due()).unwrap();
    let public = key.public_key_der();
    put_as_owner(&node, &Pair { certificate, key }, "issuer = \"ca\"\n");
    // PKCS#1 of a version that is not supported: the numbers of the public key, and nothing secret.
    assert_eq!(&public[24..26], [0x30, 0x82]);
    let numbers = &public[28..];
    let inside = [&[2, 1, 1], numbers].concat();
    let length = u16::try_from(inside.len()).unwrap().to_be_bytes();
    let der = [&[0x30, 0x82][..], &length, &inside].concat();
    let pem = pem::encode(&pem::Pem::new("RSA PRIVATE KEY", der));
    node.write(HAPROXY.1, pem);
    let told = renew_in_vain(&node, "haproxy");
    assert!(told.contains("cannot be compared"), "{told}");
    // Root's may be.
    for path in [HAPROXY.0, HAPROXY.1] {
        chown(node.path(path), Some(0), None).unwrap();
    }
    let output = node.run(&["renew", "haproxy"]);
    assert!(output.status.success(), "{}", said(&output));
}

/// Whoever can have a link lead elsewhere chooses the CA.
#[test]
fn a_ca_is_not_reached_through_a_link_of_others() {
    let described = |directory: &str| {
        let (ca, key) = (format!("{directory}/ca.crt"), format!("{directory}/ca.key"));
        format!("ca = \"{ca}\"\nca-key = \"{key}\"\n")
    };
    let node = Node::fresh();
    node.haproxy();
    for home in ["/home/mallory", "/opt/mine"] {
        for end in ["crt", "key"] {
            let link = format!("{home}/ca.{end}");
            node.link(&link, &format!("/etc/kubernetes/pki/ca.{end}"));
            close(&node, &node.path(&link));
        }
    }
    node.link("/opt/pki", "/home/mallory");
    for path in ["ca.crt", "ca.key", ""] {
        let path = node.path("/home/mallory").join(path);
        std::os::unix::fs::lchown(path, Some(OWNER), None).unwrap();
    }
    let configure = |directory: &str, more: &str| {
        let table = HAPROXY_TABLE.replace("issuer = \"ca\"\n", &described(directory));
        node.configure(&(table + more));
    };
    for directory in ["/home/mallory", "/opt/pki"] {
        // Also where that user is the owner.
        for owner in ["", "owner = \"1234\"\n"] {
            configure(directory, owner);
            let told = renew_in_vain(&node, "haproxy");
            assert!(told.contains("user 1234"), "{told}");
            assert!(told.contains("what counts as the CA"), "{told}");
        }
    }
    // One of the two is enough.
    for end in ["crt", "key"] {
        configure("/opt/mine", "");
        let link = node.path(&format!("/opt/mine/ca.{end}"));
        std::os::unix::fs::lchown(&link, Some(OWNER), None).unwrap();
        let told = renew_in_vain(&node, "haproxy");
        assert!(told.contains("what counts as the CA"), "{told}");
        std::os::unix::fs::lchown(&link, Some(0), None).unwrap();
    }
    // Root's links are followed.
    let output = node.run(&["renew", "haproxy"]);
    assert!(output.status.success(), "{}", said(&output));
}

/// A CA that outlasts whatever it signs here.
fn lasting(name: &str) -> CertificateAuthority {
    let ends = due().not_after + jiff::SignedDuration::from_hours(24 * 4000);
    authority(name, due().not_before, ends)
}

/// A CA that this one signed.
fn below(above: &CertificateAuthority, name: &str) -> CertificateAuthority {
    let read = |key: &PrivateKey| rcgen::KeyPair::from_pem(&key.to_pem().unwrap()).unwrap();
    let named = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = rcgen::DnValue::PrintableString(name.try_into().unwrap());
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params
    };
    let name_above = above.certificate().common_name.clone().unwrap();
    let issuer = rcgen::Issuer::new(named(&name_above), read(above.key()));
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let mut params = named(name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let made = params.signed_by(&read(&key), &issuer).unwrap();
    let certificate = Certificate::from_der(made.der()).unwrap();
    assert!(certificate.is_signed_by(above.certificate()));
    CertificateAuthority::new(&[certificate], key).unwrap()
}

#[test]
fn a_client_that_a_ca_below_the_clusters_vouches_for_is_one_as_well() {
    let node = Node::fresh();
    let between = below(&node.ca, "between");
    let lower = below(&between, "lower");
    let elsewhere = lasting("hosts");
    let apart = below(&elsewhere, "apart");
    let client = NewLeaf {
        client_auth: true,
        ..server_leaf()
    };
    // The CA, what lies in its file behind it, and whether it leads to the cluster's.
    for (name, ca, behind, leads) in [
        ("between", &between, None, true),
        ("lower", &lower, Some(&between), true),
        ("apart", &apart, Some(&elsewhere), false),
    ] {
        let file = format!("/etc/hosts-ca/{name}.crt");
        let bundle = std::iter::once(ca).chain(behind);
        let pem = certificates_to_pem(bundle.map(CertificateAuthority::certificate));
        close(&node, &node.write(&file, pem));
        fs::set_permissions(node.path(&file), Permissions::from_mode(0o644)).unwrap();
        let key = node.write(&file.replace("crt", "key"), ca.key().to_pem().unwrap());
        fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
        let pair = Pair::sign(&client, ca, due());
        let of_ca = format!(
            "ca = \"{file}\"\nca-key = \"{}\"\n",
            file.replace("crt", "key")
        );
        put_as_owner(&node, &pair, &of_ca);
        if leads {
            let told = renew_in_vain(&node, "haproxy");
            assert!(told.contains("by a client"), "{name}: {told}");
        } else {
            let output = node.run(&["renew", "haproxy"]);
            assert!(output.status.success(), "{name}: {}", said(&output));
        }
    }
    // What is no client's is.
    put_as_owner(&node, &due_of(&node.ca), "issuer = \"ca\"\n");
    let output = node.run(&["renew", "haproxy"]);
    assert!(output.status.success(), "{}", said(&output));
}

/// The API server may know its clients by a CA that is not kubeadm's.
#[test]
fn whom_the_api_server_takes_for_a_ca_of_clients_lets_clients_in() {
    let node = Node::fresh();
    let hosts = lasting("hosts");
    let client = NewLeaf {
        client_auth: true,
        ..server_leaf()
    };
    let pem = certificates_to_pem([hosts.certificate()]);
    close(&node, &node.write("/etc/hosts-ca/ca.crt", &pem));
    fs::set_permissions(
        node.path("/etc/hosts-ca/ca.crt"),
        Permissions::from_mode(0o644),
    )
    .unwrap();
    let key = node.write("/etc/hosts-ca/ca.key", hosts.key().to_pem().unwrap());
    fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
    let of_ca = "ca = \"/etc/hosts-ca/ca.crt\"\nca-key = \"/etc/hosts-ca/ca.key\"\n";
    put_as_owner(&node, &Pair::sign(&client, &hosts, due()), of_ca);
    let both = certificates_to_pem([node.ca.certificate(), hosts.certificate()]);
    node.write_pki("clients.crt", both);
    node.write(
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver}\nspec:\n  containers:\n  - name: kube-apiserver\n    image: x\n    \
         command: [kube-apiserver, --client-ca-file=/etc/kubernetes/pki/clients.crt]\n    \
         volumeMounts: [{mountPath: /etc/kubernetes/pki, name: pki}]\n  \
         volumes: [{name: pki, hostPath: {path: /etc/kubernetes/pki}}]\n",
    );
    let told = renew_in_vain(&node, "haproxy");
    assert!(told.contains("by a client"), "{told}");
    node.write_pki("clients.crt", certificates_to_pem([node.ca.certificate()]));
    let plan = said(&node.run(&["plan"]));
    assert!(!plan.contains("by a client"), "{plan}");
}
