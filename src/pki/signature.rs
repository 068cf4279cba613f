//! Whether one certificate's key made another's signature, as far as that can be told.

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P256K1_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA224_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ParsedPublicKey, VerificationAlgorithm,
};

use super::der::{self, Element, Reader};
use super::key_kind::{EC, ED25519, KeyKind, P256, P384, P521, PublicKey, RSA, RSA_PSS, SECP256K1};
use super::layout::Layout;

/// Whether a certificate was signed by an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedBy {
    /// The authority's key made the signature.
    Yes,
    /// It did not, or the certificate names another issuer.
    No,
    /// By its names the certificate is the authority's, but nothing here can check such a signature: what of it.
    Unchecked(String),
}

/// What was signed, how, and the signature.
pub(super) struct Signed<'der> {
    pub(super) signed: &'der [u8],
    /// The AlgorithmIdentifier of the signature.
    pub(super) algorithm: &'der [u8],
    /// The same within what is signed, which a request does not have.
    pub(super) inner_algorithm: &'der [u8],
    pub(super) signature: Option<&'der [u8]>,
}

/// Whether `authority`'s key made `certificate`'s signature. Names are not compared.
pub(super) fn check(certificate: &Layout<'_>, authority: &[u8]) -> SignedBy {
    let signed = Signed {
        signed: certificate.signed,
        algorithm: certificate.algorithm,
        inner_algorithm: certificate.inner_algorithm,
        signature: certificate.signature,
    };
    check_signed(&signed, authority)
}

/// Whether the key of a SubjectPublicKeyInfo made a signature.
pub(super) fn check_signed(certificate: &Signed<'_>, authority: &[u8]) -> SignedBy {
    let unchecked = |what: String| SignedBy::Unchecked(what);
    let Some(key) = PublicKey::of(authority) else {
        return unchecked("a CA key of no known form".to_owned());
    };
    let Some(algorithm) = Algorithm::of(certificate.algorithm) else {
        return unchecked("a signature without an algorithm".to_owned());
    };
    if !algorithm.is_made_by(&key) {
        return SignedBy::No;
    }
    if certificate.algorithm != certificate.inner_algorithm {
        return unchecked("two names of algorithms that differ".to_owned());
    }
    let Some(verifying) = algorithm.verifying(&key.kind()) else {
        return unchecked(format!("{} by {}", algorithm.name(), key.kind()));
    };
    // An RSA key with numbers that the library does not take, say.
    let Ok(key) = ParsedPublicKey::new(verifying, key.bits) else {
        return unchecked(format!("an unusual key of {}", key.kind()));
    };
    let verified = certificate
        .signature
        .is_some_and(|signature| key.verify_sig(certificate.signed, signature).is_ok());
    if verified {
        SignedBy::Yes
    } else {
        SignedBy::No
    }
}

/// An AlgorithmIdentifier.
struct Algorithm<'der> {
    number: String,
    parameters: Option<Element<'der>>,
}

impl<'der> Algorithm<'der> {
    fn of(identifier: &'der [u8]) -> Option<Self> {
        let mut inside = Reader::new(identifier).expect(der::SEQUENCE).ok()?.inside();
        let number = inside.expect(der::OBJECT_IDENTIFIER).ok()?;
        Some(Self {
            number: der::dotted(number.contents),
            parameters: inside.next().ok(),
        })
    }

    /// Whether a key of that kind can have made it at all; true where that is not known.
    fn is_made_by(&self, key: &PublicKey<'_>) -> bool {
        let own = key.algorithm.as_str();
        match self.number.as_str() {
            RSA_PSS_SIGNATURE => matches!(own, RSA | RSA_PSS),
            number if number.starts_with(PKCS1) || number == SHA1_WITH_RSA_BY_OIW => own == RSA,
            number if number.starts_with(ECDSA) => own == EC,
            number if number.starts_with(EDWARDS) => own == number,
            number if number.starts_with(NIST_SIGNATURES) => match number_at_end(number) {
                Some(9..=12) => own == EC,
                Some(13..=16) => own == RSA,
                Some(17..) => own == number,
                _ => true,
            },
            _ => true,
        }
    }

    fn verifying(&self, key: &KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
        let of_2048 = matches!(key, KeyKind::Rsa(2048..=8192));
        let of_1024 = matches!(key, KeyKind::Rsa(1024..=8192));
        Some(match (self.number.as_str(), key) {
            ("1.2.840.113549.1.1.5" | SHA1_WITH_RSA_BY_OIW, _) if of_1024 => {
                &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
            }
            ("1.2.840.113549.1.1.11", _) if of_1024 => {
                &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
            }
            ("1.2.840.113549.1.1.12", _) if of_2048 => &signature::RSA_PKCS1_2048_8192_SHA384,
            ("1.2.840.113549.1.1.13", _) if of_1024 => {
                &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
            }
            (RSA_PSS_SIGNATURE, _) if of_2048 => self.pss()?,
            ("1.2.840.10045.4.3.1", KeyKind::Ec(P521, _)) => &ECDSA_P521_SHA224_ASN1,
            ("1.2.840.10045.4.3.2", KeyKind::Ec(P256, _)) => &ECDSA_P256_SHA256_ASN1,
            ("1.2.840.10045.4.3.3", KeyKind::Ec(P256, _)) => &ECDSA_P256_SHA384_ASN1,
            ("1.2.840.10045.4.3.4", KeyKind::Ec(P256, _)) => &ECDSA_P256_SHA512_ASN1,
            ("1.2.840.10045.4.3.2", KeyKind::Ec(P384, _)) => &ECDSA_P384_SHA256_ASN1,
            ("1.2.840.10045.4.3.3", KeyKind::Ec(P384, _)) => &ECDSA_P384_SHA384_ASN1,
            ("1.2.840.10045.4.3.4", KeyKind::Ec(P384, _)) => &ECDSA_P384_SHA512_ASN1,
            ("1.2.840.10045.4.3.2", KeyKind::Ec(P521, _)) => &ECDSA_P521_SHA256_ASN1,
            ("1.2.840.10045.4.3.3", KeyKind::Ec(P521, _)) => &ECDSA_P521_SHA384_ASN1,
            ("1.2.840.10045.4.3.4", KeyKind::Ec(P521, _)) => &ECDSA_P521_SHA512_ASN1,
            ("1.2.840.10045.4.3.2", KeyKind::Ec(SECP256K1, _)) => &ECDSA_P256K1_SHA256_ASN1,
            (ED25519, KeyKind::Ed25519) => &signature::ED25519,
            _ => return None,
        })
    }

    /// RSASSA-PSS as it is usual: one digest throughout, and a salt of its length.
    fn pss(&self) -> Option<&'static dyn VerificationAlgorithm> {
        let parameters = self.parameters?.whole;
        PSS.iter()
            .find(|(usual, _)| *usual == parameters)
            .map(|(_, algorithm)| *algorithm)
    }

    fn name(&self) -> String {
        let name = NAMES.iter().find(|(number, _)| *number == self.number);
        name.map_or_else(
            || {
                let kind = KeyKind::of_algorithm(&self.number);
                kind.unwrap_or_else(|| format!("the algorithm {}", self.number))
            },
            |(_, name)| (*name).to_owned(),
        )
    }
}

fn number_at_end(number: &str) -> Option<u8> {
    number.rsplit('.').next()?.parse().ok()
}

const PKCS1: &str = "1.2.840.113549.1.1.";
const RSA_PSS_SIGNATURE: &str = RSA_PSS;
const SHA1_WITH_RSA_BY_OIW: &str = "1.3.14.3.2.29";
const ECDSA: &str = "1.2.840.10045.4.";
const EDWARDS: &str = "1.3.101.";
const NIST_SIGNATURES: &str = "2.16.840.1.101.3.4.3.";

/// Parameters of RSASSA-PSS, as RFC 4055 §3.1 writes them.
const PSS: [(&[u8], &dyn VerificationAlgorithm); 3] = [
    (
        b"\x30\x34\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
          \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
          \xa2\x03\x02\x01\x20",
        &signature::RSA_PSS_2048_8192_SHA256,
    ),
    (
        b"\x30\x34\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
          \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
          \xa2\x03\x02\x01\x30",
        &signature::RSA_PSS_2048_8192_SHA384,
    ),
    (
        b"\x30\x34\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\
          \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\
          \xa2\x03\x02\x01\x40",
        &signature::RSA_PSS_2048_8192_SHA512,
    ),
];

/// Signatures that can only be named.
const NAMES: [(&str, &str); 20] = [
    ("1.2.840.113549.1.1.2", "RSA with MD2"),
    ("1.2.840.113549.1.1.3", "RSA with MD4"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    (SHA1_WITH_RSA_BY_OIW, "RSA with SHA-1"),
    (RSA_PSS_SIGNATURE, "RSASSA-PSS with unusual parameters"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.840.113549.1.1.15", "RSA with SHA-512/224"),
    ("1.2.840.113549.1.1.16", "RSA with SHA-512/256"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    ("1.2.840.10040.4.3", "DSA with SHA-1"),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256"),
    ("1.2.156.10197.1.501", "SM2 with SM3"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Certificate, certificates_from_pem};

    macro_rules! signed {
        ($name:literal) => {
            (
                $name,
                include_bytes!(concat!("../../tests/data/signatures/", $name, ".pem")).as_slice(),
            )
        };
    }

    fn pair(pem: &[u8]) -> (Certificate, Certificate) {
        let mut pair = certificates_from_pem(pem).unwrap();
        (pair.remove(0), pair.remove(0))
    }

    #[test]
    fn signatures_are_right_wrong_or_of_a_kind_that_cannot_be_checked() {
        for ((name, pem), unchecked) in [
            (signed!("rsa2048-sha1"), None),
            (signed!("rsa2048-sha512"), None),
            (signed!("rsa1024-sha256"), None),
            (signed!("rsa2048-pss"), None),
            (signed!("p256-sha512"), None),
            (signed!("p521-sha256"), None),
            (signed!("secp256k1"), None),
            (signed!("ed25519"), None),
            (signed!("rsa2048-md5"), Some("RSA with MD5 by RSA-2048")),
            (
                signed!("rsa2048-pss-odd-salt"),
                Some("RSASSA-PSS with unusual parameters by RSA-2048"),
            ),
            (signed!("p256-sha1"), Some("ECDSA with SHA-1 by ECDSA-P256")),
            (
                signed!("brainpool"),
                Some("ECDSA with SHA-256 by ECDSA on brainpoolP256r1"),
            ),
            (signed!("ed448"), Some("Ed448 by Ed448")),
        ] {
            let (leaf, authority) = pair(pem);
            let expected = match unchecked {
                None => SignedBy::Yes,
                Some(what) => SignedBy::Unchecked(what.to_owned()),
            };
            assert_eq!(leaf.signed_by(&authority), expected, "{name}");
            assert_eq!(authority.signed_by(&authority), expected, "{name}");

            // One bit of the signature, the last of the file, is another.
            let mut forged = leaf.der().to_vec();
            *forged.last_mut().unwrap() ^= 1;
            let forged = Certificate::from_der(&forged).unwrap();
            let expected = match unchecked {
                None => SignedBy::No,
                Some(_) => expected,
            };
            assert_eq!(forged.signed_by(&authority), expected, "{name}");

            // Another CA by the same name, and another name.
            let mut other = authority.clone();
            other.subject_key_id = Some(vec![1]);
            let other = leaf.signed_by(&other);
            assert!(unchecked.is_none() || other == SignedBy::No, "{name}");
            let mut renamed = authority.clone();
            renamed.subject_der.push(0);
            assert_eq!(leaf.signed_by(&renamed), SignedBy::No, "{name}");
        }
    }

    #[test]
    fn a_key_of_another_kind_did_not_sign() {
        let (leaf, _) = pair(signed!("ed448").1);
        for (name, pem) in [
            signed!("ed25519"),
            signed!("p256-sha1"),
            signed!("rsa2048-md5"),
        ] {
            let (_, authority) = pair(pem);
            let mut authority = authority;
            authority.subject_key_id.clone_from(&leaf.authority_key_id);
            assert_eq!(leaf.signed_by(&authority), SignedBy::No, "{name}");
        }
    }
}
