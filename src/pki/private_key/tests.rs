use super::*;
use crate::pki::certificates_from_pem;

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/", $name)).as_slice()
    };
}

#[test]
fn keys_by_go_and_openssl_are_written_as_they_were_read() {
    for (text, algorithm) in [
        (key!("kubeadm/apiserver.key"), Some(KeyAlgorithm::EcdsaP256)),
        (key!("keys/rsa2048-pkcs1.pem"), Some(KeyAlgorithm::Rsa2048)),
        (key!("keys/p521-sec1.pem"), Some(KeyAlgorithm::EcdsaP521)),
        (key!("keys/ed25519.pem"), Some(KeyAlgorithm::Ed25519)),
        (key!("keys/rsa2560-pkcs1.pem"), None),
    ] {
        let key = PrivateKey::from_pem(text).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.to_pem().unwrap().as_bytes(), text);
    }
}

#[test]
fn pkcs8_is_rewritten_in_kubeadms_form() {
    let key = PrivateKey::from_pem(key!("keys/rsa2048-pkcs8.pem")).unwrap();
    assert_eq!(
        key.to_pem().unwrap().as_bytes(),
        key!("keys/rsa2048-pkcs1.pem")
    );
    let key = PrivateKey::from_pem(key!("keys/p384-pkcs8.pem")).unwrap();
    assert_eq!(key.algorithm(), Some(KeyAlgorithm::EcdsaP384));
    let text = key.to_pem().unwrap();
    assert!(text.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    let again = PrivateKey::from_pem(text.as_bytes()).unwrap();
    assert_eq!(again.public_key_der(), key.public_key_der());
}

#[test]
fn parameters_and_text_before_the_key_are_skipped() {
    let text = [b"# the key\r\n", key!("keys/p256-with-parameters.pem")].concat();
    assert!(text.windows(13).any(|word| word == b"EC PARAMETERS"));
    let key = PrivateKey::from_pem(&text).unwrap();
    assert_eq!(key.algorithm(), Some(KeyAlgorithm::EcdsaP256));
}

#[test]
fn what_stands_behind_an_elliptic_key_is_not_written() {
    for name in [key!("kubeadm/ca.key"), key!("keys/p384-pkcs8.pem")] {
        let clean = PrivateKey::from_pem(name).unwrap();
        let block = armour::blocks(name).next().unwrap();
        let mut der = block.contents().unwrap();
        der.push(0);
        let Ok(key) = PrivateKey::from_pem(armour::encode(&block.label, &der).as_bytes()) else {
            continue; // not even read
        };
        assert_eq!(*key.to_pem().unwrap(), *clean.to_pem().unwrap());
    }
}

#[test]
fn a_key_that_cannot_be_used_says_why() {
    for text in [
        key!("keys/encrypted-pkcs1.pem"),
        key!("keys/encrypted-pkcs8.pem"),
    ] {
        assert_eq!(PrivateKey::from_pem(text).unwrap_err(), KeyError::Encrypted);
    }
    for (text, expected) in [
        (
            key!("keys/rsa1024-pkcs1.pem"),
            "RSA-1024; at least 2048 bits",
        ),
        (
            key!("keys/rsa1024-pkcs8.pem"),
            "RSA-1024; at least 2048 bits",
        ),
        (key!("keys/ed448.pem"), "of the kind Ed448;"),
        (key!("keys/secp256k1-sec1.pem"), "ECDSA on secp256k1;"),
        (
            key!("keys/brainpool-pkcs8.pem"),
            "ECDSA on brainpoolP256r1;",
        ),
        (key!("keys/p224-sec1.pem"), "ECDSA-P224;"),
        (key!("keys/dsa-pkcs8.pem"), "DSA"),
        (
            key!("keys/rsa-three-primes.pem"),
            "RSA-2048 of an unusual form",
        ),
        (
            key!("keys/rsa-large-exponent.pem"),
            "RSA-2048 of an unusual form",
        ),
    ] {
        let error = PrivateKey::from_pem(text).unwrap_err();
        assert!(matches!(error, KeyError::Unsupported(_)), "{error}");
        let error = error.to_string();
        assert!(
            error.starts_with("not supported: ") && error.contains(expected),
            "{error}"
        );
    }
    assert_eq!(
        PrivateKey::from_pem(key!("kubeadm/ca.crt")).unwrap_err(),
        KeyError::NoKey(Some("CERTIFICATE".to_owned()))
    );
    assert_eq!(
        PrivateKey::from_pem(b"").unwrap_err(),
        KeyError::NoKey(None)
    );
}

#[test]
fn every_algorithm_is_made_and_recognised() {
    for algorithm in [
        KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::EcdsaP521,
        KeyAlgorithm::Ed25519,
        KeyAlgorithm::Rsa2048,
        KeyAlgorithm::Rsa3072,
    ] {
        let key = PrivateKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), Some(algorithm));
        let again = PrivateKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
        assert_eq!(again.public_key_der(), key.public_key_der());
    }
}

#[test]
fn a_certificate_tells_its_algorithm_and_its_key() {
    let certificate = &certificates_from_pem(key!("kubeadm/apiserver.crt")).unwrap()[0];
    assert_eq!(certificate.key_kind().made(), Some(KeyAlgorithm::EcdsaP256));
    let key = PrivateKey::from_pem(key!("kubeadm/apiserver.key")).unwrap();
    assert!(key.matches(certificate));
    let other = PrivateKey::from_pem(key!("kubeadm/ca.key")).unwrap();
    assert!(!other.matches(certificate));
    let small = &certificates_from_pem(key!("rsa1024.crt")).unwrap()[0];
    assert_eq!(small.key_kind().made(), None);
}

#[test]
fn rsa_with_8192_bits_is_made() {
    let key = PrivateKey::generate(KeyAlgorithm::Rsa8192).unwrap();
    assert_eq!(key.algorithm(), Some(KeyAlgorithm::Rsa8192));
    let again = PrivateKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
    assert_eq!(again.public_key_der(), key.public_key_der());
}

#[test]
fn an_edwards_key_is_written_without_its_public_half() {
    let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let text = key.to_pem().unwrap();
    let block = armour::blocks(text.as_bytes()).next().unwrap();
    assert_eq!(block.label, "PRIVATE KEY");
    // OpenSSL 3.0 reads no other form than this one of 48 bytes.
    assert_eq!(block.contents().unwrap().len(), 48);
}

#[test]
fn of_a_key_that_is_not_supported_it_is_known_whose_it_is() {
    let unsupported = |text: &[u8]| match PrivateKey::from_pem(text).unwrap_err() {
        KeyError::Unsupported(key) => key,
        other => panic!("{other}"),
    };
    macro_rules! pair {
        ($key:literal, $certificate:literal) => {
            (
                unsupported(key!($key)),
                certificates_from_pem(key!($certificate)).unwrap().remove(0),
            )
        };
    }
    let pairs = [
        pair!("keys/rsa1024-pkcs1.pem", "certificates/rsa1024-pkcs1.crt"),
        pair!(
            "keys/rsa-three-primes.pem",
            "certificates/rsa-three-primes.crt"
        ),
        pair!(
            "keys/rsa-large-exponent.pem",
            "certificates/rsa-large-exponent.crt"
        ),
        pair!("keys/p224-sec1.pem", "certificates/p224-sec1.crt"),
        pair!("keys/ed448.pem", "certificates/ed448.crt"),
        pair!("keys/dsa-pkcs8.pem", "certificates/dsa-pkcs8.crt"),
    ];
    for (index, (key, own)) in pairs.iter().enumerate() {
        // Ed448's and DSA's files have no public half.
        let expected = (index < 4).then_some(true);
        assert_eq!(key.fits(own), expected, "{key}");
        for (_, other) in pairs.iter().filter(|(other, _)| other != key) {
            assert_eq!(key.fits(other), Some(false), "{key}, {}", other.subject);
        }
    }
}

#[test]
fn a_curve_by_its_parameters_is_the_same_curve() {
    let certificate = &certificates_from_pem(key!("certificates/p256-explicit.crt")).unwrap()[0];
    let Ok(key) = PrivateKey::from_pem(key!("keys/p256-explicit.pem")) else {
        panic!("not read");
    };
    assert!(key.matches(certificate));
}

#[test]
fn debug_says_only_the_algorithm() {
    let key = PrivateKey::from_pem(key!("kubeadm/ca.key")).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(\"ECDSA-P256\")");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        bytes: Vec<u8>,
        which in 0_usize..4,
        at in proptest::prelude::any::<proptest::sample::Index>(),
        with: u8,
    ) {
        let _ = PrivateKey::from_pem(&bytes);
        let _ = PrivateKey::from_pem(armour::encode(PKCS8, &bytes).as_bytes());
        let text = [
            key!("keys/rsa2048-pkcs1.pem"), key!("keys/p384-pkcs8.pem"),
            key!("kubeadm/ca.key"), key!("keys/rsa1024-pkcs8.pem"),
        ][which];
        let mut der = armour::blocks(text).next().unwrap().contents().unwrap();
        let at = at.index(der.len());
        der[at] = with;
        let _ = PrivateKey::from_pem(armour::encode(PKCS8, &der).as_bytes());
    }
}
