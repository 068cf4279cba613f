//! Giving the leadership away before this node's member goes: some milliseconds without a leader instead of an election.

use std::time::{Duration, Instant};

use super::judge::CLOSE;
use super::objection::Who;
use super::read::status;
use super::readings::{MemberReading, Readings};
use crate::node::Inventory;
use crate::probe::{EtcdClient, EtcdError, MoveLeaderRequest, MoveLeaderResponse, Way};

/// Until this node's member and the new leader both say who leads.
const BOUND: Duration = Duration::from_secs(5);
const PACE: Duration = Duration::from_millis(100);

const MOVE_LEADER: Way = Way {
    json: "/v3/maintenance/transfer-leadership",
    grpc: "/etcdserverpb.Maintenance/MoveLeader",
};

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// Another member did already.
    Elsewhere,
    /// It was moved.
    Moved {
        /// To this member.
        to: Who,
        /// From the question until both said so.
        took: Duration,
    },
}

/// Why this node's member still leads, or may.
#[derive(
    Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum LeadershipError {
    /// Whether it leads is not known.
    #[error("whether this node's etcd member leads is not known: it {0}")]
    EtcdLeaderNotKnown(EtcdError),
    /// No other member could take it.
    #[error("this node's etcd member leads, and no other is well enough to take the leadership")]
    EtcdNoSuccessor,
    /// It did not go over.
    #[error("the leadership of etcd did not go over to {to}: {reason}; see the logs of both")]
    EtcdLeadershipNotMoved {
        /// To whom it should.
        to: Who,
        /// What was seen instead.
        reason: String,
    },
}

impl LeadershipError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// If this node's member leads, moves the leadership to another that votes, is well and has caught up, and sees that both say so.
///
/// The readings may be some seconds old: who leads is asked again before and after. That it was not moved is no reason not to
/// go on: the others then elect a leader, which takes about a second.
///
/// # Errors
/// [`LeadershipError`].
pub async fn move_leadership(
    inventory: &Inventory,
    readings: &Readings,
) -> Result<Leadership, LeadershipError> {
    let not_known = LeadershipError::EtcdLeaderNotKnown;
    let no_member = || not_known(EtcdError::NotAskable("it is not known".to_owned()));
    let client = EtcdClient::of(inventory).ok_or_else(no_member)?;
    let own_id = readings.own.ok_or_else(no_member)?;
    let own = client.own().map_err(not_known)?;
    if status(&client, &own).await.map_err(not_known)?.leader != own_id {
        return Ok(Leadership::Elsewhere);
    }
    let target = successor(readings).ok_or(LeadershipError::EtcdNoSuccessor)?;
    let to = target.who();
    let not_moved = |reason: String| LeadershipError::EtcdLeadershipNotMoved {
        to: target.who(),
        reason,
    };
    let address = target.address.clone().map_err(&not_moved)?;
    let other = client
        .other(address)
        .map_err(|error| not_moved(error.to_string()))?;
    let began = Instant::now();
    let question = MoveLeaderRequest {
        target_id: target.id,
    };
    let moved: Result<MoveLeaderResponse, _> = client.ask(&own, MOVE_LEADER, question).await;
    moved.map_err(|error| not_moved(format!("this node's member {error}")))?;
    loop {
        let (here, there) = tokio::join!(status(&client, &own), status(&client, &other));
        let seen = |status: &Result<_, EtcdError>| match status {
            Ok(super::readings::MemberStatus { leader, .. }) => {
                if *leader == target.id {
                    None
                } else {
                    Some(format!("{} leads", readings.who(*leader)))
                }
            }
            Err(error) => Some(error.to_string()),
        };
        let reason = match (seen(&here), seen(&there)) {
            (None, None) => {
                let took = began.elapsed();
                return Ok(Leadership::Moved { to, took });
            }
            (Some(here), _) => format!("seen by this node's member: {here}"),
            (None, Some(there)) => format!("seen by it: {there}"),
        };
        if began.elapsed() > BOUND {
            return Err(not_moved(reason));
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Who takes it: of those that can, the one that has applied most, of several the one with the lowest id.
fn successor(readings: &Readings) -> Option<&MemberReading> {
    let others = readings.members.iter();
    let others = others.filter(|member| Some(member.id) != readings.own && member.votes());
    let able = others.filter_map(|member| {
        let status = member.own_answer()?;
        let behind = readings.behind(member.id)?;
        let is_well = !member.name.is_empty() && status.errors.is_empty() && status.leader != 0;
        (is_well && behind <= CLOSE).then_some((behind, member))
    });
    able.min_by_key(|(behind, member)| (*behind, member.id))
        .map(|(_, member)| member)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::cluster::etcd::judge::tests::{cluster, lost, status_of};

    #[test]
    fn the_successor_votes_is_well_and_has_applied_most() {
        let mut readings = cluster(4);
        assert_eq!(successor(&readings).unwrap().id, 2);
        status_of(&mut readings, 2).applied -= 1;
        assert_eq!(successor(&readings).unwrap().id, 3);
        status_of(&mut readings, 3).is_learner = true;
        assert_eq!(successor(&readings).unwrap().id, 4);
        status_of(&mut readings, 4).errors = vec!["no".to_owned()];
        assert_eq!(successor(&readings).unwrap().id, 2);
        readings.members[1].status = lost();
        assert_eq!(successor(&readings), None, "never this node's own");
    }
}
