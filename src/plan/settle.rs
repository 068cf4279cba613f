//! What one certificate's renewal asks of another's: kubeconfigs learn of a new CA in the same operation as the server gets a
//! certificate of it, or the server keeps the one it has.

use jiff::Timestamp;

use super::candidate::{Candidate, Wish};
use super::note::Note;
use super::obstacle::Obstacle;
use super::reason::Reason;
use super::trust::{Doubter, Refusal, doubters, is_renewed_nevertheless};
use super::types::{Action, PlanItem};
use crate::node::{Inventory, TrustHolder};

/// One certificate while all of them are being decided on.
pub(super) struct Decided<'node> {
    pub(super) item: PlanItem,
    pub(super) wish: Wish,
    /// `None` where it cannot be renewed at all.
    pub(super) candidate: Option<Candidate<'node>>,
}

/// Settles all of them. Each round turns something that waits into a renewal or a renewal into an obstacle, so it ends.
pub(super) fn settle(
    inventory: &Inventory,
    mut decided: Vec<Decided<'_>>,
    now: Timestamp,
) -> Vec<PlanItem> {
    while let Some((index, action)) = next_change(inventory, &decided, now) {
        if let Some(one) = decided.get_mut(index) {
            one.item.action = action;
        }
    }
    let notes: Vec<(usize, Note)> = notes(inventory, &decided, now);
    let mut items: Vec<PlanItem> = decided.into_iter().map(|one| one.item).collect();
    for (index, note) in notes {
        if let Some(item) = items.get_mut(index)
            && !item.trust_notes.contains(&note)
        {
            item.trust_notes.push(note);
        }
    }
    items
}

/// What becomes of a renewal when one that checks the certificate does not trust the CA.
enum Answer {
    /// That kubeconfig is renewed as well and learns of the CA.
    Learns(usize, Note),
    /// That kubeconfig is to be renewed as well, not being due yet.
    JoinsIn(usize),
    /// The renewal goes on, with a note.
    GoesOn(Note),
    /// It does not.
    Refused(Refusal),
}

fn next_change(
    inventory: &Inventory,
    decided: &[Decided<'_>],
    now: Timestamp,
) -> Option<(usize, Action)> {
    answers(inventory, decided, now).find_map(|(index, answer)| match answer {
        Answer::JoinsIn(kubeconfig) => Some((kubeconfig, Action::Renew(Reason::SignerChanges))),
        Answer::Refused(refusal) => Some((
            index,
            Action::Leave(Obstacle::NotTrusted(Box::new(refusal))),
        )),
        Answer::Learns(..) | Answer::GoesOn(_) => None,
    })
}

fn notes(inventory: &Inventory, decided: &[Decided<'_>], now: Timestamp) -> Vec<(usize, Note)> {
    answers(inventory, decided, now)
        .filter_map(|(index, answer)| match answer {
            Answer::Learns(kubeconfig, note) => Some((kubeconfig, note)),
            Answer::GoesOn(note) => Some((index, note)),
            Answer::JoinsIn(_) | Answer::Refused(_) => None,
        })
        .collect()
}

/// An answer for everybody who doubts one of the renewals.
fn answers<'a>(
    inventory: &'a Inventory,
    decided: &'a [Decided<'_>],
    now: Timestamp,
) -> impl Iterator<Item = (usize, Answer)> + 'a {
    decided.iter().enumerate().flat_map(move |(index, one)| {
        let (Action::Renew(reason), Some(candidate)) = (&one.item.action, &one.candidate) else {
            return Vec::new();
        };
        let signers = candidate.signers(now);
        doubters(inventory, &one.item.id, &signers, now)
            .iter()
            .map(|doubter| {
                let answer = answer(decided, one, candidate, *reason, doubter, now);
                (index, answer)
            })
            .collect()
    })
}

fn answer(
    decided: &[Decided<'_>],
    one: &Decided<'_>,
    candidate: &Candidate<'_>,
    reason: Reason,
    doubter: &Doubter<'_>,
    now: Timestamp,
) -> Answer {
    let kubeconfig = kubeconfig(decided, doubter);
    let waits = match kubeconfig.map(|(index, kubeconfig)| (index, &kubeconfig.item.action)) {
        Some((index, Action::Renew(_))) => {
            let note = Note::authority_added(doubter.signer, !doubter.of_all);
            return Answer::Learns(index, note);
        }
        // Whoever names certificates gets those and no others.
        Some((index, Action::Wait)) if one.wish.is_whatever_is_due() => {
            return Answer::JoinsIn(index);
        }
        Some((_, Action::Wait)) => true,
        Some((_, Action::Leave(_))) | None => false,
    };
    let refusal = Refusal::by(doubter, candidate.present, waits);
    let goes_on = !doubter.accepts_present
        || is_renewed_nevertheless(candidate.present, reason, one.wish.is_forced(), now);
    // Of several CA certificates only the key knows which signs.
    let if_it_signs = !doubter.of_all;
    if goes_on {
        Answer::GoesOn(Note::NotTrusted {
            refusal,
            if_it_signs,
        })
    } else if if_it_signs {
        Answer::GoesOn(Note::NotRenewedIfItSigns { refusal })
    } else {
        Answer::Refused(refusal)
    }
}

/// The doubter, where it is a kubeconfig that is renewed here and holds its CAs itself.
fn kubeconfig<'a, 'node>(
    decided: &'a [Decided<'node>],
    doubter: &Doubter<'_>,
) -> Option<(usize, &'a Decided<'node>)> {
    let TrustHolder::Kubeconfig { id, embedded: true } = &doubter.trust.holder else {
        return None;
    };
    decided
        .iter()
        .enumerate()
        .find(|(_, one)| one.item.id == *id && one.candidate.is_some())
}
