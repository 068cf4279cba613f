//! What one certificate's renewal asks of another's: kubeconfigs learn of a new CA in the same operation as the server gets a
//! certificate of it, or the server keeps the one it has.

use jiff::Timestamp;

use super::candidate::{Candidate, Wish};
use super::trust::{Doubter, Refusal, doubters, is_renewed_nevertheless, learns};
use super::types::{Action, Obstacle, PlanItem, Reason};
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
    let notes: Vec<(usize, String)> = notes(inventory, &decided, now);
    let mut items: Vec<PlanItem> = decided.into_iter().map(|one| one.item).collect();
    for (index, note) in notes {
        if let Some(item) = items.get_mut(index) {
            if !item.trust_notes.contains(&note) {
                item.trust_notes.push(note);
            }
        }
    }
    items
}

/// What becomes of a renewal that somebody doubts.
enum Answer {
    /// That kubeconfig is renewed as well and learns of the CA: of which, if that is certain.
    Learns(usize, Option<String>),
    /// That kubeconfig is to be renewed as well, not being due yet.
    JoinsIn(usize),
    /// It goes on, and is said.
    GoesOn(Refusal),
    /// It does not go on.
    Refused(Refusal),
    /// What signs in the end may be trusted.
    Open,
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
        Answer::Learns(..) | Answer::GoesOn(_) | Answer::Open => None,
    })
}

fn notes(inventory: &Inventory, decided: &[Decided<'_>], now: Timestamp) -> Vec<(usize, String)> {
    answers(inventory, decided, now)
        .filter_map(|(index, answer)| match answer {
            Answer::GoesOn(refusal) => Some((index, refusal.fact())),
            Answer::Learns(kubeconfig, Some(signer)) => Some((kubeconfig, learns(&signer))),
            Answer::Learns(_, None) | Answer::JoinsIn(_) | Answer::Refused(_) | Answer::Open => {
                None
            }
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
        doubters(inventory, &one.item.name, &signers, now)
            .iter()
            .filter_map(|doubter| {
                let signer = signers.first()?;
                let certain = doubter.of_all.then(|| signer.subject.clone());
                let answer = match learner(decided, one, doubter, certain) {
                    Some(answer) => answer,
                    None if !doubter.of_all => Answer::Open,
                    None => {
                        let can_be_renewed = kubeconfig(decided, doubter)
                            .is_some_and(|(_, one)| matches!(one.item.action, Action::Wait));
                        let refusal =
                            Refusal::by(doubter, signer, candidate.present, can_be_renewed);
                        let goes_on = !doubter.accepts_present
                            || is_renewed_nevertheless(
                                candidate.present,
                                *reason,
                                one.wish.is_forced(),
                                now,
                            );
                        if goes_on {
                            Answer::GoesOn(refusal)
                        } else {
                            Answer::Refused(refusal)
                        }
                    }
                };
                Some((index, answer))
            })
            .collect()
    })
}

/// How a doubting kubeconfig comes to know the CA in the same operation, if it can.
fn learner(
    decided: &[Decided<'_>],
    one: &Decided<'_>,
    doubter: &Doubter<'_>,
    signer: Option<String>,
) -> Option<Answer> {
    let (index, kubeconfig) = kubeconfig(decided, doubter)?;
    match kubeconfig.item.action {
        Action::Renew(_) => Some(Answer::Learns(index, signer)),
        // Whoever names certificates gets those and no others.
        Action::Wait if one.wish.is_whatever_is_due() => Some(Answer::JoinsIn(index)),
        Action::Wait | Action::Leave(_) => None,
    }
}

/// The doubter, where it is a kubeconfig that is renewed here and holds its CAs itself.
fn kubeconfig<'a, 'node>(
    decided: &'a [Decided<'node>],
    doubter: &Doubter<'_>,
) -> Option<(usize, &'a Decided<'node>)> {
    let TrustHolder::Kubeconfig {
        name,
        embedded: true,
    } = &doubter.trust.holder
    else {
        return None;
    };
    decided
        .iter()
        .enumerate()
        .find(|(_, one)| one.item.name == *name && one.candidate.is_some())
}
