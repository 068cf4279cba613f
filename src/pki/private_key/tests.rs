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
        (key!("keys/p521-sec1.pem"), None),
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
        (key!("keys/rsa1024-pkcs1.pem"), "RSA with 1024 bits"),
        (key!("keys/rsa1024-pkcs8.pem"), "RSA with 1024 bits"),
        (key!("keys/ed25519.pem"), "ED25519"),
        (key!("keys/secp256k1-sec1.pem"), "a curve other than"),
    ] {
        let error = PrivateKey::from_pem(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
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
    assert_eq!(
        KeyAlgorithm::of_certificate(certificate),
        Some(KeyAlgorithm::EcdsaP256)
    );
    let key = PrivateKey::from_pem(key!("kubeadm/apiserver.key")).unwrap();
    assert!(key.matches(certificate));
    let other = PrivateKey::from_pem(key!("kubeadm/ca.key")).unwrap();
    assert!(!other.matches(certificate));
    let small = &certificates_from_pem(key!("rsa1024.crt")).unwrap()[0];
    assert_eq!(KeyAlgorithm::of_certificate(small), None);
}

#[test]
fn debug_says_only_the_algorithm() {
    let key = PrivateKey::from_pem(key!("kubeadm/ca.key")).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(PKCS_ECDSA_P256_SHA256)");
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
