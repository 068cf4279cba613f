//! Whether the certificate in a file is the one in use: from what was seen of the running components and from receipts. Pure.

use jiff::Timestamp;

use super::Receipt;
use crate::journal::Outcome;
use crate::node::{CertificateId, Entry, Inventory, Present};
use crate::pki::{Catalogued, KubeconfigName, date};
use crate::probe::{Seen, Usage};

/// Whether the certificate in a file is the one in use.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InUse {
    /// In one word.
    pub state: UseState,
    /// How that is known; empty where nothing is.
    pub evidence: String,
    /// When it was last known, or since when it has been so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The component that uses another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// When that other one ends, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_until: Option<Timestamp>,
}

/// Whether it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UseState {
    /// By a handshake, by the last proof, or because what reads it when it starts was started since.
    Proved,
    /// What uses it goes on with another one.
    NotYet,
    /// Neither is known.
    Unknown,
}

impl UseState {
    /// As in the table.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::NotYet => "not yet",
            Self::Unknown => "unknown",
        }
    }
}

impl InUse {
    fn proved(evidence: String, at: Timestamp) -> Self {
        Self {
            state: UseState::Proved,
            evidence,
            at: Some(at),
            component: None,
            used_until: None,
        }
    }

    /// What is to be known and done as long as another certificate is in use than that of the file.
    #[must_use]
    pub fn note(&self, id: &CertificateId) -> Option<String> {
        if self.state != UseState::NotYet {
            return None;
        }
        let component = self.component.as_deref().unwrap_or("its component");
        let ends = self.used_until.map_or_else(
            || "it is not known when that one ends".to_owned(),
            |end| format!("that one ends {}", date(end)),
        );
        Some(format!(
            "{id} is not in use yet: {}; {ends}. `kubecertd restart {component}` takes the file into use",
            self.evidence
        ))
    }
}

/// What is known of the use of each certificate that could be read. `receipts`: oldest first.
#[must_use]
pub fn in_use(
    inventory: &Inventory,
    seen: &[Usage],
    receipts: &[Receipt],
    now: Timestamp,
) -> Vec<(CertificateId, InUse)> {
    inventory
        .entries
        .iter()
        .filter_map(|entry| {
            let known = Known {
                entry,
                present: entry.present()?,
                receipts,
            };
            let own: Vec<&Seen> = seen
                .iter()
                .filter(|usage| usage.certificate == entry.id)
                .map(|usage| &usage.seen)
                .collect();
            Some((entry.id.clone(), known.use_of(&own, now)))
        })
        .collect()
}

struct Known<'a> {
    entry: &'a Entry,
    present: &'a Present,
    receipts: &'a [Receipt],
}

impl Known<'_> {
    fn use_of(&self, seen: &[&Seen], now: Timestamp) -> InUse {
        let shown = seen.iter().find_map(|seen| self.handshake(seen, now));
        let unknown = || InUse {
            state: UseState::Unknown,
            evidence: String::new(),
            at: None,
            component: None,
            used_until: None,
        };
        if self.is_read_at_start() {
            return shown
                .or_else(|| self.by_start(seen))
                .or_else(|| self.last_proof())
                .unwrap_or_else(unknown);
        }
        // What reads its files anew by itself may have done so, whenever it was started.
        shown
            .or_else(|| self.last_proof())
            .or_else(|| {
                self.by_start(seen)
                    .filter(|known| known.state == UseState::Proved)
            })
            .unwrap_or_else(unknown)
    }

    fn handshake(&self, seen: &Seen, now: Timestamp) -> Option<InUse> {
        match seen {
            Seen::Served { address } => Some(InUse::proved(format!("{address} serves it"), now)),
            Seen::AnotherServed {
                component,
                address,
                not_after,
            } => Some(InUse {
                state: UseState::NotYet,
                evidence: format!("{component} serves another one at {address}"),
                at: Some(now),
                component: Some(component.clone()),
                used_until: Some(*not_after),
            }),
            Seen::Running { .. } => None,
        }
    }

    /// Whether its only users read it once, when they start: the components' kubeconfigs.
    fn is_read_at_start(&self) -> bool {
        matches!(
            &self.entry.id,
            CertificateId::Catalogued(Catalogued::Kubeconfig(
                KubeconfigName::ControllerManager | KubeconfigName::Scheduler
            ))
        )
    }

    /// By when the pods were started that name the file: the first that was started before it was written decides.
    fn by_start(&self, seen: &[&Seen]) -> Option<InUse> {
        let mut latest: Option<(&str, Timestamp)> = None;
        for one in seen {
            let Seen::Running { component, since } = one else {
                continue;
            };
            let written = self.written()?;
            if *since < written && !self.was_restarted(component) {
                return Some(InUse {
                    state: UseState::NotYet,
                    evidence: format!(
                        "{component} runs since {} and read it before it was written {}",
                        date(*since),
                        date(written)
                    ),
                    at: Some(written),
                    component: Some(component.clone()),
                    used_until: self.end_of_that_at(*since),
                });
            }
            if latest.is_none_or(|(_, at)| *since > at) {
                latest = Some((component, *since));
            }
        }
        let (component, since) = latest?;
        Some(InUse::proved(
            format!("{component} was started after it was written"),
            since,
        ))
    }

    /// When the file got what it holds. What is put back from a backup keeps an earlier time than it was put there.
    fn written(&self) -> Option<Timestamp> {
        let installed = self.installing().map(|receipt| receipt.started);
        self.present.modified.into_iter().chain(installed).max()
    }

    /// The last operation that put this certificate in place.
    fn installing(&self) -> Option<&Receipt> {
        self.replacing()
            .filter(|receipt| self.is_of(receipt))
            .last()
    }

    /// Whether the operation that put it in place restarted the component.
    fn was_restarted(&self, component: &str) -> bool {
        self.installing().is_some_and(|receipt| {
            receipt
                .restarts
                .iter()
                .any(|(restarted, _)| restarted == component)
        })
    }

    /// The end of what the file held at a moment, as the first operation after that replaced it.
    fn end_of_that_at(&self, moment: Timestamp) -> Option<Timestamp> {
        self.replacing()
            .filter(|receipt| receipt.finished > moment)
            .find_map(|receipt| {
                let mut lines = receipt.certificates.iter();
                lines.find(|line| line.id == self.entry.id)
            })
            .map(|line| line.old_not_after)
    }

    /// The operations whose contents of the file stayed.
    fn replacing(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter().filter(|receipt| {
            !matches!(receipt.outcome, Outcome::RolledBack(_))
                && receipt
                    .certificates
                    .iter()
                    .any(|line| line.id == self.entry.id)
        })
    }

    /// Whether the receipt is about the certificate that is in the file now.
    fn is_of(&self, receipt: &Receipt) -> bool {
        receipt
            .certificates
            .iter()
            .any(|line| line.id == self.entry.id && line.new_serial == self.present.leaf.serial)
    }

    /// The last proof of this certificate in the history.
    fn last_proof(&self) -> Option<InUse> {
        let start = format!("{}: ", self.entry.id);
        self.receipts.iter().rev().find_map(|receipt| {
            let evidence = receipt
                .proofs
                .iter()
                .find_map(|proof| proof.strip_prefix(&start))?;
            let names_it = receipt
                .certificates
                .iter()
                .any(|line| line.id == self.entry.id);
            // One operation may prove what an earlier one put in place.
            let is_of_this = if names_it {
                self.is_of(receipt)
            } else {
                self.present
                    .modified
                    .is_some_and(|modified| modified <= receipt.finished)
            };
            is_of_this.then(|| InUse::proved(evidence.to_owned(), receipt.finished))
        })
    }
}

#[cfg(test)]
mod tests;
