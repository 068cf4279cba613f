//! A certificate and its key.

use jiff::Timestamp;
use kubecertd::pki::{
    Certificate, CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, Validity,
    certificates_to_pem,
};

pub struct Pair {
    pub certificate: Certificate,
    pub key: PrivateKey,
}

impl Pair {
    /// A new key, and a certificate for it.
    pub fn sign(leaf: &NewLeaf, authority: &CertificateAuthority, validity: Validity) -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let certificate = leaf.sign(&key, authority, validity).unwrap();
        Self { certificate, key }
    }

    pub fn certificate_pem(&self) -> String {
        certificates_to_pem([&self.certificate])
    }

    pub fn key_pem(&self) -> String {
        self.key.to_pem().unwrap().to_string()
    }
}

/// A CA of that name with a new key.
pub fn authority(
    common_name: &str,
    not_before: Timestamp,
    not_after: Timestamp,
) -> CertificateAuthority {
    CertificateAuthority::generate(&NewAuthority {
        common_name: common_name.to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before,
        not_after,
    })
    .unwrap()
}
