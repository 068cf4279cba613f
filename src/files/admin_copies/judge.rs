//! What of a file is a copy, and whether it is to have the new credentials.

use std::path::Path;

use jiff::Timestamp;

use super::fault::CopyFault;
use super::original::Original;
use super::place::Holder;
use super::seen::{CopyState, SeenCopy};
use crate::node::EmbeddedUser;
use crate::pki::{Certificate, PrivateKey, certificates_from_pem};

/// No file has more copies in it; what a user writes there in thousands costs as many checks of keys.
const MOST: usize = 16;

/// The users that have, or had, an original's certificate.
pub(super) fn judge(
    path: &Path,
    users: &[EmbeddedUser],
    originals: &[Original],
    (holder, now): (Holder, Timestamp),
) -> Vec<SeenCopy> {
    let seen = users.iter().filter_map(|user| {
        let certificates = certificates_from_pem(&user.certificate).ok()?;
        let certificate = certificates.first()?;
        let fingerprint = certificate.fingerprint();
        let has_key = || PrivateKey::from_pem(&user.key).is_ok_and(|key| key.matches(certificate));
        let is_current = |one: &Original| one.certificate.fingerprint() == fingerprint;
        let (original, otherwise) = match originals.iter().find(|one| is_current(one)) {
            Some(original) => (original, CopyState::Current),
            None => {
                let original = originals
                    .iter()
                    .find(|one| one.replaced.contains(&fingerprint))?;
                let kept = kept(certificate, original, (holder, now));
                (original, kept.map_or(CopyState::Stale, CopyState::Kept))
            }
        };
        // First of all: without its key it is no copy, whatever else it is.
        let state = if has_key() {
            otherwise
        } else {
            CopyState::Kept(CopyFault::KeyNotThere)
        };
        Some(SeenCopy {
            path: path.to_path_buf(),
            user: user.name.clone(),
            of: original.id.clone(),
            not_after: certificate.not_after,
            state,
        })
    });
    seen.take(MOST).collect()
}

/// Why one whose certificate was replaced, and whose key is there, keeps it; `None` for nothing.
fn kept(
    certificate: &Certificate,
    original: &Original,
    (holder, now): (Holder, Timestamp),
) -> Option<CopyFault> {
    let present = &original.certificate;
    // Before what is to be said all the time: such a file can be kept for ever.
    if holder == Holder::User && certificate.not_after < now {
        return Some(CopyFault::Ended {
            ended: certificate.not_after,
            original: original.id.to_string(),
        });
    }
    // kubeadm's authorities all have the same name. The record may be older than the cluster: `kubeadm reset` leaves it.
    if certificate.issuer_der != present.issuer_der
        || certificate.authority_key_id != present.authority_key_id
    {
        return Some(CopyFault::OtherAuthority {
            original: original.id.to_string(),
        });
    }
    (certificate.subject_der != present.subject_der).then(|| CopyFault::OtherSubject {
        subject: present.subject.clone(),
    })
}
