//! An administrator's hooks, run at their moments of an operation.

use std::time::Duration;

use super::Context;
use super::ending::Ending;
use super::event::Event;
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use crate::checks::{Asked, Cause, Finding, Severity};
use crate::files::Operation;
use crate::host::printable;
use crate::journal::{OperationKind, Record, TransactionError, Trigger};
use crate::node::CertificateId;
use crate::runtime::{Hook, Hooks, Moment};

/// The hooks that an operation would run now, in their order. `restart`: whether it restarts pods.
#[must_use]
pub fn hooks(context: &Context, restart: bool) -> Vec<Hook> {
    if !context.is_live() {
        return Vec::new();
    }
    let is_run =
        |moment: &Moment| restart || !matches!(moment, Moment::PreRestart | Moment::PostRestart);
    Moment::ALL
        .into_iter()
        .filter(is_run)
        .flat_map(|moment| Hooks::of(&context.root, moment).fit)
        .collect()
}

/// How long they may take, all together.
pub(super) fn longest(context: &Context, restart: bool) -> Duration {
    let count = u32::try_from(hooks(context, restart).len()).unwrap_or(u32::MAX);
    context.config.hooks.timeout.saturating_mul(count)
}

/// The hooks of one operation: what they are told, and which of them have been begun. Those after it are run wherever those before it
/// were begun, however it ended.
pub(super) struct OperationHooks {
    variables: Vec<(&'static str, String)>,
    asked: Asked,
    begun: Vec<Moment>,
    /// Whether one that fails before the operation stops it.
    is_binding: bool,
}

impl OperationHooks {
    /// Of an operation that concerns these certificates and components.
    pub(super) fn of<'a>(
        run: &mut Run<'_>,
        operation: &Operation<'_>,
        certificates: impl IntoIterator<Item = &'a CertificateId>,
        components: &[String],
    ) -> Self {
        let names = certificates.into_iter().map(CertificateId::as_str);
        let (asked, trigger) = match operation.trigger() {
            Trigger::Schedule => (Asked::BySchedule, "schedule"),
            Trigger::Command(command) => (Asked::ByHand { force: false }, command.as_str()),
        };
        let kind = match operation.kind() {
            OperationKind::Renew => "renew",
            OperationKind::RollBack => "roll-back",
            OperationKind::Restart => "restart",
            OperationKind::Extend => "extend",
        };
        let node = run.node();
        let variables = vec![
            ("KUBECERTD_OPERATION", operation.id().to_owned()),
            ("KUBECERTD_KIND", kind.to_owned()),
            ("KUBECERTD_TRIGGER", word(trigger)),
            (
                "KUBECERTD_NODE",
                word(node.node_name.as_deref().unwrap_or_default()),
            ),
            ("KUBECERTD_CERTIFICATES", words(names)),
            (
                "KUBECERTD_COMPONENTS",
                words(components.iter().map(String::as_str)),
            ),
        ];
        Self {
            variables,
            asked,
            begun: Vec::new(),
            is_binding: true,
        }
    }

    /// The same on a node that expired certificates have stopped: nothing is left there that a hook could protect, so one that fails
    /// is said and stops nothing.
    pub(super) fn binding(mut self, is_binding: bool) -> Self {
        self.is_binding = is_binding;
        self
    }

    /// An earlier life of the operation ran those of this moment.
    pub(super) fn begun_before(&mut self, moment: Moment) {
        if !self.begun.contains(&moment) {
            self.begun.push(moment);
        }
    }

    /// Writes down that those of a moment before the operation are about to be run, if there are any: whatever ends this program then,
    /// recovery runs those after it.
    ///
    /// # Errors
    /// [`TransactionError`]; then none of them is to be run.
    pub(super) fn announce(
        &self,
        context: &Context,
        operation: &mut Operation<'_>,
        moment: Moment,
    ) -> Result<(), TransactionError> {
        if self.found(context, moment).fit.is_empty() {
            return Ok(());
        }
        operation.note(Record::HooksBegun {
            moment: moment.name().to_owned(),
        })
    }

    /// Runs those of a moment before the operation, one after the other.
    ///
    /// # Errors
    /// What the first of them failed for, or what lies there and cannot be run; the operation is not to be begun then.
    pub(super) async fn before(
        &mut self,
        run: &mut Run<'_>,
        moment: Moment,
        report: &mut RenewalReport,
    ) -> Result<(), Finding> {
        let found = self.found(run.context, moment);
        let mut failed = found.unfit;
        if failed.is_empty() {
            self.begun_before(moment);
            for hook in found.fit {
                if let Err(cause) = self.run(run, &hook, &[], true).await {
                    failed.push(cause);
                    break;
                }
            }
        }
        for cause in failed {
            if self.is_binding {
                return Err(Finding::new(cause, Severity::Refuse, self.asked));
            }
            self.said(run, cause, report);
        }
        Ok(())
    }

    /// Runs those after an operation that ended so, for each moment before it of which any were begun. What goes wrong is said.
    pub(super) async fn after(
        &self,
        run: &mut Run<'_>,
        ending: &Ending,
        report: &mut RenewalReport,
    ) {
        let error = ending.code().unwrap_or_default();
        let result = [
            ("KUBECERTD_RESULT", ending.outcome().code().to_owned()),
            ("KUBECERTD_ERROR", error.to_owned()),
        ];
        let pairs = [
            (Moment::PreRestart, Moment::PostRestart),
            (Moment::PreRenew, Moment::PostRenew),
        ];
        for (before, after) in pairs {
            if !self.begun.contains(&before) {
                continue;
            }
            let found = self.found(run.context, after);
            for cause in found.unfit {
                self.said(run, cause, report);
            }
            for hook in found.fit {
                if let Err(cause) = self.run(run, &hook, &result, false).await {
                    self.said(run, cause, report);
                }
            }
        }
    }

    fn found(&self, context: &Context, moment: Moment) -> Found {
        if !context.is_live() {
            return Found::default();
        }
        let hooks = Hooks::of(&context.root, moment);
        Found {
            unfit: hooks.unfit.iter().map(Cause::from).collect(),
            fit: hooks.fit,
        }
    }

    fn said(&self, run: &mut Run<'_>, cause: Cause, report: &mut RenewalReport) {
        let remark = Remark::from(Finding::new(cause, Severity::Warn, self.asked));
        run.remark(remark.clone());
        report.warnings.push(remark);
    }

    /// Runs one. `is_stopped`: whether a stop of this program ends it early.
    async fn run(
        &self,
        run: &mut Run<'_>,
        hook: &Hook,
        more: &[(&'static str, String)],
        is_stopped: bool,
    ) -> Result<(), Cause> {
        let name = hook.name();
        run.emit(Event::HookRunning { hook: name.clone() });
        let moment = ("KUBECERTD_MOMENT", hook.moment.name().to_owned());
        let variables = [&[moment], self.variables.as_slice(), more].concat();
        let (time, stop) = (run.context.config.hooks.timeout, run.stop);
        let events = run.events();
        let mut on_line = |_, line: &str| {
            events(Event::HookSaid {
                hook: name.clone(),
                line: line.to_owned(),
            });
        };
        let ended = hook
            .run(&variables, time, is_stopped.then_some(stop), &mut on_line)
            .await;
        match ended {
            Ok(ended) => {
                run.emit(Event::HookDone {
                    hook: name,
                    after: ended.after,
                    is_cut: ended.is_cut,
                });
                Ok(())
            }
            Err(reason) => Err(Cause::HookFailed { hook: name, reason }),
        }
    }
}

/// What there is for a moment.
#[derive(Default)]
struct Found {
    fit: Vec<Hook>,
    unfit: Vec<Cause>,
}

/// One value of a variable, without anything that is more than a letter to a shell's `read`.
fn word(text: &str) -> String {
    printable(text).into_owned()
}

/// Several, separated by spaces; a space in one is written as an escape.
pub(super) fn words<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<String> = all
        .into_iter()
        .map(|one| word(one).replace(' ', "\\u0020"))
        .collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_apart_at_its_spaces_whatever_is_in_it() {
        assert_eq!(words(["apiserver", "etcd/server"]), "apiserver etcd/server");
        assert_eq!(words(["a b", "c\nd"]), "a\\u0020b c\\nd");
        assert_eq!(words([]), "");
    }
}
