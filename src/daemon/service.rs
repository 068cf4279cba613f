//! The daemon between two looks: it looks, and acts upon what it sees.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::act::renew_aside;
use super::held;
use super::others::Others;
use super::pass::Pass;
use super::retry::Retry;
use super::systemd::Systemd;
use super::tidy::Tidying;
use super::uses::Uses;
use crate::checks::{Asked, Finding, Intent};
use crate::journal::{TransactionError, Trigger};
use crate::operation::{
    Context, EventLog, OperationError, Options, RenewalReport, log_summary, look_ahead,
    look_at_addresses, preflight,
};
use crate::plan::kubelet_need;
use crate::report::{Level, State, in_words};

/// How long to wait for another kubecertd that holds the lock.
const BUSY_DELAY: Duration = Duration::from_secs(10);

/// The daemon between two looks.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) context: Context,
    /// How much is logged, where the configuration says it.
    pub(super) log: Option<Level>,
    pub(super) systemd: Systemd,
    pub(super) retry: Retry,
    pub(super) others: Others,
    /// Whether expired certificates had stopped the node at the last look.
    pub(super) was_stopped: bool,
    pub(super) started: Timestamp,
    pub(super) announced: bool,
    pub(super) last_failure: Option<String>,
    pub(super) complaints: Vec<String>,
    /// What is wrong with the configuration on disk, which is therefore not in force.
    pub(super) wrong_configuration: Option<String>,
    /// What is valid in the configuration and probably not meant.
    pub(super) odd_configuration: Vec<String>,
    /// Whether the certificates in the files are the ones in use.
    pub(super) uses: Uses,
    /// Why the status file is not as it should be.
    pub(super) unwritten_status: Option<String>,
    pub(super) tidying: Tidying,
}

impl Daemon {
    pub(super) fn new(
        context: Context,
        log: Option<Level>,
        odd_configuration: Vec<String>,
    ) -> Self {
        Self {
            odd_configuration,
            context,
            log,
            systemd: Systemd::default(),
            retry: Retry::default(),
            others: Others::default(),
            was_stopped: false,
            started: crate::host::now(),
            announced: false,
            last_failure: None,
            complaints: Vec::new(),
            wrong_configuration: None,
            uses: Uses::default(),
            unwritten_status: None,
            tidying: Tidying::default(),
        }
    }

    /// Observes and plans.
    pub(super) fn look(&self) -> Pass {
        let inventory = self.context.observe();
        let now = crate::host::now();
        let plan = self.context.plan_due(&inventory, now);
        let live = self.context.is_live();
        Pass {
            findings: preflight(&self.context, &inventory, &plan, live, Asked::BySchedule),
            stopped: false,
            kubelet: kubelet_need(&inventory, now),
            use_unseen: None,
            inventory,
            plan,
            unfinished: self.in_flight(),
        }
    }

    /// Looks whether a filter keeps the daemon from what it needs.
    pub(super) async fn look_at_addresses(&self, pass: &mut Pass) {
        let found = look_at_addresses(&self.context, &pass.inventory).await;
        pass.findings.extend(found);
    }

    /// Asks the node for what restarts need, where something is due; an operation asks again just before it begins.
    pub(super) async fn look_ahead(&self, pass: &mut Pass) {
        if pass.due() == 0 || pass.stopped || !pass.unfinished.is_empty() {
            return;
        }
        let before = self.context.config.renewal.before;
        let intent = Intent::of(&pass.inventory, &pass.plan, before, self.context.is_live());
        let asked = Asked::BySchedule;
        let found = look_ahead(&self.context, &pass.inventory, &intent, asked).await;
        pass.findings.extend(found);
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

    /// Whether the moment has come to do something.
    pub(super) fn may_act(&self, pass: &Pass) -> bool {
        pass.has_work()
            && pass.held().is_empty()
            && !self.others.at_work()
            && self.retry.permits(Instant::now())
    }

    /// Renews what is due and keeps what came of it.
    pub(super) async fn act(&mut self, pass: &Pass, stop: &watch::Receiver<bool>) {
        let result = self.renew(pass, stop).await;
        self.others.tried(self.in_flight());
        let now = Instant::now();
        let jitter = jitter();
        match result {
            Ok(report) if report.failed.is_empty() => {
                self.retry.succeeded(now);
                self.last_failure = None;
                log_summary(&self.context, report.operation.as_deref());
            }
            Ok(report) => {
                let reasons: Vec<&str> =
                    report.failed.iter().map(|(_, why)| why.as_str()).collect();
                self.last_failure = Some(reasons.join("; "));
                self.retry.failed(now, false, jitter);
                log_summary(&self.context, report.operation.as_deref());
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
            Err(error @ OperationError::RestartsWait { .. }) => {
                tracing::info!("{error}");
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

    /// Renews what was seen to be due.
    pub(super) async fn renew(
        &mut self,
        pass: &Pass,
        stop: &watch::Receiver<bool>,
    ) -> Result<RenewalReport, OperationError> {
        if pass.stopped {
            tracing::warn!("expired certificates have stopped this node: getting it back");
        }
        let options = Options {
            trigger: Trigger::Schedule,
            restart: true,
            stopped: pass.stopped,
        };
        let doing = pass.doing();
        if let Some(doing) = &doing {
            self.publish(pass, State::Renewing, doing);
        }
        let context = self.context.clone();
        let systemd = &mut self.systemd;
        let mut log = EventLog::default();
        let doing = if pass.due() == 0 && !pass.stopped {
            "Finishing"
        } else {
            "Renewing"
        };
        let mut events = |event| {
            log.write(&event);
            systemd.status(&format!("{doing}: {event}"));
        };
        renew_aside(&context, &options, stop, &mut events).await
    }
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// A number from 0 to 1 that differs between nodes and attempts; randomness is not needed for that.
fn jitter() -> f64 {
    f64::from(crate::host::now().subsec_nanosecond().unsigned_abs() % 1_000_000) / 1e6
}
