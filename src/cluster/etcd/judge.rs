//! Whether a member can be spared. Pure: it knows only what was read.

use std::collections::BTreeSet;

use super::objection::Objection;
use super::read::MOST_MEMBERS;
use super::readings::{MemberReading, Readings};

/// A member that is no more entries behind than this is taken for caught up.
pub(super) const CLOSE: u64 = 1_000;
/// Of its quota a database may take less than this; percent.
const FULL: u128 = 80;

/// What is about to be disturbed on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbed {
    /// Its etcd member. Of two members it is one that has to be restarted: what takes up its certificates by itself is left alone.
    Member,
    /// Other components; the member goes on.
    Others,
}

/// What follows from the readings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Why nothing may be disturbed now.
    pub objections: Vec<Objection>,
    /// What should be said, and stands in the way of nothing.
    pub warnings: Vec<Objection>,
}

impl Verdict {
    /// Whether nothing speaks against it.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.objections.is_empty()
    }
}

/// Judges what was read just now; `earlier` is what was read some seconds before, if there is such a reading: a member that lags
/// and comes nearer is no objection then.
///
/// A single member protects no other: everything found is a warning. While the member itself goes on
/// ([`Disturbed::Others`]), only a cluster that stands on its last legs objects: no quorum, or no common leader.
#[must_use]
pub fn judge(now: &Readings, earlier: Option<&Readings>, disturbed: Disturbed) -> Verdict {
    let case = Case { now, earlier };
    let mut found = case.of_the_list();
    found.extend(case.of_the_answers());
    found.extend(case.of_leaders_and_terms());
    found.extend(case.of_quorum(disturbed));
    let is_single = now.members.len() == 1 && now.own_member().is_some();
    let (objections, warnings) = found
        .into_iter()
        .partition(|one| !is_single && case.forbids(one, disturbed));
    Verdict {
        objections,
        warnings,
    }
}

#[derive(Clone, Copy)]
struct Case<'a> {
    now: &'a Readings,
    earlier: Option<&'a Readings>,
}

impl Case<'_> {
    fn forbids(self, objection: &Objection, disturbed: Disturbed) -> bool {
        match (objection, disturbed) {
            // A silent member is missing where the quorum is counted. This node's own member is away already.
            (Objection::EtcdSilent { .. }, _) => false,
            (Objection::EtcdTwoMembers, _) => false,
            (_, Disturbed::Member) => true,
            (_, Disturbed::Others) => matches!(
                objection,
                Objection::EtcdQuorum { .. }
                    | Objection::EtcdNoLeader { .. }
                    | Objection::EtcdLeadersDiffer { .. }
                    | Objection::EtcdLeaderUnknown { .. }
            ),
        }
    }

    fn of_the_list(self) -> Vec<Objection> {
        let members = &self.now.members;
        let mut found = Vec::new();
        if self.now.own_member().is_none() {
            found.push(Objection::EtcdOwnMissing);
        }
        if let Some(reason) = self.now.unconfirmed.clone() {
            found.push(Objection::EtcdListUnconfirmed { reason });
        }
        if members.len() > MOST_MEMBERS {
            found.push(Objection::EtcdTooManyMembers {
                count: members.len(),
                most: MOST_MEMBERS,
            });
        }
        let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let mut twice = BTreeSet::new();
        for member in members {
            if member.name.is_empty() {
                let member = member.who();
                found.push(Objection::EtcdNotStarted { member });
            } else if !names.insert(&member.name) && twice.insert(&member.name) {
                let name = member.name.clone();
                found.push(Objection::EtcdNameTwice { name });
            }
            if !ids.insert(member.id) {
                let member = member.who();
                found.push(Objection::EtcdIdTwice { member });
            }
            if !member.votes() {
                let member = member.who();
                found.push(Objection::EtcdLearner { member });
            }
        }
        found
    }

    fn of_the_answers(self) -> Vec<Objection> {
        let mut found = Vec::new();
        match &self.now.alarms {
            Ok(alarms) => found.extend(alarms.iter().map(|alarm| Objection::EtcdAlarm {
                member: self.now.who(alarm.member),
                alarm: alarm.kind,
            })),
            Err(error) => found.push(Objection::EtcdAlarmsUnknown {
                error: error.clone(),
            }),
        }
        for reading in &self.now.members {
            let member = reading.who();
            let status = match &reading.status {
                Ok(status) => status,
                Err(error) => {
                    let error = error.clone();
                    found.push(Objection::EtcdSilent { member, error });
                    continue;
                }
            };
            if status.answered_by != reading.id {
                let answered = self.now.who(status.answered_by);
                found.push(Objection::EtcdOtherMember { member, answered });
                continue;
            }
            if let Some(behind) = self.lags(reading) {
                let member = member.clone();
                found.push(Objection::EtcdLagging { member, behind });
            }
            let quota = status.quota.or(self.now.quota);
            if let Some(quota_bytes) =
                quota.filter(|quota| u128::from(status.database) * 100 >= u128::from(*quota) * FULL)
            {
                found.push(Objection::EtcdDatabase {
                    member: member.clone(),
                    used_bytes: status.database,
                    quota_bytes,
                });
            }
            if !status.errors.is_empty() {
                let errors = status.errors.clone();
                found.push(Objection::EtcdUnwell { member, errors });
            }
        }
        found
    }

    fn of_leaders_and_terms(self) -> Vec<Objection> {
        let mut found = Vec::new();
        let (mut leaders, mut terms) = (BTreeSet::new(), BTreeSet::new());
        for reading in &self.now.members {
            let Some(status) = reading.own_answer() else {
                continue;
            };
            terms.insert(status.term);
            if status.leader == 0 {
                let member = reading.who();
                found.push(Objection::EtcdNoLeader { member });
            } else {
                leaders.insert(status.leader);
            }
        }
        for leader in &leaders {
            if self.now.member(*leader).is_none() {
                let leader = self.now.who(*leader);
                found.push(Objection::EtcdLeaderUnknown { leader });
            }
        }
        if leaders.len() > 1 {
            let leaders = leaders.into_iter().map(|id| self.now.who(id)).collect();
            found.push(Objection::EtcdLeadersDiffer { leaders });
        }
        if terms.len() > 1 {
            let terms = terms.into_iter().collect();
            found.push(Objection::EtcdTermsDiffer { terms });
        }
        found
    }

    fn of_quorum(self, disturbed: Disturbed) -> Option<Objection> {
        // As listed, whatever a member says of itself: etcd's own count is the same.
        let voters = self.now.voters();
        let quorum = voters / 2 + 1;
        let stays = |member: &&MemberReading| {
            disturbed == Disturbed::Others || Some(member.id) != self.now.own
        };
        let members = self.now.members.iter().filter(stays);
        let well: BTreeSet<u64> = members
            .filter(|member| self.is_well(member))
            .map(|member| member.id)
            .collect();
        let healthy = well.len();
        if healthy >= quorum {
            return None;
        }
        // The other one is well, and that is all that two members can have.
        if voters == 2 && healthy == 1 && disturbed != Disturbed::Others {
            return Some(Objection::EtcdTwoMembers);
        }
        Some(Objection::EtcdQuorum {
            healthy,
            quorum,
            voters,
        })
    }

    /// Whether a member can be counted on.
    fn is_well(self, member: &MemberReading) -> bool {
        member.votes()
            && !member.name.is_empty()
            && self.lags(member).is_none()
            && member
                .own_answer()
                .is_some_and(|status| status.leader != 0 && status.errors.is_empty())
    }

    /// By how much a member lags that does not come nearer.
    fn lags(self, member: &MemberReading) -> Option<u64> {
        let behind = self.now.behind(member.id)?;
        let before = self.earlier.and_then(|earlier| earlier.behind(member.id));
        let comes_nearer = before.is_some_and(|before| behind < before);
        (behind > CLOSE && !comes_nearer).then_some(behind)
    }
}

#[cfg(test)]
pub(crate) mod tests;
