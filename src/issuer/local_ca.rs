//! Issuing with the CA keys on disk.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::accept::{Answer, accept};
use super::authorities::{Authorities, LoadedAuthority, ReadKey};
use super::error::IssuanceError;
use super::old_key::old_key;
use super::order::{Issued, KeySource, Order, Wanted};
use crate::config::Renewal;
use crate::host::on_all_cores;
use crate::node::Inventory;
use crate::pki::{IssueError, KeyAlgorithm, PrivateKey, reissue_with_names};

/// Makes keys on all cores and signs them. An entry that fails does not hold up the others; the results are in the order
/// of `wanted`.
#[must_use]
pub fn issue(
    inventory: &Inventory,
    renewal: &Renewal,
    wanted: &[Wanted],
    now: Timestamp,
) -> Vec<Result<Issued, IssuanceError>> {
    issue_with_keys(inventory, renewal, wanted, now).0
}

/// The same, and the authorities' keys that were read for it.
#[must_use]
pub fn issue_with_keys(
    inventory: &Inventory,
    renewal: &Renewal,
    wanted: &[Wanted],
    now: Timestamp,
) -> (Vec<Result<Issued, IssuanceError>>, Vec<ReadKey>) {
    let authorities = Authorities::load(inventory, wanted, now);
    let jobs: Vec<Result<Job<'_>, IssuanceError>> = wanted
        .iter()
        .map(|wanted| {
            let order = Order::new(inventory, renewal, wanted)?;
            let authority = authorities.loaded(order.authority)?;
            Ok(Job { order, authority })
        })
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

/// One certificate to be made, and the authority that makes it.
struct Job<'a> {
    order: Order<'a>,
    authority: &'a LoadedAuthority,
}

impl Job<'_> {
    /// How long the key takes, by rank.
    fn cost(&self) -> u8 {
        match self.order.key {
            KeySource::New(KeyAlgorithm::Rsa8192) => 6,
            KeySource::New(KeyAlgorithm::Rsa4096) => 5,
            KeySource::New(KeyAlgorithm::Rsa3072) => 4,
            KeySource::New(KeyAlgorithm::Rsa2048) => 3,
            KeySource::New(KeyAlgorithm::EcdsaP521 | KeyAlgorithm::EcdsaP384) => 2,
            KeySource::New(KeyAlgorithm::EcdsaP256 | KeyAlgorithm::Ed25519) => 1,
            KeySource::Old(_) => 0,
        }
    }

    fn run(&self, now: Timestamp) -> Result<Issued, IssuanceError> {
        let order = &self.order;
        let key = self.key()?;
        let certificate = reissue_with_names(
            &order.present.leaf,
            &order.more_names,
            &key,
            &self.authority.signing,
            order.validity_from(now),
            now,
        )
        .map_err(|source| self.failed(source))?;
        let answer = Answer {
            certificate,
            signer: self.authority.signing.certificate().clone(),
        };
        accept(order, answer, key, &self.authority.trusted, now)
    }

    fn key(&self) -> Result<PrivateKey, IssuanceError> {
        let order = &self.order;
        match order.key {
            KeySource::Old(path) => old_key(order.entry, path, &order.present.leaf),
            KeySource::New(algorithm) => {
                PrivateKey::generate(algorithm).map_err(|error| self.failed(error.into()))
            }
        }
    }

    fn failed(&self, source: IssueError) -> IssuanceError {
        IssuanceError::Issue {
            id: self.order.entry.id.clone(),
            source,
        }
    }
}
