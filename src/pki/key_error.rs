//! Why a private key cannot be used.

use super::foreign_key::ForeignKey;

/// Why a key cannot be used.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// No private key block; the label found, if any.
    #[error("no PEM block with a private key found{}", .0.as_ref().map(|label| format!(" (found {label})")).unwrap_or_default())]
    NoKey(Option<String>),
    /// The key is encrypted with a passphrase.
    #[error("the key is encrypted; kubeadm and kubecertd read unencrypted keys only")]
    Encrypted,
    /// The PEM or DER is damaged.
    #[error("damaged key: {0}")]
    Unusable(String),
    /// A key of a kind that is not supported here; it may be sound.
    #[error("{0}")]
    Unsupported(ForeignKey),
    /// Making a key failed.
    #[error("could not make a key: {0}")]
    Generation(String),
}

impl KeyError {
    /// Of a key that could not be loaded.
    pub(super) fn of_unusable(der: &[u8]) -> Self {
        ForeignKey::read(der).map_or_else(Self::Unusable, Self::Unsupported)
    }
}
