//! What the checks found, and what follows.

use super::reason::{Check, CheckResult, Reason};
use crate::pki::SubjectAltName;

/// What is to be done about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passes every check.
    Approve,
    /// A person has to decide, for these reasons.
    Leave(Vec<Reason>),
    /// It is proved to be abuse, by these.
    Deny(Vec<Reason>),
}

/// What every check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// What speaks against it, in the order of the checks.
    pub reasons: Vec<Reason>,
    /// Checks that could not be done, since the request could not be read.
    pub(super) not_looked_at: Vec<Check>,
    /// Whether the configuration asks for lookups.
    pub(super) looks_up: bool,
    /// The names and addresses asked for, where they could be read.
    pub names: Vec<SubjectAltName>,
    /// The kind of the key, in words, where it could be read.
    pub key: Option<String>,
}

impl Judgement {
    /// Takes one up, once.
    pub(super) fn add(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// What is to be done. Only what a kubelet's own credential asked of this signer is denied: an administrator may try things.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.reasons.is_empty() {
            return Verdict::Approve;
        }
        let is_of_kubelet = !self.reasons.iter().any(|reason| {
            matches!(
                reason.check(),
                Check::State | Check::Signer | Check::Requestor
            )
        });
        let proofs = self.reasons.iter().filter(|reason| reason.is_proof());
        let proofs: Vec<Reason> = proofs.cloned().collect();
        if is_of_kubelet && !proofs.is_empty() {
            Verdict::Deny(proofs)
        } else {
            Verdict::Leave(self.reasons.clone())
        }
    }

    /// What came of a check.
    #[must_use]
    pub fn result(&self, check: Check) -> CheckResult<'_> {
        let reasons: Vec<&Reason> = self
            .reasons
            .iter()
            .filter(|reason| reason.check() == check)
            .collect();
        if !reasons.is_empty() {
            CheckResult::Failed(reasons)
        } else if check == Check::Dns && !self.looks_up {
            CheckResult::NotAskedFor
        } else if self.not_looked_at.contains(&check) {
            CheckResult::NotLookedAt
        } else {
            CheckResult::Passed
        }
    }
}

/// The names of a request that would be looked up; none where it cannot be read or asks for more than are looked at.
#[must_use]
pub fn names_to_look_up(judgement: &Judgement) -> Vec<String> {
    let names = judgement.reasons.iter().map(|reason| match reason {
        Reason::NotLookedUp { name } => Some(name.clone()),
        // What is doubtful already is not asked of anybody.
        _ => None,
    });
    names.collect::<Option<Vec<String>>>().unwrap_or_default()
}
