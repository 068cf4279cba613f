//! `kubecertd run`, for as long as the machine runs or for one pass.

use std::time::Instant;

use tokio::sync::watch;

use super::act::options;
use super::alive::{alive_while, beat};
use super::error::DaemonError;
use super::event_loop::EventLoop;
use super::look;
use super::odd_configuration::odd;
use super::others::Others;
use super::pass::Pass;
use super::service::Daemon;
use super::state::{About, State};
use super::stop::{StopSignals, stop_on_signal};
use super::systemd::Systemd;
use super::uses::Uses;
use crate::checks::Asked;
use crate::operation::{Context, EventLog, OperationError, RenewalReport, renew, repair_kubelet};
use crate::plan::Request;
use crate::report::Level;

/// Runs until SIGTERM or SIGINT, or one pass with `once`. SIGHUP reads the configuration again; `log` is what `log.level`
/// then changes.
///
/// # Errors
/// [`DaemonError`].
pub async fn run(context: Context, once: bool, log: Option<Level>) -> Result<(), DaemonError> {
    let stop = stop_on_signal(StopSignals::Daemon)?;
    let odd = odd(&context);
    let mut daemon = Daemon::new(context, log, odd);
    if once {
        return run_once(&mut daemon, &stop).await;
    }
    daemon.context.asks_again = true;
    let watchdog = Systemd::watchdog().map(beat).transpose();
    let watchdog = watchdog.map_err(|source| DaemonError::System {
        what: "time cannot be measured",
        source,
    })?;
    let work = async { EventLoop::begin(daemon, stop.clone()).await?.run().await };
    alive_while(work, watchdog, stop.clone(), Systemd::tell).await
}

/// Nobody waits for signs of life meanwhile.
async fn run_once(daemon: &mut Daemon, stop: &watch::Receiver<bool>) -> Result<(), DaemonError> {
    let context = daemon.context.clone();
    let mut pass = look::at_files(&context, Others::default(), Uses::default());
    if look::ask(&context, &mut pass).await {
        let failed = pass.order_problems;
        pass = look::at_files(&context, pass.others, pass.uses);
        pass.order_problems.extend(failed);
    }
    look::at_others(&context, &mut pass);
    look::at_copies(&context, &mut pass);
    look::look_for_filter(&context, &mut pass).await;
    daemon.complain(&pass);
    daemon.tidying.tidy(&context, &pass, Instant::now()).await;
    pass.look_whether_down(&context).await;
    let ended = renew_once(daemon, &pass, stop).await;
    // Nobody is left to correct what was said while it went on.
    let mut last = look::at_files(&context, pass.others, pass.uses);
    look::at_copies(&context, &mut last);
    let stopping = State::about(About::Stopping);
    let message = "Stopped after one pass";
    daemon.publish(&last, &stopping, message).await;
    let report = ended?;
    let failed = report.failed.iter().map(|one| one.id.to_string());
    let errors = report.errors.iter().map(ToString::to_string);
    let all: Vec<String> = failed.chain(errors).collect();
    if all.is_empty() {
        return Ok(());
    }
    Err(DaemonError::Incomplete(all.join("; ")))
}

/// Renews what is due, and finishes what was cut off; tries it also where nothing seems to be.
async fn renew_once(
    daemon: &mut Daemon,
    pass: &Pass,
    stop: &watch::Receiver<bool>,
) -> Result<RenewalReport, OperationError> {
    if pass.node_down {
        tracing::warn!("{}", super::state::GETTING_BACK);
    }
    if let Some(doing) = pass.doing() {
        let acting = State::about(About::Acting { cancelled: false });
        daemon.publish(pass, &acting, &doing).await;
    }
    let systemd = &mut daemon.systemd;
    let mut log = EventLog::default();
    let mut events = |event| {
        log.write(&event);
        systemd.status(&format!("{}: {event}", pass.verb()));
    };
    if pass.only_repairs_kubelet() {
        let asked = Asked::BySchedule;
        let repaired = repair_kubelet(&daemon.context, asked, stop, &mut events).await;
        return repaired.map(Option::unwrap_or_default);
    }
    let due = Request::Due;
    renew(&daemon.context, &due, &options(pass), stop, &mut events).await
}
