//! Whether this node's member is back after it was disturbed. Pure.

use super::judge::CLOSE;
use super::objection::Objection;
use super::readings::Readings;

/// What is missing until the member is back: it answers, under the id that it had, votes, sees the leader that the others see,
/// and has applied all that was committed `before`, and almost all that is `after`. Empty when it is back.
#[must_use]
pub fn caught_up(before: &Readings, after: &Readings) -> Vec<Objection> {
    let Some(own) = before.own.or(after.own) else {
        return vec![Objection::EtcdOwnMissing];
    };
    let Some(reading) = after.member(own).filter(|_| after.own == Some(own)) else {
        return vec![Objection::EtcdOwnMissing];
    };
    let member = reading.who();
    let status = match &reading.status {
        Ok(status) => status,
        Err(error) => {
            let error = error.clone();
            return vec![Objection::EtcdSilent { member, error }];
        }
    };
    if status.answered_by != own {
        let answered = after.who(status.answered_by);
        return vec![Objection::EtcdOtherMember { member, answered }];
    }
    let mut missing = Vec::new();
    if !reading.votes() {
        let member = member.clone();
        missing.push(Objection::EtcdLearner { member });
    }
    if status.leader == 0 {
        let member = member.clone();
        missing.push(Objection::EtcdNoLeader { member });
    }
    let others = after.members.iter().filter(|one| one.id != own);
    let answers: Vec<_> = others.filter_map(|one| one.own_answer()).collect();
    let mut leaders: Vec<u64> = answers.iter().map(|one| one.leader).collect();
    leaders.push(status.leader);
    leaders.retain(|leader| *leader != 0);
    leaders.sort_unstable();
    leaders.dedup();
    if leaders.len() > 1 {
        let leaders = leaders.into_iter().map(|id| after.who(id)).collect();
        missing.push(Objection::EtcdLeadersDiffer { leaders });
    }
    let of_before = before.highest_index().saturating_sub(status.applied);
    let of_now = after.behind(own).unwrap_or(0);
    if of_before > 0 || of_now > CLOSE {
        let behind = of_before.max(of_now);
        missing.push(Objection::EtcdLagging { member, behind });
    }
    missing
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::cluster::etcd::judge::tests::{cluster, lost, status_of};

    #[test]
    fn the_member_is_back_once_it_has_what_was_there_before() {
        let before = cluster(3);
        assert_eq!(caught_up(&before, &before), []);
        let mut after = cluster(3);
        status_of(&mut after, 1).applied = 4_999;
        let codes = |after: &Readings| -> Vec<&str> {
            caught_up(&before, after)
                .iter()
                .map(Objection::code)
                .collect()
        };
        assert_eq!(codes(&after), ["etcd-lagging"]);
        status_of(&mut after, 1).applied = 5_000;
        for id in [2, 3] {
            status_of(&mut after, id).index = 6_001;
        }
        assert_eq!(codes(&after), ["etcd-lagging"]);
        for id in [2, 3] {
            status_of(&mut after, id).index = 6_000;
        }
        assert_eq!(codes(&after), [""; 0]);
        status_of(&mut after, 1).is_learner = true;
        assert_eq!(codes(&after), ["etcd-learner"]);
        status_of(&mut after, 1).leader = 0;
        assert_eq!(codes(&after), ["etcd-learner", "etcd-no-leader"]);
        status_of(&mut after, 1).answered_by = 2;
        assert_eq!(codes(&after), ["etcd-other-member"]);
        after.members[0].status = lost();
        assert_eq!(codes(&after), ["etcd-silent"]);
        // It came back as another one: its data directory was lost.
        after.members[0].id = 9;
        after.own = Some(9);
        assert_eq!(codes(&after), ["etcd-own-missing"]);
    }

    #[test]
    fn a_member_that_follows_another_leader_is_not_back() {
        let before = cluster(3);
        let mut after = cluster(3);
        status_of(&mut after, 1).leader = 2;
        let missing = caught_up(&before, &after);
        assert_eq!(missing[0].code(), "etcd-leaders-differ");
    }
}
