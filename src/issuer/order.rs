//! What is asked of an issuer.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::error::IssuanceError;
use crate::config::Renewal;
use crate::node::{CertificateId, Entry, Inventory, Present, Signer};
use crate::pki::{AuthorityId, Certificate, KeyAlgorithm, PrivateKey, SubjectAltName, Validity};

/// How far back a new certificate's validity begins, so that a slightly slow clock elsewhere does no harm; as kubeadm.
const BACKDATING: Duration = Duration::from_secs(5 * 60);

/// One certificate to be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub id: CertificateId,
    /// Whether the new one may end no later than the old one (`--force`).
    pub may_end_sooner: bool,
    /// Names that it gets besides those of the old one.
    pub more_names: Vec<SubjectAltName>,
}

/// One certificate asked of one issuer: what it is to be like, its key, and whose signature counts.
#[derive(Debug)]
pub(super) struct Order<'node> {
    pub(super) entry: &'node Entry,
    /// What it follows, and is like.
    pub(super) present: &'node Present,
    /// Who is to sign it.
    pub(super) authority: AuthorityId,
    pub(super) key: KeySource<'node>,
    pub(super) validity: Duration,
    /// Whether it may end no later than the old one.
    pub(super) may_end_sooner: bool,
    /// Names that it gets besides those of the old one; only of one that is signed here.
    pub(super) more_names: Vec<SubjectAltName>,
}

/// Where the key of a new certificate comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeySource<'node> {
    /// The old certificate's, which really lies there.
    Old(&'node Path),
    /// A new one.
    New(KeyAlgorithm),
}

/// A new certificate with its key, checked against the old one.
#[derive(Debug)]
pub struct Issued {
    /// Which.
    pub id: CertificateId,
    /// The old certificate.
    pub old: Certificate,
    /// The new one.
    pub certificate: Certificate,
    /// Further certificates that follow the new one in its file: those of the old file, or those that came with an answer.
    pub chain: Vec<Certificate>,
    /// Its key.
    pub key: PrivateKey,
    /// The CA's certificate whose key signed it; of a chain the topmost, which its users have to trust.
    pub signer: Certificate,
    /// When it was made.
    pub made: Timestamp,
}

impl<'node> Order<'node> {
    /// The order for an entry, for an authority of this node.
    ///
    /// # Errors
    /// [`IssuanceError::NotRenewable`].
    pub(super) fn new(
        inventory: &'node Inventory,
        renewal: &Renewal,
        wanted: &Wanted,
    ) -> Result<Self, IssuanceError> {
        let order = Self::elsewhere(inventory, renewal, wanted)?;
        match &order.present.signer {
            Signer::Foreign(issuer) => Err(IssuanceError::NotRenewable {
                id: wanted.id.clone(),
                reason: format!(
                    "it was issued by {issuer} and not by an authority of this node; renew it there"
                ),
            }),
            _ => Ok(order),
        }
    }

    /// The same for a CA elsewhere, which may be another than this node's where the file itself says which.
    ///
    /// # Errors
    /// [`IssuanceError::NotRenewable`].
    pub(super) fn elsewhere(
        inventory: &'node Inventory,
        renewal: &Renewal,
        wanted: &Wanted,
    ) -> Result<Self, IssuanceError> {
        let refuse = |reason: &str| IssuanceError::NotRenewable {
            id: wanted.id.clone(),
            reason: reason.to_owned(),
        };
        let entry = inventory
            .entry(&wanted.id)
            .ok_or_else(|| refuse("there is no certificate of that name on this node"))?;
        let present = entry.present().ok_or_else(|| {
            refuse("the old certificate is missing or unreadable, so what to make is not known")
        })?;
        match &present.signer {
            Signer::Expected | Signer::Unchecked(_) | Signer::Unknown => {}
            // Who signed it is in its file.
            Signer::Foreign(_) if !present.issuers().is_empty() => {}
            Signer::Foreign(issuer) => {
                return Err(refuse(&format!(
                    "it was issued by {issuer} and not by an authority of this node; renew it there"
                )));
            }
            Signer::SelfSigned => {
                return Err(refuse(
                    "it is self-signed and not by an authority of this node",
                ));
            }
        }
        let authority = entry
            .authority
            .ok_or_else(|| refuse("it is not known which authority is to sign it"))?;
        let renewal = renewal.of(wanted.id.as_str());
        Ok(Self {
            entry,
            present,
            authority,
            key: if renewal.reuse_key {
                let path = entry.key_path.as_deref().unwrap_or(&entry.path);
                KeySource::Old(inventory.real(path))
            } else {
                KeySource::New(renewal.key_algorithm.after(&present.leaf.key_kind()))
            },
            validity: renewal.validity,
            may_end_sooner: wanted.may_end_sooner,
            more_names: wanted.more_names.clone(),
        })
    }

    /// From when to when it is to be valid, if it is made at `now`. An authority that ends sooner cuts it.
    pub(super) fn validity_from(&self, now: Timestamp) -> Validity {
        valid_from(now, self.validity)
    }
}

/// So long from `now`, with the usual start.
pub(crate) fn valid_from(now: Timestamp, validity: Duration) -> Validity {
    Validity {
        not_before: now.checked_sub(BACKDATING).unwrap_or(now),
        not_after: now.checked_add(validity).unwrap_or(Timestamp::MAX),
    }
}
