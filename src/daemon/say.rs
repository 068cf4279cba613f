//! What the daemon says: in the journal, to systemd, and in the status file.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::aside::aside;
use super::held;
use super::outside::{Outside, Told};
use super::pass::Pass;
use super::service::Daemon;
use super::state::{About, State};
use crate::checks::{Check, Finding};
use crate::host::{now, shifted};
use crate::node::CertificateId;
use crate::operation::{Context, Remark};
use crate::pki::date;
use crate::plan::{Action, KubeletNeed, Obstacle, PlanItem};
use crate::report::{
    CertificateStatus, Coded, Failure, History, LastOperation, Next, Receipt, Status, count,
    fields, halted, metrics, write_metrics, write_status,
};

impl Daemon {
    /// Tells systemd that the daemon is ready, and the log what it watches.
    pub(super) fn announce(&self, pass: &Pass, state: &State) {
        self.systemd.ready();
        tracing::info!(
            "kubecertd {} watches {} certificates; {}",
            env!("CARGO_PKG_VERSION"),
            pass.inventory
                .entries
                .iter()
                .filter(|entry| entry.present().is_some())
                .count(),
            self.message(pass, state)
        );
    }

    /// Logs what is wrong on the node, each thing once until it changes.
    pub(super) fn complain(&mut self, pass: &Pass) {
        let mut now = self.odd_configuration.sentences(&pass.inventory);
        now.extend(sentences(pass));
        now.extend(pass.uses.notes(&pass.inventory));
        now.extend(self.halted());
        for sentence in &now {
            if !self.complaints.contains(sentence) {
                tracing::warn!("{sentence}");
            }
        }
        self.complaints = now;
    }

    /// What is wrong beside the node's files, one sentence each. It is logged where it is found.
    fn standing(&self, pass: &Pass) -> Vec<String> {
        let configuration = self.wrong_configuration.as_ref().map(|reason| {
            format!(
                "the configuration on disk is wrong and the one before stays in force: {reason}"
            )
        });
        configuration
            .into_iter()
            .chain(pass.others.problem.clone())
            .chain(self.halted())
            .collect()
    }

    /// Which control plane's failure holds all of them up, whether this one has anything to do or not.
    fn halted(&self) -> Option<String> {
        let halt = self.outside.as_ref()?.halt()?;
        Some(halted(&halt))
    }

    /// The line in `systemctl status`.
    pub(super) fn message(&self, pass: &Pass, state: &State) -> String {
        match state.about {
            About::Acting { .. } => pass.doing().unwrap_or_default(),
            About::Stopping => "Stopped".to_owned(),
            _ => {
                let mut message = self.outlook(pass, state);
                for problem in self.standing(pass) {
                    message.push_str(&format!("; {problem}"));
                }
                message
            }
        }
    }

    /// What comes next. It stands there for as long as nothing happens: it names moments, and counts down to none.
    fn outlook(&self, pass: &Pass, state: &State) -> String {
        if let Some(message) = held::message(&pass.held()) {
            return message;
        }
        if let Some(failure) = &state.failure
            && pass.has_work()
        {
            return format!(
                "Renewal failed, next attempt at {}: {failure}",
                retry_at(state).strftime("%b %d, %H:%M:%S UTC")
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

    /// Writes the status file, which may block, and tells systemd the same sentence.
    pub(super) async fn publish(&mut self, pass: &Pass, state: &State, message: &str) {
        let status = self.status(pass, state, message);
        let context = self.context.clone();
        let inventory = Arc::clone(&pass.inventory);
        let written = aside("status", move || async move {
            let receipts = receipts(&context);
            let mut status = Status {
                last_operation: receipts.last().map(LastOperation::of),
                ..status
            };
            let textfile = context.config.metrics.textfile.as_ref();
            let unwritten = textfile.and_then(|path| {
                let text = metrics(&status, &receipts, &inventory);
                write_metrics(&context.root.join(path), &text).err()
            });
            if let Some(error) = &unwritten {
                status.problems.push(error.to_string());
                status.findings.push(Coded {
                    code: error.code().to_owned(),
                    fields: None,
                    message: error.to_string(),
                });
            }
            let metrics = unwritten.map(|error| error.to_string());
            (write_status(&context.root, &status), metrics)
        });
        let (written, unwritten_metrics) = written.await;
        if let Some(reason) = &unwritten_metrics
            && unwritten_metrics != self.unwritten_metrics
        {
            tracing::warn!("the metrics are out of date: {reason}");
        }
        self.unwritten_metrics = unwritten_metrics;
        let unwritten = written.err().map(|error| error.to_string());
        if let Some(reason) = &unwritten
            && unwritten != self.unwritten_status
        {
            tracing::error!("`kubecertd status` is out of date: {reason}");
        }
        self.unwritten_status = unwritten;
        self.systemd.status(message);
        // While this node acts it has its turn to look after.
        if let Some(outside) = &self.outside
            && !matches!(state.about, About::Acting { .. } | About::Stopping)
        {
            outside.tell(Told {
                context: self.context.clone(),
                inventory: Arc::clone(&pass.inventory),
                plan: Arc::clone(&pass.plan),
                failure: state.failure.clone().filter(|_| pass.has_work()),
            });
            self.approving.tell(&self.context, &pass.inventory);
        }
    }

    /// Without the last operation, which has to be read.
    fn status(&self, pass: &Pass, state: &State, message: &str) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            updated: now(),
            state: state.word(),
            message: message.to_owned(),
            next: pass.plan.next_due.as_ref().map(|(at, id)| Next {
                at: *at,
                certificate: id.to_string(),
            }),
            certificates: pass
                .plan
                .items
                .iter()
                .map(|item| CertificateStatus {
                    in_use: pass.uses.of(&pass.inventory, &item.id),
                    ..certificate_status(item)
                })
                .collect(),
            last_operation: None,
            failure: state.failure.as_ref().map(|fault| Failure {
                reason: fault.text.clone(),
                code: Some(fault.code.to_owned()),
                attempts: state.retry.attempts(),
                retry_at: retry_at(state),
            }),
            halted: self.outside.as_ref().and_then(Outside::halt),
            approver: self.approving.seen(),
            pending: pass.uses.pending(),
            in_memory: pass.uses.own().status(),
            problems: self
                .standing(pass)
                .into_iter()
                .chain(self.odd_configuration.sentences(&pass.inventory))
                .chain(sentences(pass))
                .chain(pass.uses.notes(&pass.inventory))
                .collect(),
            findings: findings(pass)
                .map(Coded::from)
                .chain(pass.copies.iter().map(Remark::coded))
                .collect(),
        }
    }
}

/// When the next attempt may be made.
fn retry_at(state: &State) -> Timestamp {
    let remaining = state.retry.remaining(Instant::now());
    let remaining = SignedDuration::try_from(remaining).unwrap_or(SignedDuration::MAX);
    shifted(now(), remaining)
}

/// What was done on this node, by whomever. What is wrong with the history is a finding.
fn receipts(context: &Context) -> Vec<Receipt> {
    let receipts = History::new(&context.store()).receipts();
    receipts.unwrap_or_default()
}

fn certificate_status(item: &PlanItem) -> CertificateStatus {
    let (code, fields, reason) = match &item.action {
        Action::Renew(reason) => (Some(reason.code()), None, reason.to_string()),
        Action::Wait => (None, None, String::new()),
        Action::Leave(obstacle) => (
            Some(obstacle.code()),
            fields(obstacle),
            obstacle.said_of(&item.id),
        ),
    };
    CertificateStatus {
        name: item.id.to_string(),
        not_after: item.not_after,
        due_at: item.due_at,
        action: item.action.code().to_owned(),
        reason,
        code: code.map(str::to_owned),
        fields,
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
        .map(ToString::to_string);
    let obstacles = pass
        .plan
        .items
        .iter()
        .filter_map(|item| match &item.action {
            Action::Leave(Obstacle::NotManaged | Obstacle::Skipped { .. }) => None,
            // Said once, below.
            Action::Leave(Obstacle::NeedsRecovery(_))
                if matches!(pass.kubelet, KubeletNeed::Impossible(_)) =>
            {
                None
            }
            Action::Leave(Obstacle::Missing) if item.id == CertificateId::SUPER_ADMIN => None,
            Action::Leave(obstacle) => Some(format!(
                "{} is not renewed: {}",
                item.id,
                obstacle.said_of(&item.id)
            )),
            Action::Renew(_) | Action::Wait => None,
        });
    let kubelet = match &pass.kubelet {
        KubeletNeed::Impossible(reason) => Some(format!("the kubelet cannot start: {reason}")),
        _ => None,
    };
    problems
        .chain(obstacles)
        .chain(pass.order_problems.iter().cloned())
        .chain(pass.copies.iter().map(ToString::to_string))
        .chain(kubelet)
        .chain(findings(pass).map(ToString::to_string))
        .collect()
}

/// What is only to be known is said by the operation itself, but for what makes it fail later.
fn findings(pass: &Pass) -> impl Iterator<Item = &Finding> {
    pass.findings.iter().filter(|finding| {
        finding.keeps_something_from_being_done() || finding.check() == Check::Addresses
    })
}
