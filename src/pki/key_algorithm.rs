//! The kinds of key that can be made here.

use std::fmt;

/// The kinds of key that can be made here: those of kubeadm's `encryptionAlgorithm`, by its names, and a few more that are
/// kept where they are found.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
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
    /// RSA with 8192 bits, which kubeadm does not make.
    #[serde(rename = "RSA-8192")]
    Rsa8192,
    /// ECDSA on P-256.
    #[serde(rename = "ECDSA-P256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ECDSA-P384")]
    EcdsaP384,
    /// ECDSA on P-521, which kubeadm does not make.
    #[serde(rename = "ECDSA-P521")]
    EcdsaP521,
    /// Ed25519, which kubeadm does not make.
    Ed25519,
}

impl KeyAlgorithm {
    /// Its name, as in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::Rsa8192 => "RSA-8192",
            Self::EcdsaP256 => "ECDSA-P256",
            Self::EcdsaP384 => "ECDSA-P384",
            Self::EcdsaP521 => "ECDSA-P521",
            Self::Ed25519 => "Ed25519",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
