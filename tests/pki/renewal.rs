//! Properties of a renewal: whatever was in the old certificate is in the new one, and what lacks any of it is refused.
//!
//! The certificates are put together here, independently of the code under test, and read with x509-parser and OpenSSL.

// Helpers of tests are tests to us, though not to clippy.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use kubecertd::pki::{
    Certificate, KeyAlgorithm, PrivateKey, SubjectAltName, SuccessorError, Validity,
    certificates_to_pem, check_stand_in, check_successor, reissue,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use x509_parser::prelude::FromDer as _;
use yasna::TagClass;

use crate::certificates::{AUTHORITIES, BASIC_CONSTRAINTS, Leaf, TestKey, extension, name, sign};
use crate::leaves::{leaf, mutilations};

const HOUR: Duration = Duration::from_secs(3600);

/// The moment at which everything here happens.
static NOW: LazyLock<Timestamp> = LazyLock::new(|| "2030-06-01T12:00:00Z".parse().unwrap());

static OLD_KEY: LazyLock<TestKey> = LazyLock::new(|| TestKey::new(&rcgen::PKCS_ECDSA_P256_SHA256));
static NEW_KEY: LazyLock<TestKey> = LazyLock::new(|| TestKey::new(&rcgen::PKCS_ECDSA_P384_SHA384));

/// Until after now, then.
const OLD: (&str, &str) = ("300101000000Z", "300701000000Z");
const NEW: (&str, &str) = ("300601000000Z", "310601000000Z");

fn renewed(leaf: &Leaf, old: &Certificate, key: &PrivateKey) -> Certificate {
    let validity = Validity {
        not_before: *NOW - Duration::from_secs(300),
        not_after: *NOW + 8760 * HOUR,
    };
    reissue(old, key, &leaf.authority().signing, validity, *NOW).unwrap()
}

/// Number, critical, contents of every extension, in order, key identifiers left out.
fn kept_extensions(certificate: &Certificate) -> Vec<(String, bool, Vec<u8>)> {
    let (_, certificate) =
        x509_parser::certificate::X509Certificate::from_der(certificate.der()).unwrap();
    certificate
        .extensions()
        .iter()
        .map(|one| (one.oid.to_id_string(), one.critical, one.value.to_vec()))
        .filter(|(number, _, _)| number != "2.5.29.14" && number != "2.5.29.35")
        .collect()
}

proptest! {
    #![proptest_config(Config { cases: 96, failure_persistence: None, ..Config::default() })]

    #[test]
    fn everything_is_kept(leaf in leaf()) {
        let old = leaf.build(&OLD_KEY, OLD);
        let key = NEW_KEY.private();
        let new = renewed(&leaf, &old, &key);
        let authority = leaf.authority().signing.certificate();

        prop_assert_eq!(&new.subject_der, &name(&leaf.subject));
        prop_assert_eq!(&new.issuer_der, &leaf.authority().subject);
        prop_assert_eq!(kept_extensions(&new), kept_extensions(&old));
        prop_assert_eq!(&new.subject_alt_names, &old.subject_alt_names);
        prop_assert_eq!(new.key_usage, leaf.key_usage);
        prop_assert_eq!(new.extended_key_usage.len(), leaf.usages.len());
        prop_assert_eq!(&new.authority_key_id, &authority.subject_key_id);
        prop_assert_eq!(new.subject_key_id.is_some(), leaf.subject_key_id);
        prop_assert_ne!(&new.serial, &old.serial);
        prop_assert!(new.is_signed_by(authority));
        prop_assert!(key.matches(&new));
        prop_assert_eq!(
            check_successor(&old, &new, &key, std::slice::from_ref(authority), *NOW),
            Ok(())
        );

        // And once more: a renewal can be renewed, without growing.
        let again = renewed(&leaf, &new, &key);
        prop_assert_eq!(kept_extensions(&again), kept_extensions(&old));
        prop_assert_eq!(again.subject_der, new.subject_der);
    }

    #[test]
    fn names_are_told_apart_by_type(leaf in leaf()) {
        let old = leaf.build(&OLD_KEY, OLD);
        for (raw, name) in leaf.names.iter().zip(&old.subject_alt_names) {
            let tag = yasna::parse_der(raw, |reader| {
                let tag = reader.lookahead_tag();
                reader.read_der()?;
                tag
            }).unwrap();
            prop_assert_eq!(tag.tag_class, TagClass::ContextSpecific);
            let expected = match name {
                SubjectAltName::Email(_) => 1,
                SubjectAltName::Dns(_) => 2,
                SubjectAltName::Uri(_) => 6,
                SubjectAltName::Ip(_) => 7,
                SubjectAltName::Other(der) => {
                    prop_assert_eq!(der, raw);
                    tag.tag_number
                }
            };
            prop_assert_eq!(tag.tag_number, expected);
        }
    }

    #[test]
    fn a_successor_without_any_one_thing_is_refused(leaf in leaf(), which in any::<Index>()) {
        let old = leaf.build(&OLD_KEY, OLD);
        let key = NEW_KEY.private();
        let trusted = [leaf.authority().signing.certificate().clone()];
        let check = |new: &Certificate| check_successor(&old, new, &key, &trusted, *NOW);
        prop_assert_eq!(check(&leaf.build(&NEW_KEY, NEW)), Ok(()));

        for (what, mutilated) in mutilations(&leaf, which) {
            let new = mutilated.build(&NEW_KEY, NEW);
            let result = check(&new);
            prop_assert!(
                matches!(result, Err(SuccessorError::Lacks(_))),
                "{what}: {result:?}"
            );
            prop_assert_eq!(check_stand_in(&old, &new, &key, &trusted, *NOW), result);
        }

        // More than the old one had is no obstacle.
        let mut more = leaf;
        if more.key_usage.is_some() {
            more.key_usage = Some(511);
        }
        if !more.usages.is_empty() {
            more.usages.push(vec![1, 3, 6, 1, 5, 5, 7, 3, 9]);
        }
        more.names.push(vec![0x82, 1, b'x']);
        more.unknown.push((5000, false, vec![]));
        more.order.clear();
        prop_assert_eq!(check(&more.build(&NEW_KEY, NEW)), Ok(()));
    }

    #[test]
    fn a_successor_of_wrong_key_signer_or_time_is_refused(leaf in leaf()) {
        let old = leaf.build(&OLD_KEY, OLD);
        let key = NEW_KEY.private();
        let authority = leaf.authority();
        let trusted = [authority.signing.certificate().clone()];
        let new = leaf.build(&NEW_KEY, NEW);

        prop_assert_eq!(
            check_successor(&old, &new, &OLD_KEY.private(), &trusted, *NOW),
            Err(SuccessorError::KeyMismatch)
        );
        let untrusted = |result| matches!(result, Err(SuccessorError::Untrusted { .. }));
        prop_assert!(untrusted(check_successor(&old, &new, &key, &[], *NOW)));
        let other = &AUTHORITIES[(leaf.authority + 1) % AUTHORITIES.len()];
        let by_other = leaf.build_with(&NEW_KEY, NEW, other, &leaf.extensions());
        prop_assert!(untrusted(check_successor(&old, &by_other, &key, &trusted, *NOW)));
        // One of several is enough.
        let both = [other.signing.certificate().clone(), trusted[0].clone()];
        prop_assert_eq!(check_successor(&old, &new, &key, &both, *NOW), Ok(()));
        // The right name over another's signature.
        let forged = Certificate::from_der(&sign(
            &authority.subject,
            &name(&leaf.subject),
            NEW,
            &NEW_KEY,
            &other.key,
            &other.signature_algorithm,
            &leaf.extensions(),
        ))
        .unwrap();
        prop_assert!(untrusted(check_successor(&old, &forged, &key, &trusted, *NOW)));
        // A leaf does not vouch for anybody.
        prop_assert!(untrusted(check_successor(&old, &new, &key, std::slice::from_ref(&old), *NOW)));

        for outside in [("300101000000Z", "300531000000Z"), ("300602000000Z", "310601000000Z")] {
            let new = leaf.build(&NEW_KEY, outside);
            prop_assert_eq!(
                check_stand_in(&old, &new, &key, &trusted, *NOW),
                Err(SuccessorError::NotValidNow(*NOW))
            );
        }
        let as_long = leaf.build(&NEW_KEY, ("300601000000Z", OLD.1));
        let not_later = check_successor(&old, &as_long, &key, &trusted, *NOW);
        let refused = matches!(not_later, Err(SuccessorError::NotLater { .. }));
        prop_assert!(refused);
        prop_assert_eq!(check_stand_in(&old, &as_long, &key, &trusted, *NOW), Ok(()));

        let mut authority_too = leaf.clone();
        authority_too.basic_constraints = false;
        let mut extensions = authority_too.extensions();
        extensions.push(extension(BASIC_CONSTRAINTS, true, &[0x30, 3, 1, 1, 0xff]));
        let authority_too = leaf.build_with(&NEW_KEY, NEW, authority, &extensions);
        prop_assert_eq!(
            check_successor(&old, &authority_too, &key, &trusted, *NOW),
            Err(SuccessorError::IsAuthority)
        );
    }
}

#[test]
fn no_serial_comes_twice() {
    let mut runner = TestRunner::deterministic();
    let leaf = leaf().new_tree(&mut runner).unwrap().current();
    let leaf = Leaf {
        authority: 0,
        ..leaf
    };
    let old = leaf.build(&OLD_KEY, OLD);
    let key = NEW_KEY.private();
    let mut serials = BTreeSet::new();
    for _ in 0..500 {
        let new = renewed(&leaf, &old, &key);
        assert!(new.serial.len() <= 16);
        let number = u64::from_str_radix(&new.serial, 16).unwrap();
        assert!((1..u64::MAX >> 1).contains(&number));
        assert!(serials.insert(number));
    }
    // 63 random bits: among so many, some are large and not all are odd.
    assert!(serials.iter().any(|serial| serial >> 61 != 0));
}

#[test]
fn rsa_leaves_are_renewed_by_rsa_authorities() {
    let mut runner = TestRunner::deterministic();
    let key = PrivateKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    for _ in 0..8 {
        let mut leaf = leaf().new_tree(&mut runner).unwrap().current();
        leaf.authority = 2;
        let old = leaf.build(&OLD_KEY, OLD);
        let new = renewed(&leaf, &old, &key);
        let trusted = [leaf.authority().signing.certificate().clone()];
        assert_eq!(check_successor(&old, &new, &key, &trusted, *NOW), Ok(()));
    }
}

/// A second opinion, where there is one.
#[test]
fn openssl_verifies_what_was_renewed() {
    if Command::new("openssl").arg("version").output().is_err() {
        testkit::skipped("openssl is not installed: its opinion was not asked for");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let write = |file: &str, certificate: &Certificate| {
        let path = directory.path().join(file);
        #[allow(clippy::disallowed_methods)]
        std::fs::write(&path, certificates_to_pem([certificate])).unwrap();
        path
    };
    let openssl = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    let mut runner = TestRunner::deterministic();
    for index in 0..24 {
        let mut leaf = leaf().new_tree(&mut runner).unwrap().current();
        leaf.authority = index % AUTHORITIES.len();
        let old = leaf.build(&OLD_KEY, OLD);
        let new = renewed(&leaf, &old, &NEW_KEY.private());
        let authority = write("ca.pem", leaf.authority().signing.certificate());
        let (old, new) = (write("old.pem", &old), write("new.pem", &new));
        let at = NOW.as_second().to_string();
        openssl(&[
            "verify".as_ref(),
            // Unknown critical extensions are part of the test.
            "-ignore_critical".as_ref(),
            "-attime".as_ref(),
            at.as_ref(),
            "-CAfile".as_ref(),
            authority.as_ref(),
            new.as_ref(),
        ]);
        let described = |path: &std::path::Path| {
            openssl(&[
                "x509".as_ref(),
                "-in".as_ref(),
                path.as_ref(),
                "-noout".as_ref(),
                "-subject".as_ref(),
                "-ext".as_ref(),
                "subjectAltName,keyUsage,extendedKeyUsage,basicConstraints".as_ref(),
            ])
        };
        assert_eq!(described(&new), described(&old));
    }
}
