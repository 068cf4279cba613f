//! The one door: whatever an issuer answers is checked here before it goes anywhere.

use jiff::Timestamp;

use super::error::IssuanceError;
use super::order::{Issued, Order};
use crate::pki::{Certificate, PrivateKey, check_stand_in, check_successor};

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
        name: order.entry.name.clone(),
        source,
    })?;
    Ok(Issued {
        name: order.entry.name.clone(),
        old: old.clone(),
        certificate: answer.certificate,
        chain: order.present.chain.clone(),
        key,
        signer: answer.signer,
        made: now,
    })
}
