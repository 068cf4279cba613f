//! A certificate authority that can sign: its certificate, its key, and the checks between them.

use jiff::Timestamp;

use super::extension::Extension;
use super::issue_error::IssueError;
use super::tbs::{TbsCertificate, key_id};
use super::validity::Validity;
use super::{Certificate, KeyAlgorithm, PrivateKey, SubjectAltName, key_usage, name};

/// A CA certificate with the key that belongs to it.
#[derive(Debug)]
pub struct CertificateAuthority {
    pub(super) certificate: Certificate,
    pub(super) key: PrivateKey,
}

/// What a new self-signed CA is made of; for clusters that have none, samples and tests: a cluster's CA is never replaced.
#[derive(Debug, Clone)]
pub struct NewAuthority {
    /// Common name, which is also its only DNS name, as kubeadm makes it.
    pub common_name: String,
    /// Key algorithm.
    pub algorithm: KeyAlgorithm,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

impl CertificateAuthority {
    /// Joins a certificate and a key. `bundle` may hold several certificates (a CA bundle during a CA rotation): the
    /// one that the key belongs to is taken, as only that can sign.
    ///
    /// # Errors
    /// [`IssueError`] when no certificate of the bundle matches the key, or the one that does is no CA
    /// (basicConstraints, keyCertSign).
    pub fn new(bundle: &[Certificate], key: PrivateKey) -> Result<Self, IssueError> {
        let own = || bundle.iter().filter(|certificate| key.matches(certificate));
        // Of several for one key (a CA renewed with its key) the one that lasts longest.
        let best = own()
            .filter(|certificate| not_an_authority(certificate).is_none())
            .min_by_key(|certificate| std::cmp::Reverse(certificate.not_after));
        if let Some(certificate) = best {
            return Ok(Self {
                certificate: certificate.clone(),
                key,
            });
        }
        Err(match own().next() {
            Some(certificate) => IssueError::NotAnAuthority {
                subject: certificate.subject.clone(),
                reason: not_an_authority(certificate).unwrap_or_default().to_owned(),
            },
            None => IssueError::AuthorityKeyMismatch {
                subject: bundle
                    .first()
                    .map(|certificate| certificate.subject.clone())
                    .unwrap_or_default(),
            },
        })
    }

    /// The same, with one that is valid `now` if the key has one: the error of a bundle without is the same for all of them.
    ///
    /// # Errors
    /// As [`CertificateAuthority::new`].
    pub fn valid_at(
        bundle: &[Certificate],
        key: PrivateKey,
        now: Timestamp,
    ) -> Result<Self, IssueError> {
        let usable: Vec<Certificate> = bundle
            .iter()
            .filter(|certificate| certificate.is_valid_at(now) && key.matches(certificate))
            .cloned()
            .collect();
        Self::new(if usable.is_empty() { bundle } else { &usable }, key)
    }

    /// Makes a self-signed CA as kubeadm does.
    ///
    /// # Errors
    /// [`IssueError`] when key or certificate cannot be made.
    pub fn generate(new: &NewAuthority) -> Result<Self, IssueError> {
        let key = PrivateKey::generate(new.algorithm)?;
        let subject = name::encode(&new.common_name, &[]);
        let certificate = TbsCertificate {
            issuer: &subject,
            subject: &subject,
            validity: Validity {
                not_before: new.not_before,
                not_after: new.not_after,
            },
            public_key: &key.public_key_der(),
            serial: None,
            extensions: vec![
                Extension::key_usage(
                    key_usage::DIGITAL_SIGNATURE
                        | key_usage::KEY_ENCIPHERMENT
                        | key_usage::KEY_CERT_SIGN,
                ),
                Extension::basic_constraints(true),
                Extension::subject_key_id(&key_id(&key)),
                Extension::subject_alt_name(
                    &[SubjectAltName::Dns(new.common_name.clone())],
                    new.common_name.is_empty(),
                ),
            ],
        }
        .sign(&key)?;
        Ok(Self { certificate, key })
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }
}

/// What keeps a certificate from being a CA's.
fn not_an_authority(certificate: &Certificate) -> Option<&'static str> {
    if !certificate.is_ca {
        return Some("its basic constraints do not say CA");
    }
    certificate
        .key_usage
        .is_some_and(|usage| usage & key_usage::KEY_CERT_SIGN == 0)
        .then_some("its key usage does not allow to sign certificates (keyCertSign)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::NewLeaf;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn generate(name: &str) -> CertificateAuthority {
        CertificateAuthority::generate(&NewAuthority {
            common_name: name.to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: time("2026-01-01T00:00:00Z"),
            not_after: time("2036-01-01T00:00:00Z"),
        })
        .unwrap()
    }

    fn copy(key: &PrivateKey) -> PrivateKey {
        PrivateKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn of_a_bundle_the_certificate_of_the_key_is_taken() {
        let (old, new) = (generate("old"), generate("new"));
        let bundle = [old.certificate().clone(), new.certificate().clone()];
        let chosen = CertificateAuthority::new(&bundle, copy(new.key())).unwrap();
        assert_eq!(chosen.certificate(), new.certificate());

        let error = CertificateAuthority::new(&bundle, copy(generate("third").key())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the key does not belong to the CA certificate CN=old"
        );
    }

    #[test]
    fn of_two_for_one_key_the_longer_lasting_is_taken() {
        let first = generate("kubernetes");
        let subject = name::encode("kubernetes", &[]);
        let renewed = TbsCertificate {
            issuer: &subject,
            subject: &subject,
            validity: Validity {
                not_before: time("2026-01-01T00:00:00Z"),
                not_after: time("2046-01-01T00:00:00Z"),
            },
            public_key: &first.key().public_key_der(),
            serial: None,
            extensions: first.certificate().extensions.clone(),
        }
        .sign(first.key())
        .unwrap();
        let bundle = [first.certificate().clone(), renewed.clone()];
        let chosen = CertificateAuthority::new(&bundle, copy(first.key())).unwrap();
        assert_eq!(chosen.certificate(), &renewed);
    }

    #[test]
    fn what_may_not_sign_is_no_authority() {
        let authority = generate("kubernetes");
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let validity = Validity {
            not_before: time("2026-01-01T00:00:00Z"),
            not_after: time("2027-01-01T00:00:00Z"),
        };
        let leaf = NewLeaf {
            common_name: "leaf".to_owned(),
            organizations: vec![],
            subject_alt_names: vec![],
            server_auth: true,
            client_auth: false,
        }
        .sign(&key, &authority, validity)
        .unwrap();
        let error = CertificateAuthority::new(&[leaf], copy(&key)).unwrap_err();
        assert!(error.to_string().contains("do not say CA"), "{error}");

        let subject = name::encode("odd", &[]);
        let without_cert_sign = TbsCertificate {
            issuer: &subject,
            subject: &subject,
            validity,
            public_key: &key.public_key_der(),
            serial: None,
            extensions: vec![
                Extension::basic_constraints(true),
                Extension::key_usage(key_usage::DIGITAL_SIGNATURE),
            ],
        }
        .sign(&key)
        .unwrap();
        let error = CertificateAuthority::new(&[without_cert_sign], key).unwrap_err();
        assert!(error.to_string().contains("keyCertSign"), "{error}");
    }
}
