use super::*;
use crate::pki::{KeyAlgorithm, NewAuthority, certificates_from_pem};

macro_rules! kubeadm {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/kubeadm/", $name)).as_slice()
    };
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn validity(from: &str, to: &str) -> Validity {
    Validity {
        not_before: time(from),
        not_after: time(to),
    }
}

fn kubeadm_authority() -> CertificateAuthority {
    CertificateAuthority::new(
        &certificates_from_pem(kubeadm!("ca.crt")).unwrap(),
        PrivateKey::from_pem(kubeadm!("ca.key")).unwrap(),
    )
    .unwrap()
}

fn first(text: &[u8]) -> Certificate {
    certificates_from_pem(text).unwrap().remove(0)
}

fn authority(from: &str, to: &str) -> CertificateAuthority {
    CertificateAuthority::generate(&NewAuthority {
        common_name: "etcd-ca".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP384,
        not_before: time(from),
        not_after: time(to),
    })
    .unwrap()
}

fn leaf() -> NewLeaf {
    NewLeaf {
        common_name: "n".to_owned(),
        organizations: vec![],
        subject_alt_names: vec![],
        server_auth: false,
        client_auth: true,
    }
}

fn extensions(certificate: &Certificate) -> Vec<&[u8]> {
    certificate
        .extensions
        .iter()
        .map(|extension| extension.der.as_slice())
        .collect()
}

#[test]
fn kubeadms_own_certificate_is_made_again_byte_for_byte() {
    let old = first(kubeadm!("apiserver.crt"));
    let key = PrivateKey::from_pem(kubeadm!("apiserver.key")).unwrap();
    let same = Validity {
        not_before: old.not_before,
        not_after: old.not_after,
    };
    let new = reissue(&old, &key, &kubeadm_authority(), same, old.not_before).unwrap();

    let parts = |certificate: &Certificate| {
        let elements = |der: &[u8]| -> Vec<Vec<u8>> {
            let elements = super::super::der::elements(der).unwrap();
            elements
                .iter()
                .map(|element| element.whole.to_vec())
                .collect()
        };
        let outer = elements(certificate.der());
        let mut tbs = elements(&outer[0]);
        let serial = tbs.remove(1);
        (tbs, serial, outer[1].clone())
    };
    let (old_tbs, old_serial, old_algorithm) = parts(&old);
    let (new_tbs, new_serial, new_algorithm) = parts(&new);
    assert_eq!(new_tbs, old_tbs);
    assert_eq!(new_algorithm, old_algorithm);
    assert_ne!(new_serial, old_serial);
}

#[test]
fn a_new_leaf_has_the_extensions_of_kubeadms_in_gos_order() {
    let authority = kubeadm_authority();
    for (text, server_auth, client_auth) in [
        (kubeadm!("apiserver.crt"), true, false),
        (kubeadm!("apiserver-kubelet-client.crt"), false, true),
        (kubeadm!("etcd-server.crt"), true, true),
    ] {
        let by_kubeadm = first(text);
        let new = NewLeaf {
            common_name: by_kubeadm.common_name.clone().unwrap(),
            organizations: by_kubeadm.organizations.clone(),
            subject_alt_names: by_kubeadm.subject_alt_names.clone(),
            server_auth,
            client_auth,
        };
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let made = new
            .sign(
                &key,
                &authority,
                validity("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
            )
            .unwrap();
        assert_eq!(made.subject_der, by_kubeadm.subject_der);
        // kubeadm before 1.23 left basicConstraints out; it stands third, where Go puts it.
        let mut rest = made.clone();
        let constraints = rest.extensions.remove(2);
        assert!(constraints.is(extension::BASIC_CONSTRAINTS) && constraints.critical);
        assert_eq!(constraints.value, [0x30, 0]);
        // The etcd CA of the fixture has another key identifier.
        let strip = |certificate: &Certificate| {
            let mut certificate = certificate.clone();
            certificate
                .extensions
                .retain(|one| !one.is(extension::AUTHORITY_KEY_ID));
            certificate
        };
        assert_eq!(extensions(&strip(&rest)), extensions(&strip(&by_kubeadm)));
        assert_eq!(
            made.authority_key_id,
            authority.certificate().subject_key_id
        );
        assert!(made.is_signed_by(authority.certificate()));
    }
}

#[test]
fn a_new_authority_looks_like_kubeadms() {
    let made = authority("2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z");
    let (made, by_kubeadm) = (made.certificate(), kubeadm_authority());
    assert!(made.is_self_signed() && made.is_ca);
    assert_eq!(made.subject, "CN=etcd-ca");
    let kubeadms = extensions(by_kubeadm.certificate());
    let mades = extensions(made);
    assert_eq!(mades[..2], kubeadms[..2]);
    assert!(made.extensions[2].is(extension::SUBJECT_KEY_ID));
    // As kubeadm does since 1.22.
    assert_eq!(
        made.subject_alt_names,
        [SubjectAltName::Dns("etcd-ca".to_owned())]
    );
    assert_eq!(made.authority_key_id, None);
}

#[test]
fn validity_never_leaves_the_authoritys() {
    let authority = authority("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let old = leaf()
        .sign(
            &key,
            &authority,
            validity("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        )
        .unwrap();
    let new = reissue(
        &old,
        &key,
        &authority,
        validity("2025-12-31T23:55:00Z", "2027-06-01T00:00:00Z"),
        time("2026-01-01T00:00:00Z"),
    )
    .unwrap();
    assert_eq!(new.not_before, authority.certificate().not_before);
    assert_eq!(new.not_after, authority.certificate().not_after);

    let beyond = reissue(
        &old,
        &key,
        &authority,
        validity("2027-02-01T00:00:00Z", "2027-06-01T00:00:00Z"),
        time("2026-12-31T00:00:00Z"),
    );
    assert!(matches!(beyond, Err(IssueError::NoValidity { .. })));
}

#[test]
fn an_authority_outside_its_validity_does_not_sign() {
    let authority = authority("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let asked = validity("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
    let old = leaf().sign(&key, &authority, asked).unwrap();
    for (now, reason) in [
        (
            "2025-12-31T23:59:59Z",
            "CN=etcd-ca is not valid before 2026-01-01T00:00:00Z",
        ),
        (
            "2027-01-01T00:00:01Z",
            "CN=etcd-ca is expired since 2027-01-01T00:00:00Z",
        ),
    ] {
        let error = reissue(&old, &key, &authority, asked, time(now)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn an_authority_is_never_renewed_as_a_leaf() {
    let authority = kubeadm_authority();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let old = authority.certificate();
    let asked = validity("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
    let error = reissue(old, &key, &authority, asked, asked.not_before).unwrap_err();
    assert!(matches!(error, IssueError::OldIsAuthority { .. }));
}

#[test]
fn version_1_is_followed_by_version_3_with_an_authority_key_id() {
    let authority = kubeadm_authority();
    let old = first(include_bytes!("../../../tests/data/version1.crt"));
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let asked = validity("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
    let new = reissue(&old, &key, &authority, asked, asked.not_before).unwrap();
    assert_eq!(new.subject_der, old.subject_der);
    assert_eq!(new.extensions.len(), 1);
    assert_eq!(new.authority_key_id, authority.certificate().subject_key_id);
}

#[test]
fn more_names_stand_behind_those_that_are_there_and_nothing_else_changes() {
    let old = first(kubeadm!("apiserver.crt"));
    let key = PrivateKey::from_pem(kubeadm!("apiserver.key")).unwrap();
    let same = Validity {
        not_before: old.not_before,
        not_after: old.not_after,
    };
    let more = [
        SubjectAltName::Dns("*.more.example".to_owned()),
        old.subject_alt_names[0].clone(),
        SubjectAltName::Ip("2001:db8::1".parse().unwrap()),
        SubjectAltName::Dns("*.more.example".to_owned()),
    ];
    let authority = kubeadm_authority();
    let named = |old: &Certificate| {
        reissue_with_names(old, &more, &key, &authority, same, same.not_before).unwrap()
    };
    let new = named(&old);
    let (kept, added) = new.subject_alt_names.split_at(old.subject_alt_names.len());
    assert_eq!(kept, old.subject_alt_names);
    assert_eq!(added, [more[0].clone(), more[2].clone()]);
    let without_names = |certificate: &Certificate| {
        let mut extensions = certificate.extensions.clone();
        extensions.retain(|extension| !extension.is(extension::SUBJECT_ALT_NAME));
        extensions
    };
    assert_eq!(without_names(&new), without_names(&old));
    assert_eq!(new.subject_der, old.subject_der);
    // A client's has none so far.
    let client = first(kubeadm!("apiserver-kubelet-client.crt"));
    let names = named(&client).subject_alt_names;
    assert_eq!(names.len(), 3);
}

/// RFC 5280 §4.2.1.6: the names are critical where the subject is empty, and only there.
#[test]
fn new_names_are_critical_where_there_is_no_subject_at_all() {
    let authority = authority("2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z");
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let asked = validity("2026-02-01T00:00:00Z", "2027-02-01T00:00:00Z");
    let names = [SubjectAltName::Dns("a.example".to_owned())];
    // OU=edge
    let unit = b"\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x0b\x0c\x04edge".as_slice();
    let signed = |subject: &[u8], names: &[SubjectAltName]| {
        let leaf = NewLeaf {
            common_name: String::new(),
            subject_alt_names: names.to_vec(),
            ..leaf()
        };
        let recipient = Recipient {
            public_key: &key.public_key_der(),
            subject: Some(subject),
            serial: None,
        };
        leaf.sign_for(recipient, &authority, asked).unwrap()
    };
    let is_critical = |certificate: &Certificate| {
        let mut extensions = certificate.extensions.iter();
        let names = extensions.find(|one| one.is(extension::SUBJECT_ALT_NAME));
        names.unwrap().critical
    };
    for (subject, is_empty) in [(unit, false), (&[0x30, 0], true)] {
        assert_eq!(is_critical(&signed(subject, &names)), is_empty);
        let old = signed(subject, &[]);
        let now = asked.not_before;
        let new = reissue_with_names(&old, &names, &key, &authority, asked, now).unwrap();
        assert_eq!(is_critical(&new), is_empty);
    }
}
