use super::*;
use crate::pki::der;
use crate::pki::tbs::key_id;
use crate::pki::{KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, certificates_from_pem, name};
use jiff::Timestamp;

const BASIC_CONSTRAINTS_0: &[u8] = &[0x30, 6, 0x01, 1, 0xff, 0x02, 1, 0];

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn old_validity() -> Validity {
    Validity {
        not_before: time("2026-01-01T00:00:00Z"),
        not_after: time("2027-01-01T00:00:00Z"),
    }
}

fn new_validity() -> Validity {
    Validity {
        not_before: time("2026-12-30T00:00:00Z"),
        not_after: time("2036-12-30T00:00:00Z"),
    }
}

fn kubeadms(common_name: &str) -> CertificateAuthority {
    CertificateAuthority::generate(&NewAuthority {
        common_name: common_name.to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: old_validity().not_before,
        not_after: old_validity().not_after,
    })
    .unwrap()
}

fn with(extensions: Vec<Extension>) -> CertificateAuthority {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let subject = name::encode("kubernetes", &[]);
    let certificate = TbsCertificate {
        issuer: &subject,
        subject: &subject,
        validity: old_validity(),
        public_key: &key.public_key_der(),
        serial: None,
        extensions,
    }
    .sign(&key)
    .unwrap();
    CertificateAuthority::new(&[certificate], key).unwrap()
}

fn extended(authority: &CertificateAuthority) -> Certificate {
    extend(authority, new_validity()).unwrap()
}

fn leaf(authority: &CertificateAuthority) -> Certificate {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    NewLeaf {
        common_name: "leaf".to_owned(),
        organizations: vec![],
        subject_alt_names: vec![],
        server_auth: true,
        client_auth: false,
    }
    .sign(&key, authority, old_validity())
    .unwrap()
}

#[test]
fn all_but_serial_end_and_signature_stays() {
    let authority = kubeadms("kubernetes");
    let (old, new) = (authority.certificate(), extended(&authority));
    assert_ne!(new.serial, old.serial);
    assert_eq!(new.not_after, new_validity().not_after);
    assert!(new.is_self_signed() && is_of_one_authority(old, &new));
    let same = Certificate {
        der: old.der.clone(),
        serial: old.serial.clone(),
        not_after: old.not_after,
        ..new.clone()
    };
    assert_eq!(&same, old);
    assert!(leaf(&authority).is_signed_by(&new));
}

#[test]
fn identifier_and_path_length_stay_as_they_are() {
    let odd = b"not a hash of anything";
    let authority = with(vec![
        Extension::new(
            extension::BASIC_CONSTRAINTS,
            true,
            BASIC_CONSTRAINTS_0.to_vec(),
        ),
        Extension::subject_key_id(odd),
    ]);
    assert_ne!(key_id(authority.key()), odd);
    let new = extended(&authority);
    assert_eq!(new.extensions, authority.certificate().extensions);
    assert_eq!(new.subject_key_id.as_deref(), Some(odd.as_slice()));
    assert_eq!(new.path_length(), Some(0));
    let leaf = leaf(&authority);
    assert!(leaf.may_name_key_of(&new) && leaf.is_signed_by(&new));
    assert_eq!(kubeadms("x").certificate().path_length(), None);
}

#[test]
fn one_without_an_identifier_gets_none() {
    let authority = with(vec![Extension::basic_constraints(true)]);
    let new = extended(&authority);
    assert_eq!(new.subject_key_id, None);
    assert_eq!(new.extensions, authority.certificate().extensions);
}

/// As OpenSSL makes it with `authorityKeyIdentifier = keyid,issuer`: with the old serial number OpenSSL would not take the new one for
/// self-signed.
#[test]
fn what_names_the_old_one_itself_names_the_key_alone() {
    let id = b"id".as_slice();
    let implicit = |number, bytes: &[u8]| {
        yasna::construct_der(|writer| {
            let tag = yasna::Tag::context(number);
            writer.write_tagged_implicit(tag, |writer| writer.write_bytes(bytes));
        })
    };
    let by_serial = der::sequence(&[implicit(0, id), implicit(2, &[7])]);
    for (identifier, left) in [
        (Some(id), Some(Extension::authority_key_id(id))),
        (None, None),
    ] {
        let mut all = vec![
            Extension::basic_constraints(true),
            Extension::new(extension::AUTHORITY_KEY_ID, false, by_serial.clone()),
        ];
        all.extend(identifier.map(Extension::subject_key_id));
        let authority = with(all);
        assert!(authority.certificate().names_one_issuing_certificate());
        let new = extended(&authority);
        assert!(!new.names_one_issuing_certificate());
        let own = new.extensions.iter();
        let own: Vec<&Extension> = own
            .filter(|one| one.is(extension::AUTHORITY_KEY_ID))
            .collect();
        assert_eq!(own, left.iter().collect::<Vec<_>>());
    }
    // By the key alone it stays.
    let authority = with(vec![
        Extension::authority_key_id(id),
        Extension::basic_constraints(true),
        Extension::subject_key_id(id),
    ]);
    assert_eq!(
        extended(&authority).extensions,
        authority.certificate().extensions
    );
    assert!(!leaf(&authority).names_one_issuing_certificate());
}

#[test]
fn it_begins_no_later_and_ends_when_asked() {
    let authority = kubeadms("kubernetes");
    assert_eq!(
        extended(&authority).not_before,
        authority.certificate().not_before
    );
    let ahead = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: time("2028-01-01T00:00:00Z"),
        not_after: time("2029-01-01T00:00:00Z"),
    })
    .unwrap();
    assert_eq!(extended(&ahead).not_before, new_validity().not_before);
    let backwards = Validity {
        not_before: new_validity().not_before,
        not_after: old_validity().not_before,
    };
    let error = extend(&authority, backwards);
    assert!(matches!(error, Err(IssueError::NoValidity { .. })));
}

#[test]
fn what_another_ca_signed_is_refused() {
    let authority = kubeadms("kubernetes");
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let subject = name::encode("intermediate", &[]);
    let below = TbsCertificate {
        issuer: &authority.certificate().subject_der,
        subject: &subject,
        validity: old_validity(),
        public_key: &key.public_key_der(),
        serial: None,
        extensions: vec![Extension::basic_constraints(true)],
    }
    .sign(authority.key())
    .unwrap();
    let below = CertificateAuthority::new(&[below], key).unwrap();
    let error = extend(&below, new_validity()).unwrap_err();
    assert!(
        error.to_string().contains("signed by CN=kubernetes"),
        "{error}"
    );
}

#[test]
fn the_new_one_takes_the_old_ones_place_in_a_bundle() {
    let (authority, first, last) = (kubeadms("kubernetes"), kubeadms("a"), kubeadms("b"));
    let new = extended(&authority);
    let pem = |certificate: &Certificate| certificates_to_pem([certificate]);
    let [first, old, last, renewed] = [
        first.certificate(),
        authority.certificate(),
        last.certificate(),
        &new,
    ]
    .map(pem);
    let around = "# of the old days\n";
    let crlf = first.replace('\n', "\r\n");
    let text = format!("{around}{crlf}{old}# between\n{last}{around}");
    let wanted = format!("{around}{crlf}{renewed}# between\n{last}{around}");
    let edited = with_successor(text.as_bytes(), &new).unwrap().unwrap();
    assert_eq!(String::from_utf8(edited).unwrap(), wanted);
    assert_eq!(with_successor(wanted.as_bytes(), &new), Ok(None));
    assert_eq!(with_successor(first.as_bytes(), &new), Ok(None));

    // Of several of one CA one stays: whoever signs with it takes a file of one only.
    for twice in [
        format!("{old}{last}{renewed}"),
        format!("{renewed}{last}{old}"),
    ] {
        let edited = with_successor(twice.as_bytes(), &new).unwrap().unwrap();
        assert_eq!(
            String::from_utf8(edited).unwrap(),
            format!("{renewed}{last}")
        );
    }
    // With another identifier it is another CA to OpenSSL.
    let mut other = authority.certificate().clone();
    other.subject_key_id = None;
    assert!(!is_of_one_authority(&other, &new));

    let key = authority.key().to_pem().unwrap();
    let with_key = format!("{}{old}", key.as_str());
    let edited = with_successor(with_key.as_bytes(), &new).unwrap().unwrap();
    assert!(edited.starts_with(key.as_bytes()));
    assert_eq!(
        certificates_from_pem(&edited).unwrap(),
        std::slice::from_ref(&new)
    );
    assert!(with_successor(&text.as_bytes()[..text.len() / 2], &new).is_err());
}
