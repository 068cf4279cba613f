//! Asking the programs and signers that are to be asked now.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::answer::Answer;
use super::certificates_api::{Asking, Connect};
use super::command;
use super::contact::Contact;
use super::error::OrderError;
use super::look::{Considered, Looked};
use super::open_order::OpenOrder;
use crate::config::{ApiSigner, Config, IssuerWay, NamedIssuer};
use crate::node::{CertificateId, Inventory};
use crate::pki::api_usages;

/// What came of asking a program or a signer about an order; not kept yet.
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
    /// How long until a program or signer is to be asked; `None` where none is.
    #[must_use]
    pub fn ask_again_after(&self, now: Timestamp) -> Option<Duration> {
        self.orders.iter().filter_map(|one| wait(one, now)).min()
    }

    /// Asks everyone who is to be asked now, one after the other. A program that took all of its time is not asked about anything else
    /// before the next time, nor an API that does not answer. `connect`: how the API is reached. `at_once`: certificates that an
    /// administrator asks for by hand, whatever was said of a pause. `stop`: what ends it early.
    ///
    /// # Errors
    /// The first request that cannot be read; the others go on.
    pub async fn ask_issuers(
        &self,
        (inventory, config): (&Inventory, &Config),
        connect: Connect<'_>,
        (at_once, stop): (&[CertificateId], Option<&watch::Receiver<bool>>),
        now: Timestamp,
    ) -> (Vec<AskedIssuer>, Vec<OrderError>) {
        let mut away = BTreeMap::new();
        let mut asked = Vec::new();
        let mut failed = Vec::new();
        let round = Round {
            inventory,
            config,
            connect,
            stop,
        };
        let due = self.orders.iter().filter(|one| {
            let is_asked_for = at_once.contains(&one.order.certificate);
            wait(one, now).is_some_and(|wait| wait.is_zero() || is_asked_for)
        });
        for one in due {
            let Some((name, issuer)) = one.issuer.as_ref().and_then(|name| {
                let issuer = config.issuers.named.get(name)?;
                Some((name.as_str(), issuer))
            }) else {
                continue;
            };
            if let Some(said) = away.get(name) {
                if let Some(said) = said {
                    asked.push(AskedIssuer::of(one, name, (said, None)));
                }
                continue;
            }
            let request = match self.store().request(&one.order) {
                Ok(request) => request,
                Err(error) => {
                    failed.push(error);
                    continue;
                }
            };
            let Some(heard) = round.ask(one, (name, issuer), &request).await else {
                break;
            };
            if heard.is_away {
                // A program takes its time with each order; what an API says holds for all.
                let is_api = heard.token.is_some();
                away.insert(name, is_api.then(|| heard.answer.clone()));
            }
            asked.push(AskedIssuer::of(one, name, (&heard.answer, heard.token)));
        }
        (asked, failed)
    }
}

/// What was heard of an issuer.
struct Heard {
    answer: Answer,
    /// What a signer's order is known by from now on.
    token: Option<String>,
    /// Whether it is not asked about anything else this time.
    is_away: bool,
}

/// What all that are asked have in common.
#[derive(Clone, Copy)]
struct Round<'a> {
    inventory: &'a Inventory,
    config: &'a Config,
    connect: Connect<'a>,
    stop: Option<&'a watch::Receiver<bool>>,
}

impl Round<'_> {
    /// `None` where a program was ended because of `stop`.
    async fn ask(
        &self,
        one: &Considered,
        (name, issuer): (&str, &NamedIssuer),
        request: &str,
    ) -> Option<Heard> {
        let before = one.contact.as_ref().filter(|last| last.issuer == name);
        let token = before.and_then(|last| last.token.as_deref());
        let validity = self
            .config
            .renewal
            .of(one.order.certificate.as_str())
            .validity;
        match issuer.way() {
            IssuerWay::Command {
                command,
                time_limit,
            } => {
                let answer = command::ask(
                    self.inventory,
                    (name, command, time_limit),
                    &one.order,
                    request,
                    (token, validity),
                    self.stop,
                )
                .await?;
                Some(Heard {
                    is_away: matches!(answer, Answer::Refused { is_slow: true, .. }),
                    answer,
                    token: None,
                })
            }
            IssuerWay::Signer(signer) => Some(
                self.ask_signer(one, signer, request, (before, validity))
                    .await,
            ),
        }
    }

    async fn ask_signer(
        &self,
        one: &Considered,
        signer: ApiSigner<'_>,
        request: &str,
        (before, validity): (Option<&Contact>, Duration),
    ) -> Heard {
        let present = self
            .inventory
            .entry(&one.order.certificate)
            .and_then(|entry| entry.present());
        // What the signer cannot sign, or is not there, is not among those that are asked about.
        let usages = present.and_then(|present| api_usages(&present.leaf).ok());
        let asking = Asking {
            signer,
            order: &one.order,
            request,
            usages: usages.as_deref().unwrap_or_default(),
            validity,
            node: self.inventory.node_name.as_deref().unwrap_or_default(),
        };
        let token = before.and_then(|last| last.token.as_deref());
        let failures = before.map_or(0, |last| last.failures);
        let followed = asking
            .follow(self.connect, (token, failures), self.stop)
            .await;
        Heard {
            answer: followed.answer,
            token: Some(followed.token),
            is_away: followed.is_away,
        }
    }
}

impl AskedIssuer {
    /// `token`: what is known of the order from now on, where that is not the answer's.
    fn of(one: &Considered, issuer: &str, (answer, token): (&Answer, Option<String>)) -> Self {
        let before = one.contact.as_ref();
        let contact = Contact::after(before, issuer, answer, crate::host::now());
        Self {
            order: one.order.clone(),
            contact: Contact {
                token: token.or_else(|| contact.token.clone()),
                ..contact
            },
            answer: match answer {
                Answer::Issued(bytes) => Some(bytes.clone()),
                Answer::Pending { .. } | Answer::Refused { .. } | Answer::NotNow { .. } => None,
            },
        }
    }
}

/// How long until the program or signer of an order is to be asked about it.
fn wait(one: &Considered, now: Timestamp) -> Option<Duration> {
    let issuer = one.issuer.as_ref()?;
    if one.issued.is_some() || !one.has_certificate {
        return None;
    }
    let last = one.contact.as_ref().filter(|last| last.issuer == *issuer);
    Some(last.map_or(Duration::ZERO, |last| last.remaining(now)))
}
