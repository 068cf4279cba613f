//! What is kept of a CertificateSigningRequest between two questions, and what its object says. Decided here from values alone.

use crate::api::{NewSigningRequest, SigningRequestObject};
use crate::host::printable;

use super::open_order::OpenOrder;

/// So often one is made for an order: after a denial, a failure, a deletion, or an answer that cannot be used.
pub(super) const MOST_ATTEMPTS: u32 = 24;
/// No uid is longer; bytes.
const LONGEST_UID: usize = 64;
/// A chain of large certificates takes a tenth of it; bytes.
const LONGEST_ANSWER: usize = 128 * 1024;
/// As much is shown of what others wrote, characters.
const LONGEST_WORDS: usize = 300;

/// Where an order stands with its signer, as its token says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SigningState {
    /// The next request to be made is this one, from 1. It may be there already, if its answer was lost.
    Next(u32),
    /// This one was made and is the object of that uid.
    Open { attempt: u32, uid: String },
}

impl SigningState {
    /// Of a token. What cannot be read begins anew, which finds what is there.
    pub(super) fn of(token: Option<&str>) -> Self {
        let words: Vec<&str> = token.unwrap_or_default().split(' ').collect();
        let attempt = |text: &str| text.parse().ok().filter(|attempt| *attempt > 0);
        match words.as_slice() {
            [number, "next"] => attempt(number).map(Self::Next),
            [number, "open", uid] if is_uid(uid) => attempt(number).map(|attempt| Self::Open {
                attempt,
                uid: (*uid).to_owned(),
            }),
            _ => None,
        }
        .unwrap_or(Self::Next(1))
    }

    /// The token.
    pub(super) fn token(&self) -> String {
        match self {
            Self::Next(attempt) => format!("{attempt} next"),
            Self::Open { attempt, uid } => format!("{attempt} open {uid}"),
        }
    }

    pub(super) fn attempt(&self) -> u32 {
        match self {
            Self::Next(attempt) | Self::Open { attempt, .. } => *attempt,
        }
    }

    /// The name of the request that is open.
    pub(super) fn open_name(&self, order: &OpenOrder) -> Option<String> {
        match self {
            Self::Open { attempt, .. } => Some(request_name(order, *attempt)),
            Self::Next(_) => None,
        }
    }

    /// The one after this has come to its end.
    pub(super) fn after(&self) -> Self {
        Self::Next(self.attempt().saturating_add(1))
    }
}

/// The name of the request: what it asks for, and sixty-four bits that come from a public key that no one else knows before the
/// request is made. So no other can make one of this name first, and one that was made without an answer is found again.
pub(super) fn request_name(order: &OpenOrder, attempt: u32) -> String {
    let more = order.public_key.get(8..16).unwrap_or_default();
    format!("kubecertd-{}{more}-{attempt}", order.id).to_lowercase()
}

/// What the object of a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is not what was asked for: another's, or changed on the way.
    NotOurs,
    /// Nobody has decided.
    Pending,
    /// It may be signed.
    Approved,
    /// It is signed.
    Issued(Vec<u8>),
    /// It is not signed, for this reason: `denied: …`.
    Ended(String),
}

impl Progress {
    /// Of an object, which anyone may have made.
    pub(super) fn of(object: &SigningRequestObject, wanted: &NewSigningRequest<'_>) -> Self {
        if !wanted.is_asked_by(object) {
            return Self::NotOurs;
        }
        let status = object.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref());
        let find = |kind: &str| {
            let mut conditions = conditions.unwrap_or_default().iter();
            conditions.find(|condition| condition.type_ == kind)
        };
        let words = |text: &Option<String>| short(text.as_deref().unwrap_or_default());
        for (kind, word) in [("Denied", "denied"), ("Failed", "failed")] {
            if let Some(one) = find(kind) {
                let (reason, message) = (words(&one.reason), words(&one.message));
                return Self::Ended(format!("{word} ({reason}): {message}"));
            }
        }
        match status.and_then(|status| status.certificate.as_ref()) {
            Some(certificate) if certificate.0.len() > LONGEST_ANSWER => Self::Ended(format!(
                "answered with {} bytes, more than is read",
                certificate.0.len()
            )),
            Some(certificate) if !certificate.0.is_empty() => Self::Issued(certificate.0.clone()),
            _ if find("Approved").is_some() => Self::Approved,
            _ => Self::Pending,
        }
    }
}

/// The uid of an object; `None` where that is none that could be kept.
pub(super) fn uid(object: &SigningRequestObject) -> Option<&str> {
    object.metadata.uid.as_deref().filter(|uid| is_uid(uid))
}

fn is_uid(text: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
    (1..=LONGEST_UID).contains(&text.len()) && text.bytes().all(is_letter)
}

fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let cut: String = text.chars().take(LONGEST_WORDS).collect();
    printable(&cut).into_owned()
}

#[cfg(test)]
mod tests;
