//! Asking the programs that are to be asked now.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::command::{self, Answer};
use super::contact::Contact;
use super::error::OrderError;
use super::look::{Considered, Looked};
use super::open_order::OpenOrder;
use crate::config::Config;
use crate::node::{CertificateId, Inventory};

/// What came of asking a program about an order; not kept yet.
#[derive(Debug)]
pub struct AskedIssuer {
    /// The order.
    pub order: OpenOrder,
    /// What is to be kept of it.
    pub contact: Contact,
    /// What it printed, if it gave a certificate.
    pub answer: Option<Vec<u8>>,
}

impl Looked {
    /// How long until a program is to be asked; `None` where none is.
    #[must_use]
    pub fn ask_again_after(&self, now: Timestamp) -> Option<Duration> {
        self.orders.iter().filter_map(|one| wait(one, now)).min()
    }

    /// Asks every program that is to be asked now, one after the other. One that took all of its time is not asked about anything else
    /// before the next time. `at_once`: certificates that an administrator asks for by hand, whatever the program said of a pause.
    /// `stop`: what ends it early.
    ///
    /// # Errors
    /// The first request that cannot be read; the others go on.
    pub async fn ask_issuers(
        &self,
        inventory: &Inventory,
        config: &Config,
        (at_once, stop): (&[CertificateId], Option<&watch::Receiver<bool>>),
        now: Timestamp,
    ) -> (Vec<AskedIssuer>, Vec<OrderError>) {
        let mut slow = BTreeSet::new();
        let mut asked = Vec::new();
        let mut failed = Vec::new();
        let due = self.orders.iter().filter(|one| {
            let is_asked_for = at_once.contains(&one.order.certificate);
            wait(one, now).is_some_and(|wait| wait.is_zero() || is_asked_for)
        });
        for one in due {
            let Some((name, issuer)) = one.issuer.as_ref().and_then(|name| {
                let issuer = config.issuers.commands.get(name)?;
                Some((name.as_str(), issuer))
            }) else {
                continue;
            };
            if slow.contains(name) {
                continue;
            }
            let request = match self.store().request(&one.order) {
                Ok(request) => request,
                Err(error) => {
                    failed.push(error);
                    continue;
                }
            };
            let before = one.contact.as_ref().filter(|last| last.issuer == name);
            let token = before.and_then(|last| last.token.as_deref());
            let validity = config.renewal.of(one.order.certificate.as_str()).validity;
            let answer = command::ask(
                inventory,
                (name, issuer),
                &one.order,
                &request,
                (token, validity),
                stop,
            )
            .await;
            let Some(answer) = answer else {
                break;
            };
            if matches!(answer, Answer::Refused { is_slow: true, .. }) {
                slow.insert(name);
            }
            asked.push(AskedIssuer {
                order: one.order.clone(),
                contact: Contact::after(one.contact.as_ref(), name, &answer, crate::host::now()),
                answer: match answer {
                    Answer::Issued(bytes) => Some(bytes),
                    Answer::Pending { .. } | Answer::Refused { .. } => None,
                },
            });
        }
        (asked, failed)
    }
}

/// How long until the program of an order is to be asked about it.
fn wait(one: &Considered, now: Timestamp) -> Option<Duration> {
    let issuer = one.issuer.as_ref()?;
    if one.issued.is_some() || !one.has_certificate {
        return None;
    }
    let last = one.contact.as_ref().filter(|last| last.issuer == *issuer);
    Some(last.map_or(Duration::ZERO, |last| last.remaining(now)))
}
