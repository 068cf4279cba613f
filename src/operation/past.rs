//! What operations did before, for one that goes back.

use super::Context;
use super::put_back::Crossed;
use super::restored::Restored;
use crate::files::Generation;
use crate::journal::{Outcome, Trigger};
use crate::node::CertificateId;
use crate::pki::date;
use crate::report::{History, HistoryError, Receipt};

/// The receipts there are, and what each generation of backups holds.
pub(super) struct Past {
    /// `Err` with why the history cannot be read.
    receipts: Result<Vec<Receipt>, HistoryError>,
    /// Number, id and certificates of each generation.
    generations: Vec<(u64, String, Vec<CertificateId>)>,
}

impl Past {
    /// Reads the history; a line of it that is no receipt is left out.
    pub(super) fn read(context: &Context, generations: &[Generation]) -> Self {
        let entries = History::new(&context.store()).entries();
        let names = |one: &Generation| {
            let names = one.files.iter().filter_map(|file| file.certificate.clone());
            (one.number, one.id.clone(), names.collect())
        };
        Self {
            receipts: entries.map(|all| all.into_iter().flatten().collect()),
            generations: generations.iter().map(names).collect(),
        }
    }

    fn receipts(&self) -> &[Receipt] {
        self.receipts.as_deref().unwrap_or_default()
    }

    /// `of May 20, 2027 09:12 UTC, by the daemon`; empty where there is no receipt.
    pub(super) fn what_was(&self, id: &str) -> String {
        let receipt = self.receipts().iter().rfind(|receipt| receipt.id == id);
        receipt.map_or_else(String::new, |receipt| {
            let by = match &receipt.trigger {
                Trigger::Schedule => "the daemon".to_owned(),
                Trigger::Command(command) => format!("`kubecertd {command}`"),
            };
            format!("of {}, by {by}", date(receipt.finished))
        })
    }

    /// What going back to before a generation would undo besides: later operations that put other files in place of those
    /// which that operation put there.
    pub(super) fn crossed(&self, generation: &Generation, changed: &[Restored]) -> Vec<Crossed> {
        let names: Vec<&CertificateId> = changed
            .iter()
            .filter(|one| !self.is_still_there(&generation.id, one))
            .map(|one| &one.id)
            .collect();
        if names.is_empty() {
            return Vec::new();
        }
        let mut said = Vec::new();
        if let Err(error) = &self.receipts {
            said.push(Crossed::HistoryUnreadable {
                reason: error.to_string(),
            });
        }
        let mut explained: Vec<&CertificateId> = Vec::new();
        let mut later =
            |id: &str, its: &mut dyn Iterator<Item = &CertificateId>, was: Option<String>| {
                let its: Vec<&CertificateId> = its.collect();
                let again: Vec<&CertificateId> = names
                    .iter()
                    .copied()
                    .filter(|name| its.contains(name))
                    .collect();
                if !again.is_empty() {
                    said.push(Crossed::ChangedAgain {
                        operation: id.to_owned(),
                        was,
                        certificates: again.iter().map(|id| (*id).clone()).collect(),
                    });
                    explained.extend(again);
                }
            };
        let known = self.receipts().iter().any(|one| one.id == generation.id);
        if known {
            let since = self
                .receipts()
                .iter()
                .skip_while(|receipt| receipt.id != generation.id)
                .filter(|receipt| receipt.id != generation.id)
                .filter(|receipt| !matches!(receipt.outcome, Outcome::RolledBack(_)));
            for receipt in since {
                let was = Some(self.what_was(&receipt.id));
                let mut its = receipt.certificates.iter().map(|one| &one.id);
                later(&receipt.id, &mut its, was);
            }
        } else {
            for (number, id, its) in &self.generations {
                if *number > generation.number {
                    later(id, &mut its.iter(), None);
                }
            }
        }
        let unexplained: Vec<&CertificateId> = names
            .iter()
            .copied()
            .filter(|name| !explained.contains(name))
            .collect();
        if known && !unexplained.is_empty() {
            said.push(Crossed::ChangedByAnother {
                certificates: unexplained.into_iter().cloned().collect(),
            });
        }
        said
    }

    /// Whether the certificate that is on the node is the one which that operation put there; also where there is none now,
    /// so that nothing is undone.
    fn is_still_there(&self, id: &str, one: &Restored) -> bool {
        let Some(present) = one.present_serial() else {
            return true;
        };
        self.receipts()
            .iter()
            .rfind(|receipt| receipt.id == id)
            .and_then(|receipt| receipt.certificates.iter().find(|line| line.id == one.id))
            .is_some_and(|line| line.new_serial == present)
    }
}
