//! Private keys: made, read, written and wiped.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::asn1::ObjectIdentifier;
use rcgen::{PublicKeyData as _, SigningKey as _};
use sec1::EcParameters;
use sec1::EcPrivateKey;
use sec1::der::{Decode as _, Encode as _};
use zeroize::{Zeroize as _, Zeroizing};

use super::key_error::KeyError;
use super::key_kind::{PublicKey, same_public_key};
use super::{Certificate, KeyAlgorithm, KeyKind, armour, der};

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
            .field(&self.kind().to_string())
            .finish()
    }
}

impl PrivateKey {
    /// Makes a new key. RSA takes from a tenth of a second to seconds, and with 8192 bits up to a minute.
    ///
    /// # Errors
    /// [`KeyError::Generation`].
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let rsa = |size| rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let pair = match algorithm {
            KeyAlgorithm::Rsa2048 => rsa(rcgen::RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => rsa(rcgen::RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => rsa(rcgen::RsaKeySize::_4096),
            KeyAlgorithm::Rsa8192 => return Self::generate_rsa_8192(),
            KeyAlgorithm::EcdsaP256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::EcdsaP384 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyAlgorithm::EcdsaP521 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            KeyAlgorithm::Ed25519 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        pair.map(|pair| Self { pair })
            .map_err(|_| KeyError::Generation(format!("making {algorithm} failed")))
    }

    /// rcgen knows no such size, but takes a key that has it.
    fn generate_rsa_8192() -> Result<Self, KeyError> {
        let failed = || KeyError::Generation("making RSA-8192 failed".to_owned());
        let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa8192)
            .map_err(|_| failed())?;
        let pkcs8: Pkcs8V1Der<'_> = key.as_der().map_err(|_| failed())?;
        rcgen::KeyPair::try_from(pkcs8.as_ref())
            .map(|pair| Self { pair })
            .map_err(|_| failed())
    }

    /// Reads the first private key of a PEM file: PKCS#1, SEC1 or PKCS#8; other blocks are skipped.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        Self::from_der(&private_key_der(text)?)
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        rcgen::KeyPair::try_from(der)
            .map(|pair| Self { pair })
            .map_err(|_| KeyError::of_unusable(der))
    }

    /// The PEM that kubeadm writes: `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY` (SEC1 with the curve). Ed25519 has no
    /// form of its own and is written as `PRIVATE KEY` (PKCS#8).
    ///
    /// # Errors
    /// [`KeyError::Unusable`] when the key cannot be re-encoded.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let stored = self.pair.serialized_der();
        let unusable = |_| KeyError::Unusable("it cannot be written again".to_owned());
        // Generated keys are kept as PKCS#8, loaded ones as they were; what stands behind the key was not read, and Go
        // does not read it either.
        let info = PrivateKeyInfoRef::from_der_partial(stored);
        if self.is_ed25519() {
            // Without the public key, which OpenSSL does not expect there.
            let (info, _) = info.map_err(unusable)?;
            let plain = PrivateKeyInfoRef::new(info.algorithm, info.private_key);
            let der = Zeroizing::new(plain.to_der().map_err(unusable)?);
            return Ok(armour::encode(PKCS8, &der));
        }
        let inner = info.map_or(stored, |(info, _)| info.private_key.as_bytes());
        let Some(curve) = self.curve() else {
            return Ok(armour::encode(PKCS1, inner));
        };
        let (mut key, _) = EcPrivateKey::from_der_partial(inner).map_err(unusable)?;
        key.parameters = Some(EcParameters::NamedCurve(curve));
        key.public_key = Some(self.pair.public_key_raw());
        let der = Zeroizing::new(key.to_der().map_err(unusable)?);
        Ok(armour::encode(SEC1, &der))
    }

    /// The algorithm, or `None` for a size that is not made here (RSA-2560 …).
    #[must_use]
    pub fn algorithm(&self) -> Option<KeyAlgorithm> {
        self.kind().made()
    }

    fn kind(&self) -> KeyKind {
        KeyKind::of_public_key(&self.public_key_der())
    }

    /// DER of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key_der(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// Whether this is the certificate's key. The same key may be described in several ways (an elliptic curve by its
    /// parameters, say): it is the key itself that counts.
    #[must_use]
    pub fn matches(&self, certificate: &Certificate) -> bool {
        let own = self.public_key_der();
        own == certificate.public_key_der
            || PublicKey::of(&certificate.public_key_der).is_some_and(|key| {
                key.bits == self.public_key_bits() && key.is_described_like(&self.kind())
            })
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
        } else if self.is_ed25519() {
            &[1, 3, 101, 112]
        } else {
            let sha256_with_rsa = der::oid(&[1, 2, 840, 113_549, 1, 1, 11]);
            let null = yasna::construct_der(|writer| writer.write_null());
            return der::sequence(&[sha256_with_rsa, null]);
        };
        der::sequence(&[der::oid(components)])
    }

    fn is_ed25519(&self) -> bool {
        self.pair.algorithm() == &rcgen::PKCS_ED25519
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

/// A SubjectPublicKeyInfo as PEM, `PUBLIC KEY`.
#[must_use]
pub fn public_key_to_pem(der: &[u8]) -> String {
    armour::encode(PUBLIC_KEY, der).to_string()
}

/// Whether a PEM file's first `PUBLIC KEY` is that of a SubjectPublicKeyInfo.
#[must_use]
pub fn is_public_key(text: &[u8], der: &[u8]) -> bool {
    armour::blocks(text)
        .find(|block| block.label == PUBLIC_KEY)
        .and_then(|block| block.contents().ok())
        .is_some_and(|read| same_public_key(&read, der))
}

const PUBLIC_KEY: &str = "PUBLIC KEY";
const PKCS1: &str = "RSA PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
const PKCS8: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

#[cfg(test)]
mod tests;
