//! Asking all members: who they are, how they are, and whether there are alarms.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::objection::AlarmKind;
use super::readings::{Alarm, MemberReading, MemberStatus, Readings};
use crate::net::{Address, together};
use crate::node::{Inventory, StaticPod};
use crate::probe::{
    AlarmRequest, AlarmResponse, Askable, EtcdClient, EtcdError, Member, StatusRequest,
    StatusResponse, Way, client_address,
};

/// So many members are asked; etcd itself advises against more than seven.
pub(super) const MOST_MEMBERS: usize = 16;
/// For the list of members, whichever member gives it.
const LIST_BOUND: Duration = Duration::from_secs(5);
/// For what all members say of themselves, who are asked at the same time.
const STATUS_BOUND: Duration = Duration::from_secs(5);
/// What a database may take where nothing else is said: etcd's default; bytes.
const DEFAULT_QUOTA: u64 = 2 * 1024 * 1024 * 1024;

const STATUS: Way = Way {
    json: "/v3/maintenance/status",
    grpc: "/etcdserverpb.Maintenance/Status",
};
const ALARM: Way = Way {
    json: "/v3/maintenance/alarm",
    grpc: "/etcdserverpb.Maintenance/Alarm",
};

/// Why there are no readings.
#[derive(
    Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum ReadError {
    /// No etcd runs on this node, so there is no member to be spared.
    #[error("no etcd runs on this node")]
    EtcdNotHere,
    /// No member said who the members are.
    #[error(
        "who etcd's members are cannot be found out: this node's member {own}{}; see its log",
        others.as_ref().map(|error| format!(", and another one {error}")).unwrap_or_default()
    )]
    EtcdMembersUnknown {
        /// What this node's member did instead.
        own: EtcdError,
        /// What the last of the others did that was asked.
        others: Option<EtcdError>,
    },
}

impl ReadError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Asks every member, all at once, within ten seconds. Members are verified against etcd's CA before anything is shown to them, and
/// shown the client certificate for health checks; no redirection is followed. Where this node's member does not answer, the list
/// comes from one of those whose addresses are `known` from before.
///
/// # Errors
/// [`ReadError`]: that a member does not answer is none, but a reading.
pub async fn read(inventory: &Inventory, known: &[Address]) -> Result<Readings, ReadError> {
    let client = EtcdClient::of(inventory).ok_or(ReadError::EtcdNotHere)?;
    let List {
        members,
        unconfirmed,
    } = list(&client, known).await?;
    let own = members.iter().find(|member| client.is_own(member));
    let own = own.map(|member| member.id);
    let asked = members.iter().enumerate().map(|(place, member)| {
        let is_own = Some(member.id) == own;
        let client = &client;
        async move {
            if place < MOST_MEMBERS {
                answer(client, member, is_own).await
            } else {
                Answer::none(EtcdError::NotAskable("there are too many".to_owned()))
            }
        }
    });
    let answers = together(asked.collect()).await;
    let (mut readings, mut alarms, mut no_alarms) = (Vec::new(), None, None);
    for (member, answer) in members.into_iter().zip(answers) {
        match answer.alarms {
            Ok(found) => alarms.get_or_insert_with(BTreeSet::new).extend(found),
            Err(error) => no_alarms = Some(error),
        }
        readings.push(MemberReading {
            id: member.id,
            address: client_address(&member.client_urls),
            name: member.name,
            is_learner: member.is_learner,
            status: answer.status,
        });
    }
    let none = || EtcdError::NotAskable("there is no member".to_owned());
    Ok(Readings {
        own,
        members: readings,
        unconfirmed,
        alarms: alarms
            .map(|alarms| alarms.into_iter().collect())
            .ok_or_else(|| no_alarms.unwrap_or_else(none)),
        quota: quota(client.pod()),
    })
}

struct List {
    members: Vec<Member>,
    unconfirmed: Option<String>,
}

/// The list of members as a quorum knows it, else as this node's member does, else as another does.
async fn list(client: &EtcdClient<'_>, known: &[Address]) -> Result<List, ReadError> {
    let own = async {
        let own = client.own()?;
        let reason = match bounded(client.members(&own, true)).await {
            Ok(members) => {
                return Ok(List {
                    members,
                    unconfirmed: None,
                });
            }
            Err(error) => error.to_string(),
        };
        let members = bounded(client.members(&own, false)).await?;
        Ok(List {
            members,
            unconfirmed: Some(reason),
        })
    };
    let own = match own.await {
        Ok(list) => return Ok(list),
        Err(error) => error,
    };
    let others = known.iter().take(MOST_MEMBERS).map(|address| async {
        let other = client.other(address.clone())?;
        bounded(client.members(&other, true)).await
    });
    let mut others_error = None;
    for answer in together(others.collect()).await {
        match answer {
            Ok(members) => {
                return Ok(List {
                    members,
                    unconfirmed: None,
                });
            }
            Err(error) => others_error = Some(error),
        }
    }
    Err(ReadError::EtcdMembersUnknown {
        own,
        others: others_error,
    })
}

struct Answer {
    status: Result<MemberStatus, EtcdError>,
    alarms: Result<Vec<Alarm>, EtcdError>,
}

impl Answer {
    fn none(error: EtcdError) -> Self {
        Self {
            status: Err(error.clone()),
            alarms: Err(error),
        }
    }
}

async fn answer(client: &EtcdClient<'_>, member: &Member, is_own: bool) -> Answer {
    let askable = if is_own {
        client.own()
    } else {
        client_address(&member.client_urls)
            .map_err(EtcdError::NotAskable)
            .and_then(|address| client.other(address))
    };
    match askable {
        Ok(askable) => {
            let (status, alarms) = tokio::join!(status(client, &askable), alarms(client, &askable));
            Answer { status, alarms }
        }
        Err(error) => Answer::none(error),
    }
}

/// What a member says of itself.
pub(super) async fn status(
    client: &EtcdClient<'_>,
    member: &Askable,
) -> Result<MemberStatus, EtcdError> {
    let asked = client.ask(member, STATUS, StatusRequest {});
    let answer: StatusResponse = within(STATUS_BOUND, asked).await?;
    let size = |bytes: i64| {
        u64::try_from(bytes)
            .map_err(|_| EtcdError::NotUnderstood("a size of less than nothing".to_owned()))
    };
    let quota = size(answer.db_size_quota)?;
    Ok(MemberStatus {
        answered_by: answer.header.map_or(0, |header| header.member_id),
        version: answer.version,
        database: size(answer.db_size)?,
        quota: (quota > 0).then_some(quota),
        leader: answer.leader,
        term: answer.raft_term,
        index: answer.raft_index,
        applied: answer.raft_applied_index,
        errors: answer
            .errors
            .into_iter()
            .filter(|one| !is_alarm(one))
            .collect(),
        is_learner: answer.is_learner,
    })
}

/// Every member repeats all alarms among its own errors: `memberID:17 alarm:NOSPACE`.
fn is_alarm(error: &str) -> bool {
    error.starts_with("memberID:") && error.contains(" alarm:")
}

async fn alarms(client: &EtcdClient<'_>, member: &Askable) -> Result<Vec<Alarm>, EtcdError> {
    let asked = client.ask(member, ALARM, AlarmRequest {});
    let answer: AlarmResponse = within(STATUS_BOUND, asked).await?;
    let alarms = answer.alarms.into_iter().filter(|one| one.alarm != 0);
    Ok(alarms
        .map(|one| Alarm {
            member: one.member_id,
            kind: match one.alarm {
                1 => AlarmKind::NoSpace,
                2 => AlarmKind::Corrupt,
                _ => AlarmKind::Other,
            },
        })
        .collect())
}

async fn bounded<T>(asked: impl Future<Output = Result<T, EtcdError>>) -> Result<T, EtcdError> {
    within(LIST_BOUND / 2, asked).await
}

async fn within<T>(
    bound: Duration,
    asked: impl Future<Output = Result<T, EtcdError>>,
) -> Result<T, EtcdError> {
    timeout(bound, asked).await.unwrap_or_else(|_| {
        let seconds = bound.as_secs_f32();
        Err(EtcdError::Silent(format!("no answer within {seconds} s")))
    })
}

/// `--quota-backend-bytes`: 0 is the default, less is no bound.
fn quota(pod: &StaticPod) -> Option<u64> {
    match pod.flag("quota-backend-bytes").map(str::parse::<i64>) {
        None | Some(Err(_) | Ok(0)) => Some(DEFAULT_QUOTA),
        Some(Ok(bytes)) => u64::try_from(bytes).ok(),
    }
}
