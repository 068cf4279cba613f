//! Private keys: made, read, written and wiped.

use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::asn1::ObjectIdentifier;
use rcgen::{PublicKeyData as _, SigningKey as _};
use sec1::EcParameters;
use sec1::EcPrivateKey;
use sec1::der::{Decode as _, Encode as _};
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Certificate, armour, der};

/// The key algorithms kubeadm's `encryptionAlgorithm` knows, by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum KeyAlgorithm {
    /// RSA with 2048 bits, kubeadm's default.
    #[serde(rename = "RSA-2048")]
    Rsa2048,
    /// RSA with 3072 bits.
    #[serde(rename = "RSA-3072")]
    Rsa3072,
    /// RSA with 4096 bits.
    #[serde(rename = "RSA-4096")]
    Rsa4096,
    /// ECDSA on P-256.
    #[serde(rename = "ECDSA-P256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ECDSA-P384")]
    EcdsaP384,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// No private key block; the label found, if any.
    #[error("no PEM block with a private key found{}", .0.as_ref().map(|label| format!(" (found {label})")).unwrap_or_default())]
    NoKey(Option<String>),
    /// The key is encrypted with a passphrase.
    #[error("the key is encrypted; kubeadm and kubecertd read unencrypted keys only")]
    Encrypted,
    /// The PEM or DER is damaged, or the algorithm is not RSA or ECDSA.
    #[error("damaged or unsupported key: {0}")]
    Unusable(String),
    /// Making a key failed.
    #[error("could not make a key: {0}")]
    Generation(String),
}

impl KeyAlgorithm {
    /// The algorithm of a certificate's public key, or `None` for a size or curve that kubeadm does not make.
    #[must_use]
    pub fn of_certificate(certificate: &Certificate) -> Option<Self> {
        Self::of_public_key(&certificate.public_key_der)
    }

    /// The algorithm of a SubjectPublicKeyInfo.
    fn of_public_key(der: &[u8]) -> Option<Self> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
        match info.parsed().ok()? {
            PublicKey::RSA(key) => match bits(key.modulus) {
                2048 => Some(Self::Rsa2048),
                3072 => Some(Self::Rsa3072),
                4096 => Some(Self::Rsa4096),
                _ => None,
            },
            PublicKey::EC(_) => {
                let curve = info.algorithm.parameters()?.as_oid().ok()?;
                if curve == OID_EC_P256 {
                    Some(Self::EcdsaP256)
                } else if curve == OID_NIST_EC_P384 {
                    Some(Self::EcdsaP384)
                } else {
                    None
                }
            }
            _ => None,
        }
    }
}

/// A private key. Wiped when dropped; has no `Clone` and its `Debug` says only the algorithm.
pub struct PrivateKey {
    pair: rcgen::KeyPair,
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        // rcgen keeps the DER beside the parsed key; the parsed one is wiped by aws-lc when freed.
        self.pair.zeroize();
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("PrivateKey")
            .field(&self.pair.algorithm())
            .finish()
    }
}

impl PrivateKey {
    /// Makes a new key. RSA takes from a tenth of a second to seconds.
    ///
    /// # Errors
    /// [`KeyError::Generation`].
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let rsa = |size| rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let pair = match algorithm {
            KeyAlgorithm::Rsa2048 => rsa(rcgen::RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => rsa(rcgen::RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => rsa(rcgen::RsaKeySize::_4096),
            KeyAlgorithm::EcdsaP256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::EcdsaP384 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        };
        pair.map(|pair| Self { pair })
            .map_err(|error| KeyError::Generation(error.to_string()))
    }

    /// Reads the first private key of a PEM file: PKCS#1, SEC1 or PKCS#8; other blocks are skipped.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        Self::from_der(&private_key_der(text)?)
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = rcgen::KeyPair::try_from(der)
            .map(|pair| Self { pair })
            .map_err(|_| KeyError::Unusable(why_unusable(der)))?;
        if key.curve().is_none() && !key.is_rsa() {
            return Err(KeyError::Unusable(format!(
                "{:?}; Kubernetes components take RSA and ECDSA",
                key.pair.algorithm()
            )));
        }
        Ok(key)
    }

    /// The PEM that kubeadm writes: `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY` (SEC1 with the curve).
    ///
    /// # Errors
    /// [`KeyError::Unusable`] when the key cannot be re-encoded.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let stored = self.pair.serialized_der();
        // Generated keys are kept as PKCS#8, loaded ones as they were; what stands behind the key was not read, and Go
        // does not read it either.
        let inner = PrivateKeyInfoRef::from_der_partial(stored)
            .map_or(stored, |(info, _)| info.private_key.as_bytes());
        let Some(curve) = self.curve() else {
            return Ok(armour::encode(PKCS1, inner));
        };
        let unusable = |error: sec1::der::Error| KeyError::Unusable(error.to_string());
        let (mut key, _) = EcPrivateKey::from_der_partial(inner).map_err(unusable)?;
        key.parameters = Some(EcParameters::NamedCurve(curve));
        key.public_key = Some(self.pair.public_key_raw());
        let der = Zeroizing::new(key.to_der().map_err(unusable)?);
        Ok(armour::encode(SEC1, &der))
    }

    /// The algorithm, or `None` for a size or curve that kubeadm does not make (RSA-1024, P-521 …).
    #[must_use]
    pub fn algorithm(&self) -> Option<KeyAlgorithm> {
        KeyAlgorithm::of_public_key(&self.public_key_der())
    }

    /// DER of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key_der(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// Whether this is the certificate's key.
    #[must_use]
    pub fn matches(&self, certificate: &Certificate) -> bool {
        self.public_key_der() == certificate.public_key_der
    }

    /// The contents of the SubjectPublicKeyInfo's BIT STRING, from which key identifiers are made.
    pub(super) fn public_key_bits(&self) -> &[u8] {
        self.pair.public_key_raw()
    }

    /// The signature of a message, by [`PrivateKey::signature_algorithm`].
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.pair.sign(message)
    }

    /// AlgorithmIdentifier of this key's signatures: as Go chooses it, the digest goes with the curve and is SHA-256 for
    /// RSA.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        let algorithm = self.pair.algorithm();
        let components: &[u64] = if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 {
            &[1, 2, 840, 10045, 4, 3, 2]
        } else if algorithm == &rcgen::PKCS_ECDSA_P384_SHA384 {
            &[1, 2, 840, 10045, 4, 3, 3]
        } else if algorithm == &rcgen::PKCS_ECDSA_P521_SHA512 {
            &[1, 2, 840, 10045, 4, 3, 4]
        } else {
            let sha256_with_rsa = der::oid(&[1, 2, 840, 113_549, 1, 1, 11]);
            let null = yasna::construct_der(|writer| writer.write_null());
            return der::sequence(&[sha256_with_rsa, null]);
        };
        der::sequence(&[der::oid(components)])
    }

    fn is_rsa(&self) -> bool {
        self.pair.algorithm() == &rcgen::PKCS_RSA_SHA256
    }

    fn curve(&self) -> Option<ObjectIdentifier> {
        let algorithm = self.pair.algorithm();
        if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 {
            Some(ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"))
        } else if algorithm == &rcgen::PKCS_ECDSA_P384_SHA384 {
            Some(ObjectIdentifier::new_unwrap("1.3.132.0.34"))
        } else if algorithm == &rcgen::PKCS_ECDSA_P521_SHA512 {
            Some(ObjectIdentifier::new_unwrap("1.3.132.0.35"))
        } else {
            None
        }
    }
}

/// The DER of the first private key of a PEM file, of any algorithm; wiped when dropped.
///
/// # Errors
/// [`KeyError`] when there is none, or it is encrypted or damaged.
pub fn private_key_der(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut skipped = None;
    for block in armour::blocks(text) {
        match block.label.as_str() {
            ENCRYPTED => return Err(KeyError::Encrypted),
            PKCS1 | SEC1 | PKCS8 => {
                // OpenSSL's older form: Proc-Type: 4,ENCRYPTED
                if block.headers().windows(9).any(|word| word == b"ENCRYPTED") {
                    return Err(KeyError::Encrypted);
                }
                return block.contents().map_err(KeyError::Unusable);
            }
            _ => {
                skipped.get_or_insert(block.label);
            }
        }
    }
    Err(KeyError::NoKey(skipped))
}

const PKCS1: &str = "RSA PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
const PKCS8: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The smallest RSA key that aws-lc signs with.
const RSA_MINIMUM_BITS: usize = 2048;

/// What to say of a key that could not be loaded.
fn why_unusable(der: &[u8]) -> String {
    let pkcs1 = match PrivateKeyInfoRef::try_from(der) {
        Ok(info) if info.algorithm.oid.to_string() != "1.2.840.113549.1.1.1" => {
            return format!(
                "algorithm {}{}; only RSA, P-256, P-384 and P-521 are understood",
                info.algorithm.oid,
                info.algorithm
                    .parameters_oid()
                    .map(|parameters| format!(" with {parameters}"))
                    .unwrap_or_default()
            );
        }
        Ok(info) => info.private_key.as_bytes(),
        Err(_) => der,
    };
    match rsa_modulus(pkcs1).map(bits) {
        Some(size) if size < RSA_MINIMUM_BITS => {
            format!("RSA with {size} bits; at least {RSA_MINIMUM_BITS} are needed")
        }
        Some(size) => format!("RSA with {size} bits, whose numbers do not fit together"),
        None => "neither PKCS#1, SEC1 nor PKCS#8, or a curve other than P-256, P-384 and P-521"
            .to_owned(),
    }
}

/// The modulus of a PKCS#1 key, borrowed: nothing of the key is copied.
fn rsa_modulus(pkcs1: &[u8]) -> Option<&[u8]> {
    let (_, key) = Any::from_der(pkcs1).ok()?;
    let (rest, version) = Any::from_der(key.data).ok()?;
    let (_, modulus) = Any::from_der(rest).ok()?;
    (key.tag() == x509_parser::asn1_rs::Tag::Sequence
        && version.data == [0]
        && modulus.tag() == x509_parser::asn1_rs::Tag::Integer)
        .then_some(modulus.data)
}

/// Length of an unsigned big-endian number.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros).map_or(0, |first| {
        (number.len() - zeros) * 8 - first.leading_zeros() as usize
    })
}

#[cfg(test)]
mod tests;
