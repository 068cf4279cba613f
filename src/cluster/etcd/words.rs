//! The sentences.

use std::fmt;

use super::objection::{AlarmKind, Objection, Who};
use crate::host::printable;

/// No name of a member is shown beyond this; letters.
const LONGEST_NAME: usize = 64;

impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return write!(formatter, "etcd member {:x}", self.id);
        }
        let name: String = self.name.chars().take(LONGEST_NAME).collect();
        write!(formatter, "etcd member {}", printable(&name))
    }
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
            Self::Other => "an alarm that this version does not know",
        })
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EtcdOwnMissing => f.write_str(
                "this node's etcd member is not in etcd's list of members; see `etcdctl member list`",
            ),
            Self::EtcdListUnconfirmed { reason } => write!(
                f,
                "no quorum of etcd confirms its list of members ({reason}); see `etcdctl endpoint health --cluster`"
            ),
            Self::EtcdTooManyMembers { count, most } => write!(
                f,
                "etcd has {count} members, and no more than {most} are asked; remove those that are gone"
            ),
            Self::EtcdAlarm { member, alarm } => {
                let todo = match alarm {
                    AlarmKind::NoSpace => "compact and defragment it, then `etcdctl alarm disarm`",
                    AlarmKind::Corrupt | AlarmKind::Other => "see its log and `etcdctl alarm list`",
                };
                write!(f, "{member} has raised {alarm}; {todo}")
            }
            Self::EtcdAlarmsUnknown { error } => write!(
                f,
                "no etcd member says whether there are alarms: the last one asked {error}"
            ),
            Self::EtcdLearner { member } => write!(
                f,
                "{member} is a learner: it is being added and does not vote yet; wait until it does, or remove it"
            ),
            Self::EtcdNotStarted { member } => write!(
                f,
                "{member} was added and has never started; start it, or remove it with `etcdctl member remove`"
            ),
            Self::EtcdNameTwice { name } => write!(
                f,
                "two etcd members have the name {}; remove the one that is gone",
                printable(&name.chars().take(LONGEST_NAME).collect::<String>())
            ),
            Self::EtcdIdTwice { member } => write!(f, "{member} is listed twice; see `etcdctl member list`"),
            Self::EtcdOtherMember { member, answered } => write!(
                f,
                "where {member} should answer, {answered} does (id {:x}); correct its --advertise-client-urls",
                answered.id
            ),
            Self::EtcdNoLeader { member } => write!(f, "{member} sees no leader; see its log"),
            Self::EtcdLeadersDiffer { leaders } => write!(
                f,
                "etcd members see different leaders ({}); see whether all reach each other",
                listed(leaders)
            ),
            Self::EtcdLeaderUnknown { leader } => write!(
                f,
                "etcd's leader {:x} is not among its members; see `etcdctl member list`",
                leader.id
            ),
            Self::EtcdTermsDiffer { terms } => write!(
                f,
                "etcd members are in different terms ({}): there is an election; wait until it is over",
                listed(terms)
            ),
            Self::EtcdLagging { member, behind } => write!(
                f,
                "{member} is {behind} entries of the log behind; wait until it has caught up"
            ),
            Self::EtcdSilent { member, error } => write!(f, "{member} {error}"),
            Self::EtcdUnwell { member, errors } => {
                let all = errors.join("; ");
                let shown: String = all.chars().take(200).collect();
                write!(f, "{member} is not well: {}", printable(&shown))
            }
            Self::EtcdDatabase { member, used_bytes, quota_bytes } => write!(
                f,
                "the database of {member} takes {used_bytes} bytes of the {quota_bytes} that it may; compact and defragment it, \
                 or raise --quota-backend-bytes"
            ),
            Self::EtcdQuorum { healthy, quorum, voters } => write!(
                f,
                "of {voters} etcd members {quorum} are needed, and only {healthy} would be left that are well; see to the others first"
            ),
            Self::EtcdTwoMembers => f.write_str(
                "etcd has two members and stands still while one of them restarts; add a third",
            ),
        }
    }
}

fn listed<T: ToString>(all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(T::to_string).collect();
    all.join(", ")
}
