//! What operations left to be shown: that a component which reads its new files by itself uses them. It follows from the receipts,
//! and what is done about it from what the component answered.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::remark::Remark;
use crate::checks::Overridden;
use crate::config::Renewal;
use crate::host::shifted;
use crate::journal::Outcome;
use crate::node::{CertificateId, Inventory};
use crate::plan::LONGEST_REREAD;
use crate::probe::{PickedUp, Seen, Usage};
use crate::report::{PendingNext, PendingUse, Receipt};

/// As long as the old certificate has more than this to live, what is not shown yet can wait.
pub(super) const NEAR: SignedDuration = SignedDuration::from_hours(24);
/// No component is asked more often.
const PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// Whoever is asked for the first time in a process may have shown it to an earlier one, and be away for a moment only.
const ASKED_ENOUGH: u32 = 2;

/// What one component has still to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingProof {
    /// Which.
    pub component: String,
    /// That it uses these.
    pub certificates: Vec<CertificateId>,
    /// By when their files were replaced.
    pub since: Timestamp,
    /// The first end of what it may go on with until then.
    pub old_end: Timestamp,
}

/// What it answered last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAnswer {
    /// When.
    pub at: Timestamp,
    /// How often it was asked so far.
    pub times: u32,
    /// What.
    pub answer: PickedUp,
}

impl LastAnswer {
    /// When it is asked the next time, whatever is done meanwhile.
    #[must_use]
    pub fn asked_again_at(&self) -> Timestamp {
        shifted(self.at, PAUSE)
    }
}

impl PendingProof {
    /// The same as people and scripts see it.
    #[must_use]
    pub fn as_use(&self, next: PendingNext) -> PendingUse {
        PendingUse {
            component: self.component.clone(),
            certificates: self.certificates.iter().map(ToString::to_string).collect(),
            old_not_after: self.old_end,
            next,
        }
    }
}

/// What is done about one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingStep {
    /// It is asked at this moment, or now where that has passed.
    AskAt(Timestamp),
    /// It goes on with the old one, or the end of that one is near: it is restarted.
    RestartNow,
    /// It uses the new one.
    Proved,
}

/// What the receipts leave to be shown, oldest first, of certificates that are still in their files.
#[must_use]
pub fn pending_proofs(receipts: &[Receipt], inventory: &Inventory) -> Vec<PendingProof> {
    let mut proofs: Vec<PendingProof> = Vec::new();
    for left in left(receipts) {
        let present = inventory
            .entry(&left.id)
            .and_then(|entry| entry.present())
            .is_some_and(|present| present.leaf.serial == left.serial);
        if !present || inventory.static_pod(&left.component).is_none() {
            continue;
        }
        let known = proofs
            .iter_mut()
            .find(|one| one.component == left.component);
        if let Some(proof) = known {
            proof.certificates.push(left.id);
            proof.since = proof.since.max(left.since);
            proof.old_end = proof.old_end.min(left.old_end);
        } else {
            proofs.push(PendingProof {
                component: left.component,
                certificates: vec![left.id],
                since: left.since,
                old_end: left.old_end,
            });
        }
    }
    proofs
}

/// Whether what runs was started after the files were replaced, and so has read them.
#[must_use]
pub fn is_started_since(proof: &PendingProof, seen: &[Usage]) -> bool {
    seen.iter().any(|usage| {
        matches!(&usage.seen, Seen::Running { component, since }
            if *component == proof.component && *since > proof.since)
    })
}

/// What is done next about one. `asked`: by this process.
#[must_use]
pub fn what_to_do(proof: &PendingProof, asked: Option<&LastAnswer>, now: Timestamp) -> PendingStep {
    let near = shifted(proof.old_end, -NEAR);
    let Some(asked) = asked else {
        // Before that the table gives it time.
        let longest = SignedDuration::try_from(LONGEST_REREAD).unwrap_or(PAUSE);
        return PendingStep::AskAt(shifted(proof.since, longest).min(near.max(proof.since)));
    };
    let again = asked.asked_again_at();
    // A clock that was set back says nothing of when it was asked.
    let is_fresh = asked.at <= now && now < again;
    match &asked.answer {
        PickedUp::Yes(_) => PendingStep::Proved,
        _ if !is_fresh => PendingStep::AskAt(now),
        PickedUp::No(_) => PendingStep::RestartNow,
        PickedUp::Unknown { .. } if near <= now && asked.times >= ASKED_ENOUGH => {
            PendingStep::RestartNow
        }
        PickedUp::Unknown { .. } => PendingStep::AskAt(again),
    }
}

/// From when on windows and holds hold none of these restarts back: a day before the first end of an old certificate, or later
/// where `renewal.window-override` is shorter.
pub(super) fn overridden(
    proofs: &[PendingProof],
    components: &[String],
    renewal: &Renewal,
) -> Option<Overridden> {
    let first = proofs
        .iter()
        .filter(|proof| components.contains(&proof.component))
        .min_by_key(|proof| proof.old_end)?;
    let before = SignedDuration::try_from(renewal.window_override).unwrap_or(NEAR);
    Some(Overridden {
        certificate: first.certificates.first()?.clone(),
        ends: first.old_end,
        from: shifted(first.old_end, -before.min(NEAR)),
    })
}

/// One certificate that one component has to show.
#[derive(Debug, PartialEq)]
struct Left {
    component: String,
    id: CertificateId,
    serial: String,
    since: Timestamp,
    old_end: Timestamp,
}

/// What no later receipt settles.
fn left(receipts: &[Receipt]) -> Vec<Left> {
    let mut all: Vec<Left> = Vec::new();
    for receipt in receipts {
        if !matches!(receipt.outcome, Outcome::RolledBack(_)) {
            add(&mut all, receipt);
        }
        // An operation asks before it restarts: whatever it restarted, perhaps for another's sake, has read the new files.
        let restarted = |component: &str| receipt.restarts.iter().any(|(one, _)| one == component);
        all.retain(|one| !restarted(&one.component));
    }
    all
}

fn add(all: &mut Vec<Left>, receipt: &Receipt) {
    for (component, id) in not_shown(receipt) {
        let mut lines = receipt.certificates.iter();
        let Some(line) = lines.find(|line| line.id == id) else {
            continue;
        };
        let is_it = |one: &Left| one.component == component && one.id == id;
        // What was not shown before either may go on with what that one replaced, unless that had ended by then.
        let earlier = all
            .iter()
            .filter(|one| is_it(one) && one.old_end > receipt.started)
            .map(|one| one.old_end)
            .min();
        let old_end = earlier.map_or(line.old_not_after, |end| end.min(line.old_not_after));
        all.retain(|one| !is_it(one));
        all.push(Left {
            serial: line.new_serial.clone(),
            since: receipt.finished,
            component,
            id,
            old_end,
        });
    }
}

/// Components and certificates of the receipt's remarks [`Remark::NotShown`].
fn not_shown(receipt: &Receipt) -> Vec<(String, CertificateId)> {
    let code = Remark::NotShown {
        component: String::new(),
        certificates: Vec::new(),
        seen: String::new(),
    }
    .code();
    let remarks = receipt.remarks.iter().filter(|one| one.code == code);
    remarks
        .filter_map(|remark| {
            let fields = remark.fields.as_ref()?;
            let component = fields["component"].as_str()?.to_owned();
            Some((component, fields["certificates"].as_array()?))
        })
        .flat_map(|(component, names)| {
            let ids = names.iter().filter_map(Value::as_str);
            ids.map(move |id| (component.clone(), CertificateId::from(id)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
