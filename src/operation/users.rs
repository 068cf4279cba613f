//! Those who use certificates that are not kubeadm's: told of new files once these are in place, and of the old ones where they
//! come back.
//!
//! Being told twice does no harm, so recovery tells everybody of whom the journal does not say that he was.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::event::Event;
use super::remark::Remark;
use super::report::RenewalReport;
use super::restarts::may_restart;
use super::run::Run;
use crate::config::{CertificateUser, RestartMode, UnitAction};
use crate::files::Operation;
use crate::host::stopped;
use crate::journal::{Record, TransactionError};
use crate::node::{CertificateId, Entry, Inventory};
use crate::plan::Plan;
use crate::report::PlanUser;
use crate::restart::RestartError;
use crate::runtime::{KubeletService, Told, UNIT_BOUND, tell_command, tell_unit};

/// Who is told of which certificates; a static pod is restarted like any other.
type Users = BTreeMap<(CertificateUser, UnitAction), Vec<CertificateId>>;

/// Writes into the journal, before any file is changed, whose users the operation will have to tell; `adopted` are those whom an
/// earlier one did not get to.
pub(super) fn announce_users<'a>(
    context: &Context,
    inventory: &Inventory,
    certificates: impl IntoIterator<Item = &'a CertificateId>,
    adopted: &[CertificateId],
    operation: &mut Operation<'_>,
) -> Result<(), TransactionError> {
    let own = certificates
        .into_iter()
        .filter(|id| described(inventory, id).is_some());
    let mut described: Vec<CertificateId> = adopted.to_vec();
    for id in own {
        if !described.contains(id) {
            described.push(id.clone());
        }
    }
    if described.is_empty() || !may_restart(context) {
        return Ok(());
    }
    operation.note(Record::UsersPlanned {
        certificates: described,
    })
}

/// The users of certificates who are told by no restart of a pod, in words.
pub(super) fn user_names<'a>(
    inventory: &Inventory,
    certificates: impl IntoIterator<Item = &'a CertificateId>,
) -> Vec<String> {
    let ids: Vec<CertificateId> = certificates.into_iter().cloned().collect();
    users(inventory, &ids)
        .keys()
        .filter_map(|(user, _)| user.in_words())
        .collect()
}

/// Who is told of what a plan renews.
#[must_use]
pub fn plan_users(context: &Context, inventory: &Inventory, plan: &Plan) -> Vec<PlanUser> {
    if context.config.restart.mode == RestartMode::None {
        return Vec::new();
    }
    let renewed: Vec<CertificateId> = plan.renewed().into_iter().cloned().collect();
    users(inventory, &renewed)
        .into_iter()
        .filter_map(|((user, action), certificates)| {
            Some(PlanUser {
                action: match (&user, action) {
                    (CertificateUser::Command(_), _) => "run",
                    (_, UnitAction::Reload) => "reload",
                    (_, UnitAction::Restart) => "restart",
                },
                user: user.in_words()?,
                certificates: certificates.iter().map(ToString::to_string).collect(),
            })
        })
        .collect()
}

/// How long telling the users of what a plan renews may take at most, way back included.
pub(super) fn longest(context: &Context, inventory: &Inventory, plan: &Plan) -> Duration {
    let renewed: Vec<CertificateId> = plan.renewed().into_iter().cloned().collect();
    let of_one = |(user, _): &(CertificateUser, UnitAction)| match user {
        CertificateUser::Unit(_) => UNIT_BOUND,
        CertificateUser::Command(_) => context.config.hooks.timeout,
        CertificateUser::StaticPod(_) | CertificateUser::Unsaid => Duration::ZERO,
    };
    users(inventory, &renewed)
        .keys()
        .map(of_one)
        .sum::<Duration>()
        * 2
}

/// Tells all users whom the operation owes that.
///
/// # Errors
/// The first who could not be told, or that this program was asked to stop.
pub(super) async fn tell_users(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    report: &mut RenewalReport,
) -> Result<(), RestartError> {
    let owed = operation.users_left();
    if owed.is_empty() {
        return Ok(());
    }
    let node = run.node();
    if !may_restart(run.context) {
        // Services and commands of this machine know nothing of another root's files.
        report.not_told.extend(user_names(&node, &owed));
        return Ok(());
    }
    let unknown: Vec<CertificateId> = owed
        .iter()
        .filter(|id| described(&node, id).is_none())
        .cloned()
        .collect();
    if !unknown.is_empty() {
        let remark = Remark::UsersUnknown {
            certificates: unknown.clone(),
        };
        run.remark(remark.clone());
        report.unproved.push(remark);
        operation.note(Record::Told {
            certificates: unknown,
        })?;
    }
    for ((user, action), certificates) in users(&node, &owed) {
        operation.note(Record::Telling {
            certificates: certificates.clone(),
        })?;
        if let Some(name) = user.in_words() {
            let told = tell(run, operation, (&user, action), &certificates).await?;
            run.emit(Event::UserTold {
                user: name,
                runs: told == Told::Done,
            });
        }
        operation.note(Record::Told { certificates })?;
    }
    Ok(())
}

async fn tell(
    run: &mut Run<'_>,
    operation: &Operation<'_>,
    (user, action): (&CertificateUser, UnitAction),
    certificates: &[CertificateId],
) -> Result<Told, RestartError> {
    let stop = run.stop;
    let told = match user {
        CertificateUser::Unit(unit) => {
            let machine = run.context.machine.as_ref();
            let service = machine.map_or_else(KubeletService::default, |one| one.kubelet.clone());
            tokio::select! {
                biased;
                () = stopped(stop) => return Err(RestartError::Stopped),
                told = tell_unit(service.units(), unit, action) => told,
            }
        }
        CertificateUser::Command(words) => {
            let names: Vec<&str> = certificates.iter().map(CertificateId::as_str).collect();
            let variables = [
                ("KUBECERTD_OPERATION", operation.id().to_owned()),
                ("KUBECERTD_CERTIFICATES", super::hooks::words(names)),
            ];
            let time = run.context.config.hooks.timeout;
            let name = user.in_words().unwrap_or_default();
            let events = run.events();
            let mut on_line = |_, line: &str| {
                events(Event::UserSaid {
                    user: name.clone(),
                    line: line.to_owned(),
                });
            };
            let told = tell_command(words, &variables, time, stop, &mut on_line).await;
            if told.is_err() && *stop.borrow() {
                return Err(RestartError::Stopped);
            }
            told.map(|()| Told::Done)
        }
        CertificateUser::StaticPod(_) | CertificateUser::Unsaid => Ok(Told::Done),
    };
    told.map_err(|reason| RestartError::UserNotTold {
        user: user.in_words().unwrap_or_default(),
        reason,
    })
}

fn users(inventory: &Inventory, certificates: &[CertificateId]) -> Users {
    let mut users = Users::new();
    for id in certificates {
        if let Some(entry) = described(inventory, id)
            && let Some(described) = &entry.described
        {
            let description = &described.description;
            let user = (description.user.clone(), description.unit_action());
            users.entry(user).or_default().push(id.clone());
        }
    }
    users
}

fn described<'node>(inventory: &'node Inventory, id: &CertificateId) -> Option<&'node Entry> {
    inventory
        .entry(id)
        .filter(|entry| entry.described.is_some())
}
