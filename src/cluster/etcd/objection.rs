//! What can speak against disturbing an etcd member, each with a code that does not change.

use serde::{Serialize, Serializer};

use crate::probe::EtcdError;

/// A member, for messages: by its name, or by its id where it has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Who {
    /// Its id; in JSON hexadecimal, as etcd itself shows it.
    #[serde(serialize_with = "as_hexadecimal")]
    pub id: u64,
    /// Its name, as another node wrote it.
    pub name: String,
}

fn as_hexadecimal<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:x}"))
}

/// etcd's alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// The database has reached its quota: nothing can be written.
    NoSpace,
    /// The members' data differ.
    Corrupt,
    /// One that is not known here.
    Other,
}

/// What was found. `docs/codes.md` lists the codes; `words.rs` has the sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(
    tag = "code",
    content = "fields",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[strum(serialize_all = "kebab-case")]
pub enum Objection {
    /// This node's member is not in the list of members.
    EtcdOwnMissing,
    /// No quorum confirms the list of members, which may be out of date.
    EtcdListUnconfirmed {
        /// Why.
        reason: String,
    },
    /// There are more members than are asked.
    EtcdTooManyMembers {
        /// How many there are.
        count: usize,
        /// How many are asked.
        most: usize,
    },
    /// An alarm is raised.
    EtcdAlarm {
        /// By which member.
        member: Who,
        /// Which.
        alarm: AlarmKind,
    },
    /// Whether there are alarms could not be asked.
    EtcdAlarmsUnknown {
        /// Why.
        error: EtcdError,
    },
    /// A member is being added and does not vote yet.
    EtcdLearner {
        /// Which.
        member: Who,
    },
    /// A member was added and has never started.
    EtcdNotStarted {
        /// Which.
        member: Who,
    },
    /// Two members have one name.
    EtcdNameTwice {
        /// The name.
        name: String,
    },
    /// One id is listed twice.
    EtcdIdTwice {
        /// Which.
        member: Who,
    },
    /// Where one member should answer another one does.
    EtcdOtherMember {
        /// Which should.
        member: Who,
        /// Which does.
        answered: Who,
    },
    /// A member sees no leader.
    EtcdNoLeader {
        /// Which.
        member: Who,
    },
    /// Members see different leaders.
    EtcdLeadersDiffer {
        /// Which.
        leaders: Vec<Who>,
    },
    /// The leader is not among the members.
    EtcdLeaderUnknown {
        /// Its id is all that is known.
        leader: Who,
    },
    /// Members are in different terms: there is, or was just now, an election.
    EtcdTermsDiffer {
        /// Which.
        terms: Vec<u64>,
    },
    /// A member has not applied what others have, and does not come nearer.
    EtcdLagging {
        /// Which.
        member: Who,
        /// By how many entries of the log.
        behind: u64,
    },
    /// A member did not say how it is.
    EtcdSilent {
        /// Which.
        member: Who,
        /// Why not.
        error: EtcdError,
    },
    /// A member finds something wrong with itself.
    EtcdUnwell {
        /// Which.
        member: Who,
        /// What.
        errors: Vec<String>,
    },
    /// A member's database is almost as large as it may be.
    EtcdDatabase {
        /// Which.
        member: Who,
        /// Bytes.
        used_bytes: u64,
        /// Bytes.
        quota_bytes: u64,
    },
    /// Too few would be left.
    EtcdQuorum {
        /// How many members are well and stay.
        healthy: usize,
        /// How many are needed.
        quorum: usize,
        /// How many vote.
        voters: usize,
    },
    /// Of two members neither can be spared.
    EtcdTwoMembers,
}

impl Objection {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
