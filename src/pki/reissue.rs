//! Making a leaf certificate: anew for samples, or as the successor of an old one with everything kept.

use jiff::Timestamp;

use super::extension::{self, Extension};
use super::tbs::{TbsCertificate, key_id, within};
use super::{
    Certificate, CertificateAuthority, KeyError, PrivateKey, SubjectAltName, key_usage, name,
};

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The authority's key belongs to none of its certificates.
    #[error("the key does not belong to the CA certificate {subject}")]
    AuthorityKeyMismatch {
        /// Subject of the first certificate of the bundle.
        subject: String,
    },
    /// The certificate is not a CA's.
    #[error("{subject} is not a CA certificate: {reason}")]
    NotAnAuthority {
        /// Its subject.
        subject: String,
        /// Which extension says so.
        reason: String,
    },
    /// The authority is not valid at the time of signing.
    #[error("the CA certificate {subject} is {reason}")]
    AuthorityNotValid {
        /// Its subject.
        subject: String,
        /// `expired since …` or `not valid before …`.
        reason: String,
    },
    /// The certificate to be succeeded is itself a CA's.
    #[error(
        "{subject} is a CA certificate; replacing a CA is more than a renewal and is not done here"
    )]
    OldIsAuthority {
        /// Its subject.
        subject: String,
    },
    /// The validity asked for and the authority's have nothing in common.
    #[error(
        "a certificate from {} to {} is impossible: the CA certificate's own validity is from {} to {}",
        asked.not_before, asked.not_after, authority.not_before, authority.not_after
    )]
    NoValidity {
        /// What was asked for.
        asked: Validity,
        /// The authority's.
        authority: Validity,
    },
    /// A key could not be read or made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Encoding or signing failed.
    #[error("could not sign: {0}")]
    Signing(String),
}

/// The validity asked for; what is issued never reaches beyond the authority's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Start: by kubeadm's habit five minutes before the moment of signing.
    pub not_before: Timestamp,
    /// Wanted end; clamped to the authority's.
    pub not_after: Timestamp,
}

/// A leaf made from nothing, as `kubeadm init` makes them; for samples, tests and new credentials.
#[derive(Debug, Clone)]
pub struct NewLeaf {
    /// Common name.
    pub common_name: String,
    /// Organizations; Go puts several into one multi-valued RDN.
    pub organizations: Vec<String>,
    /// Subject alternative names.
    pub subject_alt_names: Vec<SubjectAltName>,
    /// serverAuth.
    pub server_auth: bool,
    /// clientAuth.
    pub client_auth: bool,
}

/// Signs a successor of `old` for `key`: the whole subject byte for byte, every SAN, key usages and extended key
/// usages and every other extension are copied verbatim; serial (63 bits, random), validity, key identifiers and
/// issuer (the authority's subject byte for byte) are new.
///
/// The authority key identifier is there if the authority has a key identifier, the subject key identifier if the old
/// certificate had one. An old certificate of X.509 version 1, which has no extensions, is followed by one of version 3
/// whose only extension is the authority key identifier.
///
/// # Errors
/// [`IssueError`]; an authority that is expired or not yet valid at `now` is refused.
pub fn reissue(
    old: &Certificate,
    key: &PrivateKey,
    authority: &CertificateAuthority,
    validity: Validity,
    now: Timestamp,
) -> Result<Certificate, IssueError> {
    if old.is_ca {
        return Err(IssueError::OldIsAuthority {
            subject: old.subject.clone(),
        });
    }
    check_time(authority.certificate(), now)?;
    TbsCertificate {
        issuer: &authority.certificate.subject_der,
        subject: &old.subject_der,
        validity: within(validity, authority)?,
        public_key: key,
        extensions: succeeding_extensions(old, key, authority),
    }
    .sign(&authority.key)
}

impl NewLeaf {
    /// Signs it, shaped as kubeadm's own leaves (key usages digitalSignature and keyEncipherment, CA:FALSE, AKI, no SKI).
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn sign(
        &self,
        key: &PrivateKey,
        authority: &CertificateAuthority,
        validity: Validity,
    ) -> Result<Certificate, IssueError> {
        let subject = name::encode(&self.common_name, &self.organizations);
        // In the order of Go's crypto/x509.
        let mut extensions = vec![Extension::key_usage(
            key_usage::DIGITAL_SIGNATURE | key_usage::KEY_ENCIPHERMENT,
        )];
        let usages: Vec<&[u64]> = [
            (self.server_auth, SERVER_AUTH),
            (self.client_auth, CLIENT_AUTH),
        ]
        .into_iter()
        .filter_map(|(wanted, usage)| wanted.then_some(usage))
        .collect();
        if !usages.is_empty() {
            extensions.push(Extension::extended_key_usage(&usages));
        }
        extensions.push(Extension::basic_constraints(false));
        extensions.extend(authority_key_id(authority));
        if !self.subject_alt_names.is_empty() {
            extensions.push(Extension::subject_alt_name(
                &self.subject_alt_names,
                self.common_name.is_empty() && self.organizations.is_empty(),
            ));
        }
        TbsCertificate {
            issuer: &authority.certificate.subject_der,
            subject: &subject,
            validity: within(validity, authority)?,
            public_key: key,
            extensions,
        }
        .sign(&authority.key)
    }
}

const SERVER_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];

fn check_time(authority: &Certificate, now: Timestamp) -> Result<(), IssueError> {
    let reason = if now < authority.not_before {
        format!(
            "not valid before {}; check the clock of this machine",
            authority.not_before
        )
    } else if now > authority.not_after {
        format!(
            "expired since {}; nobody would accept what it signs, so it has to be replaced first",
            authority.not_after
        )
    } else {
        return Ok(());
    };
    Err(IssueError::AuthorityNotValid {
        subject: authority.subject.clone(),
        reason,
    })
}

/// The old extensions in their order, key identifiers made anew in place.
fn succeeding_extensions(
    old: &Certificate,
    key: &PrivateKey,
    authority: &CertificateAuthority,
) -> Vec<Extension> {
    let mut authority_key_id = authority_key_id(authority);
    let mut extensions: Vec<Extension> = old
        .extensions
        .iter()
        .filter_map(|extension| {
            if extension.is(extension::AUTHORITY_KEY_ID) {
                authority_key_id.take()
            } else if extension.is(extension::SUBJECT_KEY_ID) {
                Some(Extension::subject_key_id(&key_id(key)))
            } else {
                Some(extension.clone())
            }
        })
        .collect();
    extensions.extend(authority_key_id);
    extensions
}

fn authority_key_id(authority: &CertificateAuthority) -> Option<Extension> {
    authority
        .certificate
        .subject_key_id
        .as_deref()
        .map(Extension::authority_key_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{KeyAlgorithm, NewAuthority, certificates_from_pem};

    macro_rules! kubeadm {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/data/kubeadm/", $name)).as_slice()
        };
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn validity(from: &str, to: &str) -> Validity {
        Validity {
            not_before: time(from),
            not_after: time(to),
        }
    }

    fn kubeadm_authority() -> CertificateAuthority {
        CertificateAuthority::new(
            &certificates_from_pem(kubeadm!("ca.crt")).unwrap(),
            PrivateKey::from_pem(kubeadm!("ca.key")).unwrap(),
        )
        .unwrap()
    }

    fn first(text: &[u8]) -> Certificate {
        certificates_from_pem(text).unwrap().remove(0)
    }

    fn authority(from: &str, to: &str) -> CertificateAuthority {
        CertificateAuthority::generate(&NewAuthority {
            common_name: "etcd-ca".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP384,
            not_before: time(from),
            not_after: time(to),
        })
        .unwrap()
    }

    fn leaf() -> NewLeaf {
        NewLeaf {
            common_name: "n".to_owned(),
            organizations: vec![],
            subject_alt_names: vec![],
            server_auth: false,
            client_auth: true,
        }
    }

    fn extensions(certificate: &Certificate) -> Vec<&[u8]> {
        certificate
            .extensions
            .iter()
            .map(|extension| extension.der.as_slice())
            .collect()
    }

    #[test]
    fn kubeadms_own_certificate_is_made_again_byte_for_byte() {
        let old = first(kubeadm!("apiserver.crt"));
        let key = PrivateKey::from_pem(kubeadm!("apiserver.key")).unwrap();
        let same = Validity {
            not_before: old.not_before,
            not_after: old.not_after,
        };
        let new = reissue(&old, &key, &kubeadm_authority(), same, old.not_before).unwrap();

        let parts = |certificate: &Certificate| {
            let outer = super::super::der::elements(certificate.der()).unwrap();
            let mut tbs = super::super::der::elements(&outer[0]).unwrap();
            let serial = tbs.remove(1);
            (tbs, serial, outer[1].clone())
        };
        let (old_tbs, old_serial, old_algorithm) = parts(&old);
        let (new_tbs, new_serial, new_algorithm) = parts(&new);
        assert_eq!(new_tbs, old_tbs);
        assert_eq!(new_algorithm, old_algorithm);
        assert_ne!(new_serial, old_serial);
    }

    #[test]
    fn a_new_leaf_has_the_extensions_of_kubeadms_in_gos_order() {
        let authority = kubeadm_authority();
        for (text, server_auth, client_auth) in [
            (kubeadm!("apiserver.crt"), true, false),
            (kubeadm!("apiserver-kubelet-client.crt"), false, true),
            (kubeadm!("etcd-server.crt"), true, true),
        ] {
            let by_kubeadm = first(text);
            let new = NewLeaf {
                common_name: by_kubeadm.common_name.clone().unwrap(),
                organizations: by_kubeadm.organizations.clone(),
                subject_alt_names: by_kubeadm.subject_alt_names.clone(),
                server_auth,
                client_auth,
            };
            let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
            let made = new
                .sign(
                    &key,
                    &authority,
                    validity("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
                )
                .unwrap();
            assert_eq!(made.subject_der, by_kubeadm.subject_der);
            // kubeadm before 1.23 left basicConstraints out; it stands third, where Go puts it.
            let mut rest = made.clone();
            let constraints = rest.extensions.remove(2);
            assert!(constraints.is(extension::BASIC_CONSTRAINTS) && constraints.critical);
            assert_eq!(constraints.value, [0x30, 0]);
            // The etcd CA of the fixture has another key identifier.
            let strip = |certificate: &Certificate| {
                let mut certificate = certificate.clone();
                certificate
                    .extensions
                    .retain(|one| !one.is(extension::AUTHORITY_KEY_ID));
                certificate
            };
            assert_eq!(extensions(&strip(&rest)), extensions(&strip(&by_kubeadm)));
            assert_eq!(
                made.authority_key_id,
                authority.certificate().subject_key_id
            );
            assert!(made.is_signed_by(authority.certificate()));
        }
    }

    #[test]
    fn a_new_authority_looks_like_kubeadms() {
        let made = authority("2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z");
        let (made, by_kubeadm) = (made.certificate(), kubeadm_authority());
        assert!(made.is_self_signed() && made.is_ca);
        assert_eq!(made.subject, "CN=etcd-ca");
        let kubeadms = extensions(by_kubeadm.certificate());
        let mades = extensions(made);
        assert_eq!(mades[..2], kubeadms[..2]);
        assert!(made.extensions[2].is(extension::SUBJECT_KEY_ID));
        // As kubeadm does since 1.22.
        assert_eq!(
            made.subject_alt_names,
            [SubjectAltName::Dns("etcd-ca".to_owned())]
        );
        assert_eq!(made.authority_key_id, None);
    }

    #[test]
    fn validity_never_leaves_the_authoritys() {
        let authority = authority("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let old = leaf()
            .sign(
                &key,
                &authority,
                validity("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            )
            .unwrap();
        let new = reissue(
            &old,
            &key,
            &authority,
            validity("2025-12-31T23:55:00Z", "2027-06-01T00:00:00Z"),
            time("2026-01-01T00:00:00Z"),
        )
        .unwrap();
        assert_eq!(new.not_before, authority.certificate().not_before);
        assert_eq!(new.not_after, authority.certificate().not_after);

        let beyond = reissue(
            &old,
            &key,
            &authority,
            validity("2027-02-01T00:00:00Z", "2027-06-01T00:00:00Z"),
            time("2026-12-31T00:00:00Z"),
        );
        assert!(matches!(beyond, Err(IssueError::NoValidity { .. })));
    }

    #[test]
    fn an_authority_outside_its_validity_does_not_sign() {
        let authority = authority("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let asked = validity("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z");
        let old = leaf().sign(&key, &authority, asked).unwrap();
        for (now, reason) in [
            (
                "2025-12-31T23:59:59Z",
                "CN=etcd-ca is not valid before 2026-01-01T00:00:00Z",
            ),
            (
                "2027-01-01T00:00:01Z",
                "CN=etcd-ca is expired since 2027-01-01T00:00:00Z",
            ),
        ] {
            let error = reissue(&old, &key, &authority, asked, time(now)).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn an_authority_is_never_renewed_as_a_leaf() {
        let authority = kubeadm_authority();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let old = authority.certificate();
        let asked = validity("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
        let error = reissue(old, &key, &authority, asked, asked.not_before).unwrap_err();
        assert!(matches!(error, IssueError::OldIsAuthority { .. }));
    }

    #[test]
    fn version_1_is_followed_by_version_3_with_an_authority_key_id() {
        let authority = kubeadm_authority();
        let old = first(include_bytes!("../../tests/data/version1.crt"));
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let asked = validity("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
        let new = reissue(&old, &key, &authority, asked, asked.not_before).unwrap();
        assert_eq!(new.subject_der, old.subject_der);
        assert_eq!(new.extensions.len(), 1);
        assert_eq!(new.authority_key_id, authority.certificate().subject_key_id);
    }
}
