use super::*;

fn info(algorithm: &[u8], bits: &[u8]) -> Vec<u8> {
    let identifier = der::sequence(&[algorithm]);
    der::sequence(&[identifier, der::bit_string(bits)])
}

fn rsa(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xff; bits / 8];
    if !bits.is_multiple_of(8) {
        modulus.insert(0, (1 << (bits % 8)) - 1);
    } else {
        modulus.insert(0, 0);
    }
    let integer =
        |bytes: &[u8]| yasna::construct_der(|writer| writer.write_bigint_bytes(bytes, true));
    let key = der::sequence(&[integer(&modulus), integer(&[1, 0, 1])]);
    info(&der::oid(&[1, 2, 840, 113_549, 1, 1, 1]), &key)
}

#[test]
fn a_kind_is_followed_by_one_that_is_at_least_as_strong() {
    let kinds = [
        (rsa(1024), "RSA-1024", KeyAlgorithm::Rsa2048),
        (rsa(2048), "RSA-2048", KeyAlgorithm::Rsa2048),
        (rsa(2049), "RSA-2049", KeyAlgorithm::Rsa3072),
        (rsa(2560), "RSA-2560", KeyAlgorithm::Rsa3072),
        (rsa(4097), "RSA-4097", KeyAlgorithm::Rsa8192),
        (rsa(8192), "RSA-8192", KeyAlgorithm::Rsa8192),
        (rsa(16384), "RSA-16384", KeyAlgorithm::EcdsaP521),
    ];
    for (key, name, successor) in kinds {
        let kind = KeyKind::of_public_key(&key);
        assert_eq!(
            (kind.to_string().as_str(), kind.successor()),
            (name, successor)
        );
    }
    let edwards = |last| der::oid(&[1, 3, 101, last]);
    let nist = |last| der::oid(&[2, 16, 840, 1, 101, 3, 4, 3, last]);
    for (algorithm, name, successor) in [
        (edwards(112), "Ed25519", KeyAlgorithm::Ed25519),
        (edwards(113), "Ed448", KeyAlgorithm::EcdsaP521),
        (nist(17), "ML-DSA-44", KeyAlgorithm::EcdsaP256),
        (nist(18), "ML-DSA-65", KeyAlgorithm::EcdsaP384),
        (nist(19), "ML-DSA-87", KeyAlgorithm::EcdsaP521),
        (nist(31), "SLH-DSA", KeyAlgorithm::EcdsaP521),
        (
            nist(99),
            "the unknown kind 2.16.840.1.101.3.4.3.99",
            KeyAlgorithm::EcdsaP384,
        ),
    ] {
        let kind = KeyKind::of_public_key(&info(&algorithm, &[7; 32]));
        assert_eq!(
            (kind.to_string().as_str(), kind.successor()),
            (name, successor)
        );
    }
    let on = |curve: Vec<u8>, length| {
        let point = [&[4][..], &vec![7; length]].concat();
        let parts = [der::oid(&[1, 2, 840, 10045, 2, 1]), curve].concat();
        KeyKind::of_public_key(&info(&parts, &point))
    };
    for (curve, length, name, successor) in [
        (
            der::oid(&[1, 3, 132, 0, 35]),
            132,
            "ECDSA-P521",
            KeyAlgorithm::EcdsaP521,
        ),
        (
            der::oid(&[1, 3, 132, 0, 33]),
            56,
            "ECDSA-P224",
            KeyAlgorithm::EcdsaP256,
        ),
        (
            der::oid(&[1, 3, 132, 0, 10]),
            64,
            "ECDSA on secp256k1",
            KeyAlgorithm::EcdsaP256,
        ),
        (
            der::oid(&[1, 3, 132, 0, 99]),
            96,
            "ECDSA on the curve 1.3.132.0.99",
            KeyAlgorithm::EcdsaP384,
        ),
        (
            der::sequence::<&[u8]>(&[]),
            64,
            "ECDSA on a curve of its own with 256 bits",
            KeyAlgorithm::EcdsaP256,
        ),
    ] {
        let kind = on(curve, length);
        assert_eq!(
            (kind.to_string().as_str(), kind.successor()),
            (name, successor)
        );
    }
}

#[test]
fn what_is_no_key_has_a_kind_as_well() {
    for der in [&[][..], &[0x30, 0], &[0x30, 4, 0x30, 0, 3, 0]] {
        assert_eq!(KeyKind::of_public_key(der).to_string(), "no known form");
    }
}
