//! Looking at the open requests and at what came for them.

use std::ffi::OsString;

use jiff::Timestamp;

use super::contact::Contact;
use super::inbox::{self, Delivered, Use};
use super::open_order::OpenOrder;
use super::signing_state::SigningState;
use super::store::OrderStore;
use crate::config::{Config, IssuerWay};
use crate::host::{Root, digest};
use crate::issuer::{Issued, Wanted, accept_answer};
use crate::node::{CertificateId, Fault, Inventory, KeyState, Problem};
use crate::pki::{Certificate, SubjectAltName, certificates_in, date, signer_fault};
use crate::plan::{Answered, Awaited, Left};

/// So many characters of what a certificate says are shown.
const LONGEST_DESCRIPTION: usize = 500;

/// The open requests and what came for them.
#[derive(Debug)]
pub struct Looked {
    store: OrderStore,
    /// Each open request.
    pub orders: Vec<Considered>,
    /// What lies in the inbox.
    pub delivered: Vec<Delivered>,
    /// What is wrong there, and what is no answer to any of them.
    pub problems: Vec<Problem>,
    awaited: Vec<Awaited>,
}

/// An open request, and what came for it.
#[derive(Debug)]
pub struct Considered {
    /// It.
    pub order: OpenOrder,
    /// Whether its certificate is there and can be read: what is asked for and accepted is like it.
    pub has_certificate: bool,
    /// The program or signer that is asked, by the name that the configuration gives it.
    pub issuer: Option<String>,
    /// When it was asked last.
    pub contact: Option<Contact>,
    /// The certificate that can be put in place; of several the one that ends last.
    pub issued: Option<Issued>,
    /// Why what came is no answer.
    pub rejected: Vec<String>,
}

/// Looks at all of them, at `now`.
#[must_use]
pub fn look(root: &Root, inventory: &Inventory, config: &Config, now: Timestamp) -> Looked {
    let store = OrderStore::new(root);
    let (open, mut problems) = store.open_orders();
    let is_answer = |one: &Certificate| {
        open.iter().any(|order| is_for(one, order)) || is_in_place(inventory, one)
    };
    let of_use = Use {
        is_answer: &is_answer,
        stranger: &|all| stranger(&store, inventory, &open, all),
    };
    let (delivered, unused) = inbox::read(&store.inbox(), &of_use);
    problems.extend(unused);
    let orders: Vec<Considered> = open
        .into_iter()
        .map(|order| considered(&store, inventory, config, order, &delivered, now))
        .collect();
    problems.extend(
        orders
            .iter()
            .filter_map(|one| without_certificate(&store, one)),
    );
    let awaited = orders
        .iter()
        .filter_map(|one| awaited(&store, (inventory, config), one, now))
        .collect();
    Looked {
        store,
        orders,
        delivered,
        problems,
        awaited,
    }
}

impl Looked {
    /// What planning has to know of them.
    #[must_use]
    pub fn awaited(&self) -> &[Awaited] {
        &self.awaited
    }

    /// The open requests alone.
    #[must_use]
    pub fn open(&self) -> Vec<OpenOrder> {
        self.orders.iter().map(|one| one.order.clone()).collect()
    }

    /// Where they are kept.
    #[must_use]
    pub fn store(&self) -> &OrderStore {
        &self.store
    }

    /// Takes out the accepted answer for a certificate.
    pub fn take(&mut self, id: &CertificateId) -> Option<Issued> {
        let mut orders = self.orders.iter_mut();
        orders
            .find(|one| one.order.certificate == *id)?
            .issued
            .take()
    }
}

fn considered(
    store: &OrderStore,
    inventory: &Inventory,
    config: &Config,
    order: OpenOrder,
    in_inbox: &[Delivered],
    now: Timestamp,
) -> Considered {
    let present = inventory
        .entry(&order.certificate)
        .and_then(|entry| entry.present());
    let wanted = Wanted {
        id: order.certificate.clone(),
        // One without its key is of no use, however long it still lasts.
        may_end_sooner: present.is_some_and(|present| {
            matches!(
                present.key,
                KeyState::Missing | KeyState::Mismatched | KeyState::Damaged(_)
            )
        }),
        more_names: Vec::new(),
    };
    let issuer = issuer_of(inventory, config, &order);
    let contact = store.contact(&order);
    let asked = contact.as_ref().map(|one| one.issuer.as_str());
    let mut rejected: Vec<String> = refusal(issuer.as_deref(), contact.as_ref())
        .into_iter()
        .collect();
    let printed = from_issuer(store, &order, asked, &mut rejected);
    let mut issued: Option<Issued> = None;
    for (file, answer, along) in answers(&order, in_inbox.iter().chain(&printed)) {
        if present.is_some_and(|present| present.leaf == *answer) {
            // It is in place already.
            continue;
        }
        let accepted = store
            .key(&order)
            .map_err(|error| error.to_string())
            .and_then(|key| {
                accept_answer(
                    inventory,
                    &config.renewal,
                    &wanted,
                    (answer, along),
                    key,
                    now,
                )
                .map_err(|error| {
                    let expected = present.map(|present| described(&present.leaf));
                    format!(
                        "{error}; expected {}, came {}",
                        expected.unwrap_or_default(),
                        described(answer)
                    )
                })
            });
        match accepted {
            Ok(one) => {
                if issued.as_ref().is_none_or(|best| ends(&one) > ends(best)) {
                    issued = Some(one);
                }
            }
            Err(reason) => rejected.push(format!("{}: {reason}", file.to_string_lossy())),
        }
    }
    Considered {
        has_certificate: present.is_some(),
        order,
        issuer,
        contact,
        issued,
        rejected,
    }
}

/// The program or signer that is asked for the certificate of an order; none that could not sign it.
fn issuer_of(inventory: &Inventory, config: &Config, order: &OpenOrder) -> Option<String> {
    let entry = inventory.entry(&order.certificate)?;
    let authority = entry.authority?;
    let (name, issuer) = config
        .issuers
        .asked_for(order.certificate.as_str(), authority)?;
    let signs = match (issuer.way(), entry.present()) {
        (IssuerWay::Signer(signer), Some(present)) => {
            signer_fault(signer.name, &present.leaf, authority).is_none()
        }
        _ => true,
    };
    signs.then(|| name.to_owned())
}

/// The CertificateSigningRequest that waits for an answer, where a signer is asked by one.
fn signing_request(config: &Config, considered: &Considered) -> Option<String> {
    let name = considered.issuer.as_deref()?;
    let IssuerWay::Signer(_) = config.issuers.named.get(name)?.way() else {
        return None;
    };
    let contact = considered
        .contact
        .as_ref()
        .filter(|last| last.issuer == name)?;
    SigningState::of(contact.token.as_deref()).open_name(&considered.order)
}

/// What the program that is asked now said last, if that was no.
fn refusal(issuer: Option<&str>, contact: Option<&Contact>) -> Option<String> {
    let contact = contact.filter(|contact| issuer == Some(contact.issuer.as_str()))?;
    let reason = contact.refused.as_ref()?;
    Some(format!("the issuer {}: {reason}", contact.issuer))
}

/// What the program answered, as if it were a file of the inbox.
fn from_issuer(
    store: &OrderStore,
    order: &OpenOrder,
    issuer: Option<&str>,
    rejected: &mut Vec<String>,
) -> Option<Delivered> {
    let bytes = store.answer(order)?;
    let name = format!("the issuer {}", issuer.unwrap_or("that was asked"));
    match certificates_in(&bytes) {
        Ok(certificates) => {
            if !certificates.iter().any(|one| is_for(one, order)) {
                rejected.push(format!("{name}: its answer is for another key"));
            }
            Some(Delivered {
                name: name.into(),
                certificates,
                is_whole: true,
            })
        }
        Err(error) => {
            rejected.push(format!("{name}: {error}"));
            None
        }
    }
}

/// The certificates for the key of an order, each with its file and all that is in that.
fn answers<'all>(
    order: &'all OpenOrder,
    delivered: impl Iterator<Item = &'all Delivered>,
) -> impl Iterator<Item = (&'all OsString, &'all Certificate, &'all [Certificate])> {
    delivered.flat_map(move |file| {
        let along = file.certificates.as_slice();
        along
            .iter()
            .filter(move |one| is_for(one, order))
            .map(move |one| (&file.name, one, along))
    })
}

fn is_for(certificate: &Certificate, order: &OpenOrder) -> bool {
    digest(&certificate.public_key_der) == order.public_key
}

/// Why a file holds no answer to any open request.
fn stranger(
    store: &OrderStore,
    inventory: &Inventory,
    open: &[OpenOrder],
    certificates: &[Certificate],
) -> String {
    let Some(leaf) = certificates.iter().find(|one| !one.is_ca) else {
        return "holds only certificates of CAs, and no answer to a request".to_owned();
    };
    let of_another_key = open.iter().find(|order| {
        let entry = inventory.entry(&order.certificate);
        entry
            .and_then(|entry| entry.present())
            .is_some_and(|present| present.leaf.subject == leaf.subject)
    });
    match of_another_key {
        Some(order) => format!(
            "is for another key than the open request for {}: an earlier request was signed, or another node's; sign {}",
            order.certificate,
            store.request_on_node(order).display()
        ),
        None => format!("answers no open request of this node: {}", described(leaf)),
    }
}

/// Whether a certificate of this node is this very one.
pub(super) fn is_in_place(inventory: &Inventory, certificate: &Certificate) -> bool {
    inventory
        .entries
        .iter()
        .filter_map(|entry| entry.present())
        .any(|present| present.leaf == *certificate)
}

/// An order of which nothing else is told.
fn without_certificate(store: &OrderStore, considered: &Considered) -> Option<Problem> {
    let order = &considered.order;
    let reason = format!(
        "the request for {0} is open, and {0} is missing or cannot be read: put that right, or run `kubecertd orders cancel {1}`",
        order.certificate, order.id
    );
    let request = store.request_on_node(order);
    (!considered.has_certificate).then(|| Problem::new(request, Fault::OrderDamaged { reason }))
}

fn awaited(
    store: &OrderStore,
    (inventory, config): (&Inventory, &Config),
    considered: &Considered,
    now: Timestamp,
) -> Option<Awaited> {
    let order = &considered.order;
    let present = inventory.entry(&order.certificate)?.present()?;
    let deadline = present.leaf.not_after;
    let rejected = &considered.rejected;
    Some(Awaited {
        id: order.certificate.clone(),
        since: order.since,
        request: store.request_on_node(order),
        issuer: considered.issuer.clone(),
        signing_request: signing_request(config, considered),
        inbox: store.inbox_on_node(),
        deadline,
        left: Left::until(deadline, now),
        answered: match &considered.issued {
            Some(issued) => Answered::Yes { ends: ends(issued) },
            None => Answered::NotYet,
        },
        rejected: (!rejected.is_empty()).then(|| rejected.join("; ")),
    })
}

/// When the first of a new certificate and those that vouch for it ends.
fn ends(issued: &Issued) -> Timestamp {
    let above = issued.chain.iter().chain([&issued.signer]);
    above
        .map(|one| one.not_after)
        .fold(issued.certificate.not_after, Timestamp::min)
}

/// What a certificate says, as far as an answer is compared by it.
fn described(certificate: &Certificate) -> String {
    let names = certificate.subject_alt_names.iter().map(|name| match name {
        SubjectAltName::Dns(name) | SubjectAltName::Email(name) | SubjectAltName::Uri(name) => {
            name.clone()
        }
        SubjectAltName::Ip(address) => address.to_string(),
        SubjectAltName::Other(_) => "a name of another kind".to_owned(),
    });
    let names: Vec<String> = names.collect();
    let usages = certificate.extended_key_usage.iter();
    let usages: Vec<&str> = usages
        .map(|usage| match usage.as_str() {
            "1.3.6.1.5.5.7.3.1" => "server",
            "1.3.6.1.5.5.7.3.2" => "client",
            other => other,
        })
        .collect();
    let or_none = |list: String| {
        if list.is_empty() {
            "none".to_owned()
        } else {
            list
        }
    };
    shortened(format!(
        "{} (names: {}; for: {}; from {} until {}; by {})",
        certificate.subject,
        or_none(names.join(", ")),
        or_none(usages.join(", ")),
        date(certificate.not_before),
        date(certificate.not_after),
        certificate.issuer
    ))
}

/// Whoever delivers a certificate decides how much it says.
fn shortened(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(LONGEST_DESCRIPTION) {
        text.truncate(at);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_description_is_cut_between_characters() {
        let text = "ü".repeat(LONGEST_DESCRIPTION);
        assert_eq!(shortened(text.clone()), text);
        assert_eq!(shortened(format!("{text}xy")), format!("{text}…"));
    }
}
