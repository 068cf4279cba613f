//! The one door: whatever an issuer answers is checked here before it goes anywhere.

use jiff::Timestamp;

use super::error::IssuanceError;
use super::order::{Issued, Order};
use super::way_up::WayUp;
use crate::pki::{
    Certificate, NewLeaf, PrivateKey, SubjectAltName, SuccessorError, check_answer,
    check_delivered, check_new, check_stand_in, check_successor,
};

/// What an issuer answered to an order.
pub(super) struct Answer {
    pub(super) certificate: Certificate,
    /// The certificate whose key signed it.
    pub(super) signer: Certificate,
}

/// Accepts an answer that fits `key`, is signed by one of `trusted` (the authority's certificates on this node's disk), is no
/// CA's, carries at least the subject, names and usages of the old certificate, is valid `now`, and ends later than the old one
/// unless the order says otherwise.
///
/// # Errors
/// [`IssuanceError::Check`] with the first thing that does not hold.
pub(super) fn accept(
    order: &Order<'_>,
    answer: Answer,
    key: PrivateKey,
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<Issued, IssuanceError> {
    let old = &order.present.leaf;
    let check = if order.may_end_sooner {
        check_stand_in
    } else {
        check_successor
    };
    check(old, &answer.certificate, &key, trusted, now).map_err(|source| IssuanceError::Check {
        id: order.entry.id.clone(),
        source,
    })?;
    let lacks = |name: &&SubjectAltName| !answer.certificate.subject_alt_names.contains(name);
    if let Some(name) = order.more_names.iter().find(lacks) {
        return Err(IssuanceError::Check {
            id: order.entry.id.clone(),
            source: SuccessorError::Differs(format!("it lacks the name {name}")),
        });
    }
    Ok(Issued {
        id: order.entry.id.clone(),
        old: old.clone(),
        certificate: answer.certificate,
        chain: order.present.chain.clone(),
        key,
        signer: answer.signer,
        made: now,
    })
}

/// The same for what a CA elsewhere answered: its signature and those above it, up to a CA certificate on this node's disk, are
/// checked in any case, and what such a CA adds by its own rules may differ.
///
/// # Errors
/// [`IssuanceError::Check`] with the first thing that does not hold.
pub(super) fn accept_from_elsewhere(
    order: &Order<'_>,
    answer: &Certificate,
    way: &WayUp<'_>,
    key: PrivateKey,
    now: Timestamp,
) -> Result<Issued, IssuanceError> {
    let old = &order.present.leaf;
    let refuse = |source| IssuanceError::Check {
        id: order.entry.id.clone(),
        source,
    };
    check_answer(old, answer, &key, way.issuer(), now).map_err(refuse)?;
    if !order.may_end_sooner && answer.not_after <= old.not_after {
        return Err(refuse(SuccessorError::NotLater {
            old: old.not_after,
            new: answer.not_after,
        }));
    }
    Ok(Issued {
        id: order.entry.id.clone(),
        old: old.clone(),
        certificate: answer.clone(),
        chain: way.between.iter().copied().cloned().collect(),
        key,
        signer: way.anchor.clone(),
        made: now,
    })
}

/// Accepts a certificate that follows none: for that key, signed by one of `trusted`, and like `leaf` in everything.
///
/// # Errors
/// The first thing that does not hold.
pub(super) fn accept_fresh(
    leaf: &NewLeaf,
    certificate: &Certificate,
    public_key: &[u8],
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), SuccessorError> {
    check_new(leaf, certificate, public_key, trusted, now)
}

/// Accepts what an authority elsewhere made of a request: `leaf` in everything, and perhaps more names.
///
/// # Errors
/// The first thing that does not hold.
pub fn accept_signed(
    leaf: &NewLeaf,
    chain: &[Certificate],
    public_key: &[u8],
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), SuccessorError> {
    check_delivered(leaf, chain, public_key, trusted, now)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use jiff::SignedDuration;

    use super::*;
    use crate::issuer::order::KeySource;
    use crate::node::{CertificateId, CertificateState, Entry, KeyState, Present, Signer};
    use crate::pki::{
        AuthorityId, CertificateAuthority, KeyAlgorithm, LeafName, NewAuthority, Validity,
    };

    fn days(days: i64) -> Timestamp {
        let begin: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        begin + SignedDuration::from_hours(24 * days)
    }

    fn authority() -> CertificateAuthority {
        CertificateAuthority::generate(&NewAuthority {
            common_name: "kubernetes".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: days(-1000),
            not_after: days(1000),
        })
        .unwrap()
    }

    fn key() -> PrivateKey {
        PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap()
    }

    /// What a bad issuer may change.
    struct Made<'a> {
        common_name: &'a str,
        groups: &'a [&'a str],
        server: bool,
        ends: i64,
    }

    const GOOD: Made<'_> = Made {
        common_name: "kube-apiserver",
        groups: &["masters"],
        server: true,
        ends: 100,
    };

    fn made(made: &Made<'_>, key: &PrivateKey, authority: &CertificateAuthority) -> Certificate {
        let leaf = NewLeaf {
            common_name: made.common_name.to_owned(),
            organizations: made.groups.iter().map(ToString::to_string).collect(),
            subject_alt_names: Vec::new(),
            server_auth: made.server,
            client_auth: true,
        };
        let validity = Validity {
            not_before: days(-10),
            not_after: days(made.ends),
        };
        leaf.sign(key, authority, validity).unwrap()
    }

    #[test]
    fn only_what_was_asked_for_passes() {
        let (own, foreign) = (authority(), authority());
        let old = made(&Made { ends: 10, ..GOOD }, &key(), &own);
        let entry = Entry {
            id: CertificateId::leaf(LeafName::Apiserver),
            path: PathBuf::from("/x"),
            certificate_path: PathBuf::from("/x"),
            key_path: None,
            authority: Some(AuthorityId::Kubernetes),
            state: CertificateState::Missing,
            described: None,
        };
        let present = Present {
            leaf: old,
            chain: Vec::new(),
            key: KeyState::Missing,
            signer: Signer::Expected,
            modified: None,
        };
        let new = key();
        let answered = |certificate: Certificate, key: &PrivateKey, may_end_sooner: bool| {
            let order = Order {
                entry: &entry,
                present: &present,
                authority: AuthorityId::Kubernetes,
                key: KeySource::New(KeyAlgorithm::EcdsaP256),
                validity: Duration::from_secs(86_400),
                may_end_sooner,
                more_names: Vec::new(),
            };
            let answer = Answer {
                certificate,
                signer: own.certificate().clone(),
            };
            let key = PrivateKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
            accept(&order, answer, key, &[own.certificate().clone()], days(0))
        };
        assert!(answered(made(&GOOD, &new, &own), &new, false).is_ok());

        let why = |result: Result<Issued, IssuanceError>| match result {
            Err(IssuanceError::Check { source, .. }) => source,
            other => panic!("{other:?}"),
        };
        let refused = |bad: Made<'_>| why(answered(made(&bad, &new, &own), &new, false));
        let another_key = why(answered(made(&GOOD, &key(), &own), &new, false));
        assert!(matches!(another_key, SuccessorError::KeyMismatch));
        // The issuer's name is the right one, the signature is not.
        let another_authority = why(answered(made(&GOOD, &new, &foreign), &new, false));
        assert!(matches!(
            another_authority,
            SuccessorError::Untrusted { .. }
        ));
        let another_subject = refused(Made {
            common_name: "kubelet",
            ..GOOD
        });
        assert!(matches!(another_subject, SuccessorError::Lacks(_)));
        assert!(matches!(
            refused(Made {
                groups: &[],
                ..GOOD
            }),
            SuccessorError::Lacks(_)
        ));
        assert!(matches!(
            refused(Made {
                server: false,
                ..GOOD
            }),
            SuccessorError::Lacks(_)
        ));
        assert!(matches!(
            refused(Made { ends: -5, ..GOOD }),
            SuccessorError::NotValidNow(_)
        ));
        assert!(matches!(
            refused(Made { ends: 9, ..GOOD }),
            SuccessorError::NotLater { .. }
        ));
        assert!(answered(made(&Made { ends: 9, ..GOOD }, &new, &own), &new, true).is_ok());
        let whole_authority = why(answered(own.certificate().clone(), own.key(), false));
        assert!(matches!(whole_authority, SuccessorError::IsAuthority));
    }
}
