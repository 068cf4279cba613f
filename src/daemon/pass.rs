//! One look at the node, and what follows from it.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::events::EventLog;
use super::held;
use super::others::Others;
use super::retry::Retry;
use super::run::read_again;
use super::systemd::Systemd;
use crate::node::Inventory;
use crate::operation::{Context, OperationError, Options, RenewalReport, preflight, renew};
use crate::plan::{Action, KubeletNeed, Obstacle, Plan, Request, kubelet_need};
use crate::preflight::{Asked, Finding};
use crate::report::{
    CertificateStatus, Failure, LastOperation, Next, State, Status, in_words, write_status,
};
use crate::transaction::{TransactionError, Trigger};

/// How long to wait for another kubecertd that holds the lock.
const BUSY_DELAY: Duration = Duration::from_secs(10);

/// What one look at the node showed.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) inventory: Inventory,
    pub(super) plan: Plan,
    /// What speaks against an operation now.
    findings: Vec<Finding>,
    /// Operations that were cut off and must be finished, whatever is due; or why they cannot be listed.
    unfinished: Vec<String>,
    /// Expired certificates have stopped the node, and something can be done about it.
    pub(super) stopped: bool,
    /// What the kubelet needs to start.
    pub(super) kubelet: KubeletNeed,
}

/// The daemon between two looks.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) context: Context,
    pub(super) systemd: Systemd,
    pub(super) retry: Retry,
    pub(super) others: Others,
    started: Timestamp,
    announced: bool,
    last_operation: Option<LastOperation>,
    last_failure: Option<String>,
    complaints: Vec<String>,
}

impl Pass {
    /// Whether something is to be done.
    pub(super) fn has_work(&self) -> bool {
        !self.unfinished.is_empty() || self.stopped || self.due() > 0
    }

    /// What keeps the daemon from renewing what is due. Finishing what was cut off does not wait for it, nor does a node that
    /// expired certificates have stopped.
    fn held(&self) -> Vec<&Finding> {
        let wanted = self.due() > 0 && self.unfinished.is_empty() && !self.stopped;
        self.findings
            .iter()
            .filter(|finding| wanted && finding.blocks())
            .collect()
    }

    /// When to look again at that.
    pub(super) fn held_for(&self) -> Option<Duration> {
        held::look_again_after(&self.held())
    }

    pub(super) fn due(&self) -> usize {
        self.plan
            .items
            .iter()
            .filter(|item| matches!(item.action, Action::Renew(_)))
            .count()
    }
}

impl Daemon {
    pub(super) fn new(context: Context) -> Self {
        Self {
            context,
            systemd: Systemd::default(),
            retry: Retry::default(),
            others: Others::default(),
            started: Timestamp::now(),
            announced: false,
            last_operation: None,
            last_failure: None,
            complaints: Vec::new(),
        }
    }

    /// Observes and plans.
    pub(super) fn look(&self) -> Pass {
        let inventory = self.context.observe();
        let now = Timestamp::now();
        let plan = self.context.plan_due(&inventory, now);
        let live = self.context.is_live();
        Pass {
            findings: preflight(&self.context, &inventory, &plan, live, Asked::BySchedule),
            stopped: false,
            kubelet: kubelet_need(&inventory, now),
            inventory,
            plan,
            unfinished: self.in_flight(),
        }
    }

    /// What cannot be listed is tried as well, so that the attempt says why.
    fn in_flight(&self) -> Vec<String> {
        let listed = self.context.store().in_flight();
        listed.unwrap_or_else(|error| vec![error.to_string()])
    }

    /// Cares for what another process left behind.
    pub(super) fn look_at_others(&mut self, pass: &Pass) {
        if self
            .others
            .look(&self.context, &pass.inventory, &pass.unfinished)
        {
            self.retry.permit_now();
        }
    }

    /// Tells the journal, systemd and the status file what was seen.
    pub(super) fn report(&mut self, pass: &Pass) {
        self.complain(pass);
        let state =
            if held::is_refused(&pass.held()) || (self.last_failure.is_some() && pass.has_work()) {
                State::Failing
            } else {
                State::Waiting
            };
        let message = self.message(pass);
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

    /// Whether the moment has come to do something.
    pub(super) fn may_act(&self, pass: &Pass) -> bool {
        pass.has_work()
            && pass.held().is_empty()
            && !self.others.at_work()
            && self.retry.permits(Instant::now())
    }

    /// Renews what is due and keeps what came of it.
    pub(super) async fn act(&mut self, stop: &watch::Receiver<bool>) {
        let result = self.renew(stop).await;
        self.others.tried(self.in_flight());
        let now = Instant::now();
        let jitter = jitter();
        match result {
            Ok(report) if report.failed.is_empty() => {
                self.retry.succeeded(now);
                self.last_failure = None;
                self.remember(&report);
            }
            Ok(report) => {
                let reasons: Vec<&str> =
                    report.failed.iter().map(|(_, why)| why.as_str()).collect();
                self.last_failure = Some(reasons.join("; "));
                self.retry.failed(now, false, jitter);
                self.remember(&report);
            }
            Err(OperationError::Stopped) => {
                tracing::info!("{}", OperationError::Stopped);
            }
            Err(OperationError::Transaction(TransactionError::Busy { holder })) => {
                tracing::info!(
                    "waiting for another kubecertd{}",
                    holder
                        .map(|pid| format!(" (process {pid})"))
                        .unwrap_or_default()
                );
                self.retry.postpone(now, BUSY_DELAY);
            }
            Err(OperationError::NotNow(findings)) => {
                // What only has to be waited for is no failure.
                let refused: Vec<&Finding> = findings.iter().collect();
                self.last_failure = held::is_refused(&refused)
                    .then(|| OperationError::NotNow(findings).to_string());
                self.retry.postpone(now, held::SHORTLY);
            }
            Err(error) => {
                tracing::error!("{error}");
                self.retry.failed(now, error.disturbed_the_node(), jitter);
                tracing::info!(
                    "trying again {}",
                    in_words(signed(self.retry.remaining(now)))
                );
                self.last_failure = Some(error.to_string());
            }
        }
    }

    /// Renews what is due.
    pub(super) async fn renew(
        &mut self,
        stop: &watch::Receiver<bool>,
    ) -> Result<RenewalReport, OperationError> {
        let mut pass = self.look();
        self.look_closer(&mut pass).await;
        if pass.stopped {
            tracing::warn!("expired certificates have stopped this node: getting it back");
        }
        let options = Options {
            trigger: Trigger::Schedule,
            restart: true,
            stopped: pass.stopped,
        };
        self.publish(
            &pass,
            State::Renewing,
            &format!("Renewing: {} due", pass.due()),
        );
        let context = self.context.clone();
        let systemd = &mut self.systemd;
        let mut log = EventLog::default();
        let mut events = |event| {
            log.tell(&event);
            systemd.status(&format!("Renewing: {event}"));
        };
        renew(&context, &Request::Due, &options, stop, &mut events).await
    }

    /// Reads the configuration again because somebody asked; a wrong one is refused and the running one kept.
    pub(super) fn reload(&mut self) {
        self.systemd.reloading();
        match read_again(&self.context) {
            Ok(config) => {
                self.context.config = config;
                self.retry.permit_now();
                tracing::info!("configuration read again");
            }
            Err(reason) => {
                tracing::error!("configuration not changed, because it is wrong: {reason}")
            }
        }
        self.systemd.ready();
    }

    /// Reads the configuration again because files changed.
    pub(super) fn reload_if_changed(&mut self) {
        match read_again(&self.context) {
            Ok(config) if config == self.context.config => {}
            Ok(config) => {
                self.context.config = config;
                self.retry.permit_now();
                tracing::info!("configuration changed and read again");
            }
            Err(reason) => self.complain_once(format!(
                "configuration not changed, because it is wrong: {reason}"
            )),
        }
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
        let now = sentences(pass);
        for sentence in &now {
            if !self.complaints.contains(sentence) {
                tracing::warn!("{sentence}");
            }
        }
        self.complaints = now;
    }

    fn complain_once(&mut self, sentence: String) {
        if !self.complaints.contains(&sentence) {
            tracing::error!("{sentence}");
            self.complaints.push(sentence);
        }
    }

    fn remember(&mut self, report: &RenewalReport) {
        let Some(id) = &report.operation else {
            return;
        };
        let summary = format!(
            "renewed {} and restarted {} in {:.0} s",
            count(report.renewed.len(), "certificate"),
            count(report.restarts.len(), "pod"),
            report.duration.as_secs_f64()
        );
        tracing::info!(operation_id = id.as_str(), "{summary}");
        self.last_operation = Some(LastOperation {
            id: id.clone(),
            finished: Timestamp::now(),
            summary,
        });
    }

    /// The line in `systemctl status`.
    fn message(&self, pass: &Pass) -> String {
        let now = pass.plan.at;
        if let Some(message) = held::message(&pass.held()) {
            return message;
        }
        if let Some(failure) = &self.last_failure
            && pass.has_work()
        {
            let retry = signed(self.retry.remaining(Instant::now()));
            return format!(
                "Renewal failed, next attempt {}: {failure}",
                in_words(retry)
            );
        }
        if !self.context.config.renewal.enabled {
            return "Watching only, because renewal.enabled is false".to_owned();
        }
        match (&pass.plan.next_due, pass.due()) {
            (_, due) if due > 0 => format!("{} due now", count(due, "certificate")),
            (Some((moment, name)), _) => format!(
                "Next: {name} is renewed {} ({})",
                in_words(moment.duration_since(now)),
                moment.strftime("%b %d, %Y %H:%M UTC")
            ),
            (None, _) => "Nothing to renew on this node".to_owned(),
        }
    }

    fn publish(&mut self, pass: &Pass, state: State, message: &str) {
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            updated: Timestamp::now(),
            state,
            message: message.to_owned(),
            next: pass.plan.next_due.as_ref().map(|(at, name)| Next {
                at: *at,
                certificate: name.clone(),
            }),
            certificates: pass.plan.items.iter().map(certificate_status).collect(),
            last_operation: self.last_operation.clone(),
            failure: self.last_failure.as_ref().map(|reason| Failure {
                reason: reason.clone(),
                attempts: self.retry.attempts(),
                retry_at: Timestamp::now() + signed(self.retry.remaining(Instant::now())),
            }),
            problems: sentences(pass),
        };
        if let Err(error) = write_status(&self.context.root, &status) {
            self.complain_once(format!("`kubecertd status` is out of date: {error}"));
        }
        self.systemd.status(message);
    }
}

fn certificate_status(item: &crate::plan::PlanItem) -> CertificateStatus {
    let (action, reason) = match &item.action {
        Action::Renew(reason) => ("renew", reason.to_string()),
        Action::Wait => ("wait", String::new()),
        Action::Leave(obstacle) => ("leave", obstacle.to_string()),
    };
    CertificateStatus {
        name: item.name.clone(),
        not_after: item.not_after,
        due_at: item.due_at,
        action: action.to_owned(),
        reason,
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
            Action::Leave(Obstacle::Missing) if item.name == "super-admin.conf" => None,
            Action::Leave(obstacle) => Some(format!("{} is not renewed: {obstacle}", item.name)),
            Action::Renew(_) | Action::Wait => None,
        });
    let kubelet = match &pass.kubelet {
        KubeletNeed::Impossible(reason) => Some(format!("the kubelet cannot start: {reason}")),
        _ => None,
    };
    // What is only to be known is said by the operation itself.
    let findings = pass
        .findings
        .iter()
        .filter(|finding| finding.blocks())
        .map(|finding| finding.sentence.clone());
    problems
        .chain(obstacles)
        .chain(kubelet)
        .chain(findings)
        .collect()
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// A number from 0 to 1 that differs between nodes and attempts; randomness is not needed for that.
fn jitter() -> f64 {
    f64::from(Timestamp::now().subsec_nanosecond().unsigned_abs() % 1_000_000) / 1e6
}
