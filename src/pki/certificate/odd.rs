//! Certificates that are odd and valid, or that Kubernetes' own reader (Go's) takes.

use super::*;
use crate::pki::{
    CertificateAuthority, KeyAlgorithm, PrivateKey, SignedBy, Validity, check_successor, der,
    reissue,
};

/// The parts of a certificate as DER.
struct Parts {
    version: Vec<u8>,
    serial: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    not_before: Vec<u8>,
    not_after: Vec<u8>,
    subject: Vec<u8>,
    public_key: Vec<u8>,
    after_key: Vec<u8>,
    extensions: Vec<Vec<u8>>,
    signature: Vec<u8>,
}

fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = match contents.len() {
        short @ ..0x80 => vec![short as u8],
        long @ ..0x100 => vec![0x81, long as u8],
        longer => vec![0x82, (longer >> 8) as u8, longer as u8],
    };
    [&[tag], length.as_slice(), contents].concat()
}

fn common_name(tag: u8, value: &[u8]) -> Vec<u8> {
    let attribute = der::sequence(&[der::oid(&[2, 5, 4, 3]), tagged(tag, value)]);
    tagged(der::SET, &attribute)
}

fn written(number: u64, value: &[u8]) -> Vec<u8> {
    der::sequence(&[
        der::oid(&[2, 5, 29, number]),
        tagged(der::OCTET_STRING, value),
    ])
}

const EMPTY_SET: &[u8] = &[0x31, 0];

impl Parts {
    fn usual() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        Self {
            version: tagged(0xa0, &[2, 1, 2]),
            serial: vec![2, 1, 7],
            algorithm: der::sequence(&[der::oid(&[1, 2, 840, 10045, 4, 3, 2])]),
            issuer: der::sequence(&[common_name(0x13, b"kubernetes")]),
            not_before: tagged(0x17, b"260101000000Z"),
            not_after: tagged(0x17, b"270101000000Z"),
            subject: der::sequence(&[common_name(0x13, b"kube-apiserver")]),
            public_key: key.public_key_der(),
            after_key: vec![],
            extensions: vec![],
            signature: der::bit_string(&[1, 2, 3]),
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut parts = Self::usual();
        change(&mut parts);
        parts
    }

    fn der(&self) -> Vec<u8> {
        let mut fields = vec![
            self.version.clone(),
            self.serial.clone(),
            self.algorithm.clone(),
            self.issuer.clone(),
            der::sequence(&[&self.not_before, &self.not_after]),
            self.subject.clone(),
            self.public_key.clone(),
            self.after_key.clone(),
        ];
        if !self.extensions.is_empty() {
            fields.push(tagged(0xa3, &der::sequence(&self.extensions)));
        }
        let signed = tagged(der::SEQUENCE, &fields.concat());
        let parts = [signed, self.algorithm.clone(), self.signature.clone()];
        tagged(der::SEQUENCE, &parts.concat())
    }

    fn certificate(&self) -> Certificate {
        Certificate::from_der(&self.der()).unwrap()
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn next_year() -> Validity {
    Validity {
        not_before: time("2027-01-01T00:00:00Z"),
        not_after: time("2028-01-01T00:00:00Z"),
    }
}

/// A CA of that subject, made by hand.
fn authority(subject: Vec<u8>) -> CertificateAuthority {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let certificate = Parts::with(|parts| {
        parts.issuer = subject.clone();
        parts.subject = subject;
        parts.not_after = tagged(0x18, b"20560101000000Z");
        parts.public_key = key.public_key_der();
        parts.extensions = vec![written(19, &[0x30, 3, 1, 1, 0xff])];
    });
    CertificateAuthority::new(&[certificate.certificate()], key).unwrap()
}

/// The successor of an odd certificate, which passes every check.
fn succeed(old: &Certificate, authority: &CertificateAuthority) -> Certificate {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let now = time("2027-01-01T00:00:00Z");
    let new = reissue(old, &key, authority, next_year(), now).unwrap();
    let trusted = [authority.certificate().clone()];
    check_successor(old, &new, &key, &trusted, now).unwrap();
    new
}

#[test]
fn an_empty_part_of_a_name_is_no_obstacle() {
    // The issue's: in the leaf's subject, and in the CA's.
    let odd = der::sequence(&[EMPTY_SET.to_vec(), common_name(0x0c, b"kubernetes")]);
    for subject in [odd, der::sequence(&[EMPTY_SET]), vec![0x30, 0]] {
        let plain = authority(der::sequence(&[common_name(0x13, b"kubernetes")]));
        let leaf = Parts::with(|parts| parts.subject = subject.clone()).certificate();
        let new = succeed(&leaf, &plain);
        assert_eq!(new.subject_der, subject);

        let odd_authority = authority(subject.clone());
        let new = succeed(&Parts::usual().certificate(), &odd_authority);
        assert_eq!(new.issuer_der, subject);
        assert_eq!(new.signed_by(odd_authority.certificate()), SignedBy::Yes);
    }
}

#[test]
fn bytes_behind_the_contents_of_an_extension_are_kept() {
    let names = der::sequence(&[tagged(0x82, b"a.example.net"), tagged(0x87, &[10, 0, 0, 1])]);
    let values: [(u64, Vec<u8>); 6] = [
        (14, tagged(4, b"an id")),
        (15, vec![3, 2, 5, 0xa0]),
        (17, names),
        (19, vec![0x30, 0]),
        (35, tagged(0x30, &tagged(0x80, b"the CA"))),
        (37, der::sequence(&[der::oid(&[1, 3, 6, 1, 5, 5, 7, 3, 1])])),
    ];
    let clean = Parts::with(|parts| {
        parts.extensions = values
            .iter()
            .map(|(number, value)| written(*number, value))
            .collect();
    });
    let clean = clean.certificate();
    let authority = authority(clean.issuer_der.clone());
    for (odd, _) in &values {
        let leaf = Parts::with(|parts| {
            parts.extensions = values
                .iter()
                .map(|(number, value)| {
                    let behind: &[u8] = if number == odd { &[5, 0, 1] } else { &[] };
                    written(*number, &[value, behind].concat())
                })
                .collect();
        });
        let leaf = leaf.certificate();
        assert_eq!(leaf.subject_alt_names, clean.subject_alt_names);
        assert_eq!(leaf.key_usage, clean.key_usage);
        assert_eq!(leaf.extended_key_usage, clean.extended_key_usage);
        assert_eq!(leaf.subject_key_id, clean.subject_key_id);
        assert_eq!(leaf.authority_key_id, clean.authority_key_id);
        assert!(!leaf.is_ca);
        let new = succeed(&leaf, &authority);
        let copied = |certificate: &Certificate| -> Vec<Vec<u8>> {
            let identifiers = [extension::SUBJECT_KEY_ID, extension::AUTHORITY_KEY_ID];
            let all = certificate.extensions.iter();
            all.filter(|one| !identifiers.iter().any(|id| one.is(id)))
                .map(|one| one.der.clone())
                .collect()
        };
        assert_eq!(copied(&new), copied(&leaf), "{odd}");
    }
}

#[test]
fn what_an_extension_says_that_nobody_understands_is_kept_and_compared() {
    let authority = authority(der::sequence(&[common_name(0x13, b"kubernetes")]));
    // No list of names, an empty one, and one of odd names; usages that are no numbers; a number nobody knows, critical.
    let odd_names = der::sequence(&[
        tagged(0xa0, &der::oid(&[1, 2, 3])),
        tagged(0xa3, &[]),
        tagged(0x87, &[10, 0, 1]),
        tagged(0x82, b"\xff"),
        tagged(0x9e, b"x"),
    ]);
    let unknown = der::sequence(&[
        der::oid(&[1, 3, 6, 1, 4, 1, 99_999, 1]),
        vec![1, 1, 0xff],
        vec![4, 1, 9],
    ]);
    for one in [
        written(17, b"no list"),
        written(17, &[0x30, 0]),
        written(17, &odd_names),
        written(37, &[0x30, 0]),
        written(37, &[0x30, 2, 5, 0]),
        written(15, &[3, 0]),
        unknown,
    ] {
        let leaf = Parts::with(|parts| parts.extensions = vec![one.clone()]).certificate();
        let new = succeed(&leaf, &authority);
        assert_eq!(new.extensions[0].der, one);
        let mut without = new.clone();
        without.extensions.clear();
        without.subject_alt_names.clear();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let trusted = [authority.certificate().clone()];
        assert!(check_successor(&leaf, &without, &key, &trusted, next_year().not_before).is_err());
    }
}

#[test]
fn odd_numbers_times_and_versions_are_read() {
    let serials: [(&[u8], &str); 5] = [
        (&[0], "00"),
        (&[0x80], "80"),
        (&[0, 0x80], "80"),
        (&[0x7f; 21], &"7f".repeat(21)),
        (&[0xff, 0xff], "ffff"),
    ];
    for (serial, shown) in serials {
        let leaf = Parts::with(|parts| parts.serial = tagged(der::INTEGER, serial));
        assert_eq!(leaf.certificate().serial, shown);
    }
    for (written, end) in [
        (
            tagged(0x18, b"20300101000000Z"),
            time("2030-01-01T00:00:00Z"),
        ),
        (
            tagged(0x18, b"99991231235959Z"),
            crate::pki::moment::from_second(253_402_300_799),
        ),
        (tagged(0x17, b"3001010000Z"), time("2030-01-01T00:00:00Z")),
        (
            tagged(0x18, b"00000101000000Z"),
            time("0000-01-01T00:00:00Z"),
        ),
    ] {
        let leaf = Parts::with(|parts| parts.not_after = written);
        assert_eq!(leaf.certificate().not_after, end);
    }
    let leaf = Parts::with(|parts| parts.not_after = tagged(0x18, b"99991231235959Z"));
    let end = crate::pki::rfc3339(leaf.certificate().not_after);
    assert_eq!(end, "9999-12-31T23:59:59Z");
    let authority = authority(Parts::usual().issuer);
    for version in [vec![], tagged(0xa0, &[2, 1, 1]), tagged(0xa0, &[2, 1, 9])] {
        let leaf = Parts::with(|parts| parts.version = version).certificate();
        assert!(!leaf.has_other_fields);
        succeed(&leaf, &authority);
    }
    // Unique identifiers.
    let leaf =
        Parts::with(|parts| parts.after_key = [&[0x81, 2, 0, 1], &[0x82, 1, 0][..]].concat());
    let leaf = leaf.certificate();
    assert!(leaf.has_other_fields);
    assert!(!succeed(&leaf, &authority).has_other_fields);
}

#[test]
fn keys_of_every_kind_are_followed_by_one_that_can_be_made() {
    let authority = authority(Parts::usual().issuer);
    let key_of = |numbers: &[u64]| {
        der::sequence(&[
            der::sequence(&[der::oid(numbers)]),
            der::bit_string(&[9; 64]),
        ])
    };
    for public_key in [
        key_of(&[1, 3, 101, 113]),
        key_of(&[2, 16, 840, 1, 101, 3, 4, 3, 18]),
        key_of(&[1, 2, 3, 4]),
        vec![0x30, 0],
    ] {
        let leaf = Parts::with(|parts| parts.public_key = public_key).certificate();
        succeed(&leaf, &authority);
    }
}

#[test]
fn a_leaf_that_says_ca_is_followed_by_one_that_does_not() {
    let authority = authority(Parts::usual().issuer);
    let constraints = written(19, &[0x30, 6, 1, 1, 0xff, 2, 1, 0]);
    let named = written(17, &der::sequence(&[tagged(0x82, b"kubernetes")]));
    for (usage, kept) in [
        // digitalSignature, keyEncipherment, keyCertSign and cRLSign
        (&[3_u8, 2, 1, 0xa6], 0b101),
        // keyCertSign alone
        (&[3, 2, 2, 4], 0b101),
        // digitalSignature and keyCertSign
        (&[3, 2, 2, 0x84], 0b1),
    ] {
        let leaf = Parts::with(|parts| {
            parts.extensions = vec![
                written(15, usage),
                constraints.clone(),
                written(30, &[0x30, 0]),
                named.clone(),
            ];
        });
        let leaf = leaf.certificate();
        assert!(leaf.is_ca);
        let new = succeed(&leaf, &authority);
        assert!(!new.is_ca);
        assert_eq!(new.key_usage, Some(kept));
        assert_eq!(new.subject_alt_names, leaf.subject_alt_names);
        assert_eq!(new.extensions.len(), 3);
    }
}

#[test]
fn what_kubernetes_cannot_read_says_why_in_words() {
    let usual = Parts::usual().der();
    let twice = Parts::with(|parts| {
        parts.extensions = vec![written(17, &[0x30, 0]), written(17, &[0x30, 0])];
    });
    let no_date = Parts::with(|parts| parts.not_after = tagged(0x17, b"999999999999Z"));
    let no_subject = Parts::with(|parts| parts.subject = vec![5, 0]);
    let indefinite = [&[0x30, 0x80], &usual[4..], &[0, 0]].concat();
    for (der, reason) in [
        (twice.der(), "extension 2.5.29.17 is there twice"),
        (no_date.der(), "the end of its validity is no date"),
        (no_subject.der(), "its subject is not what X.509 has there"),
        (indefinite, "indefinite length"),
        (usual[..usual.len() - 1].to_vec(), "ends too soon"),
        (vec![], "ends too soon"),
    ] {
        let error = Certificate::from_der(&der).unwrap_err().to_string();
        assert!(error.starts_with("damaged certificate: "), "{error}");
        assert!(error.contains(reason), "{error}");
        let is_a_name = |word: &str| word.chars().filter(char::is_ascii_uppercase).count() > 1;
        let names = error.split_whitespace().filter(|word| is_a_name(word));
        let unknown: Vec<&str> = names
            .filter(|word| !["BER", "DER", "X.509"].contains(word))
            .collect();
        assert!(unknown.is_empty(), "{error}");
    }
}
