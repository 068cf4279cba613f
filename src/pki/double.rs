//! The double of a certificate: the same in everything that can be read, for another key and by another signer.
//!
//! What is tried with doubles shows what would happen with the originals, and nobody who trusts these trusts a double.

use std::borrow::Cow;

use super::{Certificate, IssueError, PrivateKey, der};

/// Tag of the optional version, `[0] EXPLICIT`.
const VERSION: u8 = 0xa0;

/// Signs a certificate again: serial number, names, validity and every extension, key identifiers included, stay byte
/// for byte; only the public key is `key`'s and the signature `signer`'s.
///
/// # Errors
/// [`IssueError::Signing`].
pub fn double(
    original: &Certificate,
    key: &PrivateKey,
    signer: &PrivateKey,
) -> Result<Certificate, IssueError> {
    let signing = |error: &dyn std::fmt::Display| IssueError::Signing(error.to_string());
    let damaged = || signing(&"the original certificate has too few parts");
    let parts = der::elements(&original.der).map_err(|error| signing(&error))?;
    let tbs = parts.first().ok_or_else(damaged)?;
    let fields = der::elements(tbs.whole).map_err(|error| signing(&error))?;
    let mut fields: Vec<Cow<'_, [u8]>> = fields
        .iter()
        .map(|field| Cow::Borrowed(field.whole))
        .collect();
    // RFC 5280 §4.1: version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo.
    let first = usize::from(fields.first().and_then(|field| field.first()) == Some(&VERSION));
    let algorithm = signer.signature_algorithm();
    for (place, new) in [(1, algorithm.clone()), (5, key.public_key_der())] {
        *fields.get_mut(first + place).ok_or_else(damaged)? = Cow::Owned(new);
    }
    let tbs = der::sequence(&fields);
    let signature = signer.sign(&tbs).map_err(|error| signing(&error))?;
    let certificate = der::sequence(&[tbs, algorithm, der::bit_string(&signature)]);
    Certificate::from_der(&certificate).map_err(|error| signing(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, SubjectAltName};
    use crate::pki::{Validity, certificates_from_pem};
    use jiff::Timestamp;

    fn key(algorithm: KeyAlgorithm) -> PrivateKey {
        PrivateKey::generate(algorithm).unwrap()
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn authority() -> CertificateAuthority {
        CertificateAuthority::generate(&NewAuthority {
            common_name: "kubernetes".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: time("2026-01-01T00:00:00Z"),
            not_after: time("2036-01-01T00:00:00Z"),
        })
        .unwrap()
    }

    #[test]
    fn all_but_key_and_signature_is_the_same() {
        let real = authority();
        let leaf = NewLeaf {
            common_name: "kube-apiserver".to_owned(),
            organizations: vec!["a".to_owned(), "b".to_owned()],
            subject_alt_names: vec![SubjectAltName::Dns("kubernetes".to_owned())],
            server_auth: true,
            client_auth: false,
        }
        .sign(
            &key(KeyAlgorithm::EcdsaP256),
            &real,
            Validity {
                not_before: time("2026-01-01T00:00:00Z"),
                not_after: time("2027-01-01T00:00:00Z"),
            },
        )
        .unwrap();
        let (ca_key, leaf_key) = (key(KeyAlgorithm::EcdsaP384), key(KeyAlgorithm::EcdsaP256));
        let ca = double(real.certificate(), &ca_key, &ca_key).unwrap();
        let twin = double(&leaf, &leaf_key, &ca_key).unwrap();
        assert!(ca.is_self_signed() && leaf_key.matches(&twin));
        assert!(twin.is_signed_by(&ca) && !twin.is_signed_by(real.certificate()));
        assert!(!leaf.is_signed_by(&ca));
        for (original, twin) in [(real.certificate(), &ca), (&leaf, &twin)] {
            let same = Certificate {
                der: original.der.clone(),
                public_key_der: original.public_key_der.clone(),
                ..twin.clone()
            };
            assert_eq!(&same, original);
        }
    }

    #[test]
    fn certificates_of_version_1_have_doubles_as_well() {
        let old = certificates_from_pem(include_bytes!("../../tests/data/version1.crt"));
        let Ok(old) = old else {
            panic!("{old:?}");
        };
        let key = key(KeyAlgorithm::EcdsaP256);
        let twin = double(&old[0], &key, &key).unwrap();
        assert_eq!(twin.subject_der, old[0].subject_der);
        assert!(key.matches(&twin));
    }
}
