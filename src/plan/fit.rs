//! Whether one certificate, and what is to sign it, are fit for a renewal.

use jiff::Timestamp;

use super::obstacle::{AuthorityFault, Obstacle, UnsupportedKey};
use crate::config::{CertificateRenewal, IssuerWay, NamedIssuer};
use crate::node::{Authority, Entry, Fault, Inventory, KeyState, Present, Problem};
use crate::pki::{AuthorityId, Certificate, is_authoritys_own, signer_fault};

/// Whether new credentials can be put into its file in place.
pub(super) fn check_editable(inventory: &Inventory, entry: &Entry) -> Result<(), Obstacle> {
    match inventory.uneditable.get(&entry.id) {
        Some(reason) => Err(Obstacle::NotEditable(Problem::new(
            &entry.path,
            Fault::NotEditable {
                reason: reason.clone(),
            },
        ))),
        None => Ok(()),
    }
}

/// Whether the signer to which the configuration gives it signs such certificates at all, so that it is not asked in vain.
pub(super) fn check_signer(
    (name, issuer): (&str, &NamedIssuer),
    present: &Present,
    authority: AuthorityId,
) -> Result<(), Obstacle> {
    let IssuerWay::Signer(signer) = issuer.way() else {
        return Ok(());
    };
    match signer_fault(signer.name, &present.leaf, authority) {
        Some(because) => Err(Obstacle::NotOfSigner {
            issuer: name.to_owned(),
            signer: signer.name.to_owned(),
            because,
        }),
        None => Ok(()),
    }
}

/// A leaf that says CA:TRUE is renewed as what it was meant to be, as kubeadm does it. But a CA's own certificate may have
/// got into its place: that has no leaf's key beside it, or signed itself, or others.
pub(super) fn check_says_ca(
    entry: &Entry,
    present: &Present,
    authorities: &[Certificate],
) -> Result<(), Obstacle> {
    let leaf = &present.leaf;
    let is_authoritys = authorities
        .iter()
        .any(|authority| is_authoritys_own(leaf, authority))
        || present.chain.iter().any(|other| other.is_signed_by(leaf));
    let fault = if is_authoritys {
        Fault::AuthorityInPlace
    } else if !matches!(present.key, KeyState::Matching(_)) {
        Fault::SaysAuthority
    } else {
        return Ok(());
    };
    Err(Obstacle::Unreadable(Problem::new(
        &entry.certificate_path,
        fault,
    )))
}

/// Whether the keys that a renewal needs are of kinds that can be used here.
pub(super) fn check_keys(
    authority: &Authority,
    signing: &[Certificate],
    present: &Present,
    renewal: CertificateRenewal,
) -> Result<(), Obstacle> {
    let kinds = signing.iter().map(Certificate::key_kind);
    if let Some(kind) = kinds.clone().next()
        && !kinds.clone().any(|kind| kind.can_sign())
    {
        return Err(Obstacle::NotSupported(UnsupportedKey::Authority {
            authority: authority.name,
            kind: kind.to_string(),
        }));
    }
    let own = present.leaf.key_kind();
    if renewal.reuse_key && !own.can_sign() {
        return Err(Obstacle::NotSupported(UnsupportedKey::Own {
            kind: own.to_string(),
        }));
    }
    Ok(())
}

pub(super) fn not_valid(
    authority: &Certificate,
    extendable: Option<AuthorityId>,
    now: Timestamp,
) -> Option<Obstacle> {
    let subject = authority.subject.clone();
    let fault = if now > authority.not_after {
        AuthorityFault::Expired {
            subject,
            ended: authority.not_after,
            extendable,
        }
    } else if now < authority.not_before {
        AuthorityFault::NotYetValid {
            subject,
            begins: authority.not_before,
        }
    } else {
        return None;
    };
    Some(Obstacle::AuthorityUnusable(fault))
}
