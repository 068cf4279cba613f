//! What kind of key a certificate has, and what kind a new key is made of in its place.

use std::fmt;

use super::KeyAlgorithm;
use super::der::{self, Element, Reader};

/// The kind of a key that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, with so many bits.
    Rsa(usize),
    /// RSA for RSASSA-PSS signatures only, with so many bits.
    RsaPss(usize),
    /// ECDSA on a curve of that name and size in bits.
    Ec(&'static str, usize),
    /// Ed25519.
    Ed25519,
    /// Any other: its name or number, and the one made here that is at least as strong.
    Other(String, KeyAlgorithm),
}

impl KeyKind {
    /// The kind of a SubjectPublicKeyInfo.
    pub(super) fn of_public_key(der: &[u8]) -> Self {
        PublicKey::of(der).map_or_else(
            || Self::Other("no known form".to_owned(), UNKNOWN),
            |key| key.kind(),
        )
    }

    /// The name of a kind whose signatures have its own number (Ed448, ML-DSA), if it is such a number.
    pub(super) fn of_algorithm(number: &str) -> Option<String> {
        match other(number) {
            Self::Other(name, _) if !name.ends_with(number) => Some(name),
            _ => None,
        }
    }

    /// The kind made here that is the same, if there is one.
    #[must_use]
    pub fn made(&self) -> Option<KeyAlgorithm> {
        match self {
            Self::Rsa(2048) => Some(KeyAlgorithm::Rsa2048),
            Self::Rsa(3072) => Some(KeyAlgorithm::Rsa3072),
            Self::Rsa(4096) => Some(KeyAlgorithm::Rsa4096),
            Self::Rsa(8192) => Some(KeyAlgorithm::Rsa8192),
            Self::Ec(P256, _) => Some(KeyAlgorithm::EcdsaP256),
            Self::Ec(P384, _) => Some(KeyAlgorithm::EcdsaP384),
            Self::Ec(P521, _) => Some(KeyAlgorithm::EcdsaP521),
            Self::Ed25519 => Some(KeyAlgorithm::Ed25519),
            _ => None,
        }
    }

    /// The kind of the key that takes its place: the same, or the next one made here that is at least as strong.
    #[must_use]
    pub fn successor(&self) -> KeyAlgorithm {
        self.made().unwrap_or_else(|| match self {
            Self::Rsa(bits) | Self::RsaPss(bits) => like_rsa(*bits),
            Self::Ec(_, bits) => like_curve(*bits),
            Self::Ed25519 => KeyAlgorithm::Ed25519,
            Self::Other(_, like) => *like,
        })
    }

    /// Whether certificates can be signed here with such a key.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        match self {
            Self::Rsa(bits) => (RSA_MINIMUM_BITS..=RSA_MAXIMUM_BITS).contains(bits),
            _ => self.made().is_some(),
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(formatter, "RSA-{bits}"),
            Self::RsaPss(bits) => write!(formatter, "RSASSA-PSS with {bits} bits"),
            Self::Ec(curve @ (P256 | P384 | P521 | "P224"), _) => {
                write!(formatter, "ECDSA-{curve}")
            }
            Self::Ec(curve, _) => write!(formatter, "ECDSA on {curve}"),
            Self::Ed25519 => formatter.write_str("Ed25519"),
            Self::Other(name, _) => formatter.write_str(name),
        }
    }
}

/// The sizes of RSA keys that aws-lc signs with.
pub(super) const RSA_MINIMUM_BITS: usize = 2048;
pub(super) const RSA_MAXIMUM_BITS: usize = 8192;

pub(super) const P256: &str = "P256";
pub(super) const P384: &str = "P384";
pub(super) const P521: &str = "P521";
pub(super) const SECP256K1: &str = "secp256k1";

pub(super) const RSA: &str = "1.2.840.113549.1.1.1";
pub(super) const RSA_PSS: &str = "1.2.840.113549.1.1.10";
pub(super) const EC: &str = "1.2.840.10045.2.1";
pub(super) const ED25519: &str = "1.3.101.112";

/// For a kind whose strength is not known: more than any that kubeadm makes but one.
const UNKNOWN: KeyAlgorithm = KeyAlgorithm::EcdsaP384;

/// Named curves: number, name, size in bits.
const CURVES: [(&str, &str, usize); 12] = [
    ("1.2.840.10045.3.1.7", P256, 256),
    ("1.3.132.0.34", P384, 384),
    ("1.3.132.0.35", P521, 521),
    ("1.3.132.0.33", "P224", 224),
    ("1.2.840.10045.3.1.1", "P192", 192),
    ("1.3.132.0.10", SECP256K1, 256),
    ("1.2.156.10197.1.301", "SM2", 256),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", 256),
    ("1.3.36.3.3.2.8.1.1.9", "brainpoolP320r1", 320),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1", 384),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1", 512),
    ("1.3.36.3.3.2.8.1.1.14", "brainpoolP512t1", 512),
];

/// Kinds that are never made here: number, name, and what is at least as strong.
const OTHERS: [(&str, &str, KeyAlgorithm); 12] = [
    ("1.3.101.113", "Ed448", KeyAlgorithm::EcdsaP521),
    ("1.3.101.110", "X25519", KeyAlgorithm::EcdsaP256),
    ("1.3.101.111", "X448", KeyAlgorithm::EcdsaP521),
    // NIST's categories 2, 3 and 5; what a quantum computer does to them, no kind made here withstands.
    (
        "2.16.840.1.101.3.4.3.17",
        "ML-DSA-44",
        KeyAlgorithm::EcdsaP256,
    ),
    (
        "2.16.840.1.101.3.4.3.18",
        "ML-DSA-65",
        KeyAlgorithm::EcdsaP384,
    ),
    (
        "2.16.840.1.101.3.4.3.19",
        "ML-DSA-87",
        KeyAlgorithm::EcdsaP521,
    ),
    (
        "1.2.643.7.1.1.1.1",
        "GOST R 34.10-2012 with 256 bits",
        KeyAlgorithm::EcdsaP256,
    ),
    (
        "1.2.643.7.1.1.1.2",
        "GOST R 34.10-2012 with 512 bits",
        KeyAlgorithm::EcdsaP521,
    ),
    (
        "1.2.643.2.2.19",
        "GOST R 34.10-2001",
        KeyAlgorithm::EcdsaP256,
    ),
    ("1.2.840.113549.1.1.7", "RSAES-OAEP", KeyAlgorithm::Rsa4096),
    ("1.2.840.10046.2.1", "Diffie-Hellman", KeyAlgorithm::Rsa4096),
    ("2.5.8.1.1", "RSA by X.500", KeyAlgorithm::Rsa4096),
];

const DSA: &str = "1.2.840.10040.4.1";
/// NIST's SLH-DSA: from 2.16.840.1.101.3.4.3.20 to .31.
const NIST_SIGNATURES: &str = "2.16.840.1.101.3.4.3.";

fn like_rsa(bits: usize) -> KeyAlgorithm {
    match bits {
        ..=2048 => KeyAlgorithm::Rsa2048,
        2049..=3072 => KeyAlgorithm::Rsa3072,
        3073..=4096 => KeyAlgorithm::Rsa4096,
        4097..=8192 => KeyAlgorithm::Rsa8192,
        // As strong as RSA with 15360 bits; Go takes no larger RSA keys than 8192 bits from others.
        _ => KeyAlgorithm::EcdsaP521,
    }
}

fn like_curve(bits: usize) -> KeyAlgorithm {
    match bits {
        ..=256 => KeyAlgorithm::EcdsaP256,
        257..=384 => KeyAlgorithm::EcdsaP384,
        _ => KeyAlgorithm::EcdsaP521,
    }
}

/// A SubjectPublicKeyInfo taken apart.
pub(super) struct PublicKey<'der> {
    /// Its algorithm with dots.
    pub(super) algorithm: String,
    parameters: Option<Element<'der>>,
    /// The key itself, in the form that its algorithm prescribes.
    pub(super) bits: &'der [u8],
}

impl<'der> PublicKey<'der> {
    /// Of a SubjectPublicKeyInfo.
    pub(super) fn of(der: &'der [u8]) -> Option<Self> {
        let mut info = Reader::new(der).expect(der::SEQUENCE).ok()?.inside();
        let identifier = info.expect(der::SEQUENCE).ok()?;
        let bits = info.next().ok()?.bytes_of_bits()?;
        Self::with(identifier, bits)
    }

    /// Of an AlgorithmIdentifier and the key itself.
    pub(super) fn with(identifier: Element<'der>, bits: &'der [u8]) -> Option<Self> {
        let mut identifier = identifier.inside();
        let number = identifier.expect(der::OBJECT_IDENTIFIER).ok()?;
        Some(Self {
            algorithm: der::dotted(number.contents),
            parameters: identifier.next().ok(),
            bits,
        })
    }

    pub(super) fn kind(&self) -> KeyKind {
        match self.algorithm.as_str() {
            RSA => KeyKind::Rsa(self.rsa_bits()),
            RSA_PSS => KeyKind::RsaPss(self.rsa_bits()),
            ED25519 => KeyKind::Ed25519,
            EC => self.curve(),
            DSA => {
                let key = Reader::new(self.bits).expect(der::INTEGER);
                // The public number is nearly always as long as the modulus, and never longer.
                let bits = key.map_or(0, |number| bits(number.contents)).div_ceil(64) * 64;
                KeyKind::Other(format!("DSA with {bits} bits"), like_rsa(bits))
            }
            number => other(number),
        }
    }

    /// Whether a key with the same bits and of that kind is this one, in another description.
    pub(super) fn is_described_like(&self, kind: &KeyKind) -> bool {
        match (self.kind(), kind) {
            (KeyKind::RsaPss(own), KeyKind::Rsa(bits)) => own == *bits,
            // A curve given by its parameters: a point of that size on it can only be the same.
            (KeyKind::Other(..), KeyKind::Ec(..)) => self.algorithm == EC,
            (own, kind) => own == *kind,
        }
    }

    fn rsa_bits(&self) -> usize {
        let numbers = der::elements(self.bits).unwrap_or_default();
        numbers.first().map_or(0, |modulus| bits(modulus.contents))
    }

    fn curve(&self) -> KeyKind {
        let named = self
            .parameters
            .filter(|parameters| parameters.tag == der::OBJECT_IDENTIFIER)
            .map(|number| der::dotted(number.contents));
        let known = named
            .as_deref()
            .and_then(|named| CURVES.iter().find(|(number, ..)| *number == named));
        if let Some((_, name, bits)) = known {
            return KeyKind::Ec(name, *bits);
        }
        // An uncompressed point is two numbers of the curve's size.
        let bits = match self.bits {
            [4, point @ ..] => point.len() / 2 * 8,
            [_, point @ ..] => point.len() * 8,
            [] => 0,
        };
        let name = named.map_or_else(
            || format!("ECDSA on a curve of its own with {bits} bits"),
            |number| format!("ECDSA on the curve {number}"),
        );
        KeyKind::Other(name, like_curve(bits))
    }
}

/// Whether two SubjectPublicKeyInfos hold the same key, however it is described.
pub(super) fn same_public_key(one: &[u8], other: &[u8]) -> bool {
    one == other
        || match (PublicKey::of(one), PublicKey::of(other)) {
            (Some(one), Some(other)) => {
                one.bits == other.bits && one.is_described_like(&other.kind())
            }
            _ => false,
        }
}

fn other(number: &str) -> KeyKind {
    if let Some((_, name, like)) = OTHERS.iter().find(|(known, ..)| *known == number) {
        return KeyKind::Other((*name).to_owned(), *like);
    }
    let category = number
        .strip_prefix(NIST_SIGNATURES)
        .and_then(|last| last.parse::<u8>().ok());
    if category.is_some_and(|last| (20..=31).contains(&last)) {
        return KeyKind::Other("SLH-DSA".to_owned(), KeyAlgorithm::EcdsaP521);
    }
    KeyKind::Other(format!("the unknown kind {number}"), UNKNOWN)
}

/// Length of an unsigned big-endian number.
pub(super) fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros).map_or(0, |first| {
        (number.len() - zeros) * 8 - first.leading_zeros() as usize
    })
}

#[cfg(test)]
mod tests;
