//! What the daemon says: in the journal, to systemd, and in the status file.

use std::time::Instant;

use jiff::Timestamp;

use super::held;
use super::pass::Pass;
use super::service::{Daemon, signed};
use crate::checks::Check;
use crate::host::{now, shifted};
use crate::operation::Context;
use crate::pki::date;
use crate::plan::{Action, KubeletNeed, Obstacle, PlanItem};
use crate::report::{
    CertificateStatus, Failure, History, LastOperation, Next, State, Status, count, write_status,
};

impl Daemon {
    /// Tells the journal, systemd and the status file what was seen.
    pub(super) fn report(&mut self, pass: &Pass) {
        self.complain(pass);
        let fails = held::is_refused(&pass.held())
            || self.others.problem.is_some()
            || (self.last_failure.is_some() && pass.has_work());
        let state = if fails {
            State::Failing
        } else {
            State::Waiting
        };
        let mut message = self.message(pass);
        for problem in self.standing() {
            message.push_str(&format!("; {problem}"));
        }
        self.publish(pass, state, &message);
        if !self.announced {
            self.announced = true;
            self.systemd.ready();
            tracing::info!(
                "kubecertd {} watches {} certificates; {message}",
                env!("CARGO_PKG_VERSION"),
                pass.inventory
                    .entries
                    .iter()
                    .filter(|entry| entry.present().is_some())
                    .count()
            );
        }
    }

    /// The last words of a single pass: nobody is left to correct what was said while it went on.
    pub(super) fn passed(&mut self) {
        let pass = self.look();
        self.publish(&pass, State::Stopped, "Stopped after one pass");
    }

    /// Last words.
    pub(super) fn stopped(&mut self) {
        self.systemd.stopping();
        let pass = self.look();
        self.publish(&pass, State::Stopped, "Stopped");
        tracing::info!("stopped");
    }

    /// Logs what is wrong on the node, each thing once until it changes.
    pub(super) fn complain(&mut self, pass: &Pass) {
        let mut now = self.odd_configuration.clone();
        now.extend(sentences(pass));
        now.extend(self.uses.notes(&pass.inventory));
        for sentence in &now {
            if !self.complaints.contains(sentence) {
                tracing::warn!("{sentence}");
            }
        }
        self.complaints = now;
    }

    /// What is wrong beside the node's files, one sentence each. It is logged where it is found.
    fn standing(&self) -> Vec<String> {
        let configuration = self.wrong_configuration.as_ref().map(|reason| {
            format!(
                "the configuration on disk is wrong and the one before stays in force: {reason}"
            )
        });
        configuration
            .into_iter()
            .chain(self.others.problem.clone())
            .collect()
    }

    /// The line in `systemctl status`. It stands there for as long as nothing happens: it names moments, and counts down to none.
    fn message(&self, pass: &Pass) -> String {
        if let Some(message) = held::message(&pass.held()) {
            return message;
        }
        if let Some(failure) = &self.last_failure
            && pass.has_work()
        {
            return format!(
                "Renewal failed, next attempt at {}: {failure}",
                self.retry_at().strftime("%b %d, %H:%M:%S UTC")
            );
        }
        if !pass.unfinished.is_empty() {
            return format!("Waiting to finish operation {}", pass.unfinished.join(", "));
        }
        if !self.context.config.renewal.enabled {
            return "Watching only, because renewal.enabled is false".to_owned();
        }
        match (&pass.plan.next_due, pass.due()) {
            (_, due) if due > 0 => format!("{} due now", count(due, "certificate")),
            (Some((moment, name)), _) => {
                format!("Next: renewal of {name} on {}", date(*moment))
            }
            (None, _) => "Nothing to renew on this node".to_owned(),
        }
    }

    /// When the next attempt may be made.
    fn retry_at(&self) -> Timestamp {
        shifted(now(), signed(self.retry.remaining(Instant::now())))
    }

    pub(super) fn publish(&mut self, pass: &Pass, state: State, message: &str) {
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            updated: crate::host::now(),
            state,
            message: message.to_owned(),
            next: pass.plan.next_due.as_ref().map(|(at, name)| Next {
                at: *at,
                certificate: name.clone(),
            }),
            certificates: pass
                .plan
                .items
                .iter()
                .map(|item| CertificateStatus {
                    in_use: self.uses.of(&pass.inventory, &item.name),
                    ..certificate_status(item)
                })
                .collect(),
            last_operation: last_operation(&self.context),
            failure: self.last_failure.as_ref().map(|reason| Failure {
                reason: reason.clone(),
                attempts: self.retry.attempts(),
                retry_at: self.retry_at(),
            }),
            problems: self
                .standing()
                .into_iter()
                .chain(self.odd_configuration.iter().cloned())
                .chain(sentences(pass))
                .chain(self.uses.notes(&pass.inventory))
                .collect(),
        };
        let unwritten = write_status(&self.context.root, &status)
            .err()
            .map(|error| error.to_string());
        if let Some(reason) = &unwritten
            && unwritten != self.unwritten_status
        {
            tracing::error!("`kubecertd status` is out of date: {reason}");
        }
        self.unwritten_status = unwritten;
        self.systemd.status(message);
    }
}

/// The last operation of anybody on this node. What is wrong with the history is a finding.
fn last_operation(context: &Context) -> Option<LastOperation> {
    let receipts = History::new(&context.store()).receipts().ok()?;
    receipts.last().map(LastOperation::of)
}

fn certificate_status(item: &PlanItem) -> CertificateStatus {
    let (action, reason) = match &item.action {
        Action::Renew(reason) => ("renew", reason.to_string()),
        Action::Wait => ("wait", String::new()),
        Action::Leave(obstacle) => ("leave", obstacle.said_of(&item.name)),
    };
    CertificateStatus {
        name: item.name.clone(),
        not_after: item.not_after,
        due_at: item.due_at,
        action: action.to_owned(),
        reason,
        in_use: None,
    }
}

/// What is wrong, one sentence each: unreadable files, due certificates that cannot be renewed, what holds a renewal up.
fn sentences(pass: &Pass) -> Vec<String> {
    let problems = pass
        .inventory
        .problems
        .iter()
        .chain(&pass.inventory.kubelet.problems)
        .map(|problem| format!("{}: {}", problem.path.display(), problem.reason));
    let obstacles = pass
        .plan
        .items
        .iter()
        .filter_map(|item| match &item.action {
            Action::Leave(Obstacle::NotManaged | Obstacle::Skipped) => None,
            // Said once, below.
            Action::Leave(Obstacle::NeedsRecovery(_))
                if matches!(pass.kubelet, KubeletNeed::Impossible(_)) =>
            {
                None
            }
            Action::Leave(Obstacle::Missing) if item.name == "super-admin.conf" => None,
            Action::Leave(obstacle) => Some(format!(
                "{} is not renewed: {}",
                item.name,
                obstacle.said_of(&item.name)
            )),
            Action::Renew(_) | Action::Wait => None,
        });
    let kubelet = match &pass.kubelet {
        KubeletNeed::Impossible(reason) => Some(format!("the kubelet cannot start: {reason}")),
        _ => None,
    };
    // What is only to be known is said by the operation itself, but for what makes it fail later.
    let findings = pass
        .findings
        .iter()
        .filter(|finding| {
            finding.keeps_something_from_being_done() || finding.check() == Check::Addresses
        })
        .map(|finding| finding.to_string());
    problems
        .chain(obstacles)
        .chain(kubelet)
        .chain(findings)
        .collect()
}
