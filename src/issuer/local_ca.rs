//! Issuing with the CA keys on disk.

use std::cmp::Reverse;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::authorities::{Authorities, LoadedAuthority, ReadKey};
use super::old_key::old_key;
use super::order::{IssuanceError, Issued, Wanted};
use crate::config::Renewal;
use crate::host::on_all_cores;
use crate::node::{Entry, Inventory, Present, Signer};
use crate::pki::{
    IssueError, KeyAlgorithm, PrivateKey, Validity, check_stand_in, check_successor, reissue,
};

/// Makes keys on all cores and signs them. An entry that fails does not hold up the others; the results are in the order
/// of `wanted`.
#[must_use]
pub fn issue(
    inventory: &Inventory,
    renewal: &Renewal,
    wanted: &[Wanted],
    now: Timestamp,
) -> Vec<Result<Issued, IssuanceError>> {
    issue_and_tell(inventory, renewal, wanted, now).0
}

/// The same, and the authorities' keys that were read for it.
#[must_use]
pub fn issue_and_tell(
    inventory: &Inventory,
    renewal: &Renewal,
    wanted: &[Wanted],
    now: Timestamp,
) -> (Vec<Result<Issued, IssuanceError>>, Vec<ReadKey>) {
    let authorities = Authorities::load(inventory, wanted, now);
    let jobs: Vec<Result<Job<'_>, IssuanceError>> = wanted
        .iter()
        .map(|wanted| Job::new(inventory, &authorities, renewal, wanted))
        .collect();
    // The costly keys first, so that no core ends up alone with one of them.
    let mut order: Vec<(usize, &Job<'_>)> = jobs
        .iter()
        .enumerate()
        .filter_map(|(index, job)| Some((index, job.as_ref().ok()?)))
        .collect();
    order.sort_by_key(|(_, job)| Reverse(job.cost()));

    let mut done = on_all_cores(&order, |(index, job)| (*index, job.run(now)));
    done.sort_by_key(|(index, _)| *index);
    let mut done = done.into_iter();
    let results = jobs
        .into_iter()
        .filter_map(|job| match job {
            Ok(_) => done.next().map(|(_, result)| result),
            Err(error) => Some(Err(error)),
        })
        .collect();
    (results, authorities.keys)
}

/// How far back a new certificate's validity begins, so that a slightly slow clock elsewhere does no harm; as kubeadm.
const BACKDATING: Duration = Duration::from_secs(5 * 60);

/// One certificate to be made, with all that it needs.
struct Job<'a> {
    entry: &'a Entry,
    /// Where its key really lies.
    key_file: &'a Path,
    present: &'a Present,
    authority: &'a LoadedAuthority,
    may_end_sooner: bool,
    validity: Duration,
    key: KeySource,
}

#[derive(Clone, Copy)]
enum KeySource {
    Old,
    New(KeyAlgorithm),
}

impl<'a> Job<'a> {
    fn new(
        inventory: &'a Inventory,
        authorities: &'a Authorities,
        renewal: &Renewal,
        wanted: &Wanted,
    ) -> Result<Self, IssuanceError> {
        let refuse = |reason: &str| IssuanceError::NotRenewable {
            name: wanted.name.clone(),
            reason: reason.to_owned(),
        };
        let entry = inventory
            .entry(&wanted.name)
            .ok_or_else(|| refuse("there is no certificate of that name on this node"))?;
        let present = entry.present().ok_or_else(|| {
            refuse("the old certificate is missing or unreadable, so what to make is not known")
        })?;
        match &present.signer {
            Signer::Expected | Signer::Unchecked(_) | Signer::Unknown => {}
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
        Ok(Self {
            entry,
            key_file: inventory.real(entry.key_path.as_deref().unwrap_or(&entry.path)),
            present,
            authority: authorities.loaded(authority)?,
            may_end_sooner: wanted.may_end_sooner,
            validity: renewal.validity,
            key: if renewal.reuse_key {
                KeySource::Old
            } else {
                KeySource::New(renewal.key_algorithm.after(&present.leaf.key_kind()))
            },
        })
    }

    /// How long the key takes, by rank.
    fn cost(&self) -> u8 {
        match self.key {
            KeySource::New(KeyAlgorithm::Rsa8192) => 6,
            KeySource::New(KeyAlgorithm::Rsa4096) => 5,
            KeySource::New(KeyAlgorithm::Rsa3072) => 4,
            KeySource::New(KeyAlgorithm::Rsa2048) => 3,
            KeySource::New(KeyAlgorithm::EcdsaP521 | KeyAlgorithm::EcdsaP384) => 2,
            KeySource::New(KeyAlgorithm::EcdsaP256 | KeyAlgorithm::Ed25519) => 1,
            KeySource::Old => 0,
        }
    }

    fn run(&self, now: Timestamp) -> Result<Issued, IssuanceError> {
        let name = &self.entry.name;
        let failed = |source: IssueError| IssuanceError::Issue {
            name: name.clone(),
            source,
        };
        let old = &self.present.leaf;
        let key = match self.key {
            KeySource::Old => old_key(self.entry, self.key_file, old)?,
            KeySource::New(algorithm) => {
                PrivateKey::generate(algorithm).map_err(|error| failed(error.into()))?
            }
        };
        let validity = Validity {
            not_before: now.checked_sub(BACKDATING).unwrap_or(now),
            // A validity beyond all time is cut to the authority's anyway.
            not_after: now.checked_add(self.validity).unwrap_or(Timestamp::MAX),
        };
        let certificate =
            reissue(old, &key, &self.authority.signing, validity, now).map_err(failed)?;
        let check = if self.may_end_sooner {
            check_stand_in
        } else {
            check_successor
        };
        check(old, &certificate, &key, &self.authority.trusted, now).map_err(|source| {
            IssuanceError::Check {
                name: name.clone(),
                source,
            }
        })?;
        Ok(Issued {
            name: name.clone(),
            old: old.clone(),
            certificate,
            chain: self.present.chain.clone(),
            key,
            signer: self.authority.signing.certificate().clone(),
            made: now,
        })
    }
}
