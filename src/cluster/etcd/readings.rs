//! What the members of etcd said.

use std::collections::BTreeSet;

use super::objection::{AlarmKind, Who};
use crate::net::Address;
use crate::probe::EtcdError;

/// What all members said, at about one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// The id of this node's member; `None` where the list does not have it.
    pub own: Option<u64>,
    /// All members, as they are listed.
    pub members: Vec<MemberReading>,
    /// Why no quorum confirmed the list; `None` where one did, or where the release cannot be asked for that.
    pub unconfirmed: Option<String>,
    /// The alarms that at least one member knows.
    ///
    /// # Errors
    /// Why no member could be asked for them.
    pub alarms: Result<Vec<Alarm>, EtcdError>,
    /// How large a database may be, in bytes, where a member does not say it itself; `None` for no bound.
    pub quota: Option<u64>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReading {
    /// Its id.
    pub id: u64,
    /// Its name; empty where it has never started.
    pub name: String,
    /// Whether the list has it for one that does not vote yet.
    pub is_learner: bool,
    /// Where it is asked; for this node's member that is not used.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub address: Result<Address, String>,
    /// What it says of itself.
    ///
    /// # Errors
    /// Why it did not say it.
    pub status: Result<MemberStatus, EtcdError>,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberStatus {
    /// The id of the member that answered.
    pub answered_by: u64,
    /// etcd's release.
    pub version: String,
    /// The size of its database; bytes.
    pub database: u64,
    /// How large that may be; bytes, `None` where it does not say it.
    pub quota: Option<u64>,
    /// The id of the leader that it sees; 0 for none.
    pub leader: u64,
    /// The term of that leader.
    pub term: u64,
    /// How far its log is committed.
    pub index: u64,
    /// How much of that it has applied.
    pub applied: u64,
    /// What it finds wrong with itself.
    pub errors: Vec<String>,
    /// Whether it does not vote yet.
    pub is_learner: bool,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// The id of the member that raised it.
    pub member: u64,
    /// What it is.
    pub kind: AlarmKind,
}

impl MemberReading {
    /// For messages.
    #[must_use]
    pub fn who(&self) -> Who {
        Who {
            id: self.id,
            name: self.name.clone(),
        }
    }

    /// What it says, if it was this member that answered.
    #[must_use]
    pub fn own_answer(&self) -> Option<&MemberStatus> {
        let status = self.status.as_ref().ok()?;
        (status.answered_by == self.id).then_some(status)
    }

    /// Whether it votes, by the list and by what it says itself.
    #[must_use]
    pub fn votes(&self) -> bool {
        let says_not = self.status.as_ref().is_ok_and(|status| status.is_learner);
        !self.is_learner && !says_not
    }
}

impl Readings {
    /// A member by its id.
    #[must_use]
    pub fn member(&self, id: u64) -> Option<&MemberReading> {
        self.members.iter().find(|member| member.id == id)
    }

    /// For messages; one that is not listed has no name.
    #[must_use]
    pub fn who(&self, id: u64) -> Who {
        let name = self.member(id).map(|member| member.name.clone());
        Who {
            id,
            name: name.unwrap_or_default(),
        }
    }

    /// How many of the members vote, as they are listed: a learner does not yet.
    #[must_use]
    pub fn voters(&self) -> usize {
        let ids = self.members.iter().filter(|one| !one.is_learner);
        ids.map(|one| one.id).collect::<BTreeSet<u64>>().len()
    }

    /// This node's member.
    #[must_use]
    pub fn own_member(&self) -> Option<&MemberReading> {
        self.member(self.own?)
    }

    /// The highest index that any member has seen committed.
    #[must_use]
    pub fn highest_index(&self) -> u64 {
        let answers = self.members.iter().filter_map(MemberReading::own_answer);
        answers
            .map(|status| status.index.max(status.applied))
            .max()
            .unwrap_or(0)
    }

    /// How many entries of the log a member has not applied yet that another knows; `None` where it did not answer.
    #[must_use]
    pub fn behind(&self, id: u64) -> Option<u64> {
        let applied = self.member(id)?.own_answer()?.applied;
        Some(self.highest_index().saturating_sub(applied))
    }
}
