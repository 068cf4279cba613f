//! The event loop.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::alive::{alive_while, beat};
use super::clock::{Alarm, Wake};
use super::configuration::odd;
use super::pass::Pass;
use super::service::Daemon;
use super::systemd::Systemd;
use super::watch::{Watches, directories};
use crate::host::{now, shifted};
use crate::operation::{Context, OperationError};
use crate::report::{Level, status_file};

/// The whole node is read again at least this often, whatever the watches say.
const SCAN_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// After a hint, changes are given this long to settle: programs write files in several steps.
const SETTLE: Duration = Duration::from_secs(2);

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Something that the event loop cannot do without.
    #[error("{what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// With `--once`: the pass failed.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// With `--once`: some of what was due was not renewed.
    #[error("not renewed: {0}")]
    Incomplete(String),
}

/// Who is to be stopped by signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignals {
    /// The daemon, for which SIGHUP means something else.
    Daemon,
    /// A command, which may lose its terminal.
    Command,
}

/// What ended a wait.
enum Woken {
    Stop,
    Reload,
    Files,
    Clock(Wake),
    Retry,
    Others,
}

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
    let watchdog = Systemd::watchdog().map(beat).transpose();
    let watchdog = watchdog.map_err(|source| DaemonError::System {
        what: "time cannot be measured",
        source,
    })?;
    let work = run_until(&mut daemon, &stop);
    alive_while(work, watchdog, stop.clone(), Systemd::tell).await
}

/// The loop itself, until `stop`.
async fn run_until(daemon: &mut Daemon, stop: &watch::Receiver<bool>) -> Result<(), DaemonError> {
    let mut reloads = listen(SignalKind::hangup())?;
    let alarm = Alarm::new().map_err(|source| DaemonError::System {
        what: "the clock cannot be waited for",
        source,
    })?;
    let mut watches = Watches::new(status_file(&daemon.context.root));
    let mut stopping = stop.clone();
    loop {
        watches.drain();
        let mut pass = daemon.look();
        watches.set(&directories(&daemon.context, &pass.inventory));
        daemon.look_at_others(&pass);
        if *stop.borrow() {
            break;
        }
        if !daemon.announced {
            // systemd need not wait for what others answer.
            daemon.report(&pass);
        }
        let is_new = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => break,
            is_new = async {
                // Before anything is said: what is not found again is said again.
                daemon.look_at_addresses(&mut pass).await;
                daemon.uses.look(&daemon.context, &mut pass).await
            } => is_new,
        };
        if is_new {
            daemon.report(&pass);
        }
        daemon.look_closer(&mut pass).await;
        daemon.look_ahead(&mut pass).await;
        daemon.report(&pass);
        daemon.hurry_if_stopped(&pass);
        daemon.tidying.tidy(&daemon.context, &pass, Instant::now());
        if daemon.may_act(&pass) {
            daemon.act(&pass, stop).await;
            continue;
        }
        let reason = wait(
            daemon,
            &pass,
            &alarm,
            &mut watches,
            &mut reloads,
            &mut stopping,
        )
        .await?;
        match reason {
            Woken::Stop => break,
            Woken::Reload => daemon.reload(),
            Woken::Files => {
                tokio::select! {
                    _ = stopping.wait_for(|stop| *stop) => break,
                    () = tokio::time::sleep(SETTLE) => daemon.reload_if_changed(),
                }
            }
            Woken::Clock(wake) => {
                if wake == Wake::ClockChanged {
                    tracing::info!("the clock was set or the machine slept; planning again");
                }
                daemon.reload_if_changed();
            }
            Woken::Retry | Woken::Others => daemon.reload_if_changed(),
        }
    }
    daemon.stopped();
    Ok(())
}

async fn run_once(daemon: &mut Daemon, stop: &watch::Receiver<bool>) -> Result<(), DaemonError> {
    let mut pass = daemon.look();
    daemon.look_at_others(&pass);
    daemon.look_at_addresses(&mut pass).await;
    daemon.complain(&pass);
    daemon.tidying.tidy(&daemon.context, &pass, Instant::now());
    daemon.look_closer(&mut pass).await;
    let ended = daemon.renew(&pass, stop).await;
    daemon.passed();
    let report = ended?;
    if report.failed.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = report.failed.into_iter().map(|(name, _)| name).collect();
    Err(DaemonError::Incomplete(names.join(", ")))
}

/// Sleeps until something happens that could change the plan.
async fn wait(
    daemon: &mut Daemon,
    pass: &Pass,
    alarm: &Alarm,
    watches: &mut Watches,
    reloads: &mut Signal,
    stopping: &mut watch::Receiver<bool>,
) -> Result<Woken, DaemonError> {
    let scan = shifted(now(), SCAN_INTERVAL);
    let due = pass.plan.next_due.as_ref().map(|(moment, _)| *moment);
    let system = |source| DaemonError::System {
        what: "the clock cannot be waited for",
        source,
    };
    let moment = due.map_or(scan, |moment| moment.min(scan));
    if let Some(wake) = alarm.set(moment).map_err(system)? {
        return Ok(Woken::Clock(wake));
    }
    // A moment and not a duration: a look at others does not begin the wait anew.
    let now = Instant::now();
    let may_try = pass.has_work() && !daemon.others.at_work();
    let retry = pass
        .held_for(crate::host::now())
        .or_else(|| may_try.then(|| daemon.retry.remaining(now)))
        .into_iter()
        .chain(pass.look_again_after())
        .chain(pass.use_unseen)
        .chain(daemon.uses.look_again_after())
        .min()
        .map(|pause| now + pause);
    loop {
        let retry = retry.map(|moment| moment.saturating_duration_since(Instant::now()));
        let woken = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => Woken::Stop,
            _ = reloads.recv() => Woken::Reload,
            () = watches.hint() => Woken::Files,
            wake = alarm.wait() => Woken::Clock(wake.map_err(system)?),
            () = sleep_or_forever(retry) => Woken::Retry,
            () = sleep_or_forever(daemon.others.pause()) => Woken::Others,
        };
        match woken {
            Woken::Others if daemon.others.are_still_at_work(&daemon.context) => {}
            other => return Ok(other),
        }
    }
}

async fn sleep_or_forever(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

fn listen(kind: SignalKind) -> Result<Signal, DaemonError> {
    signal(kind).map_err(|source| DaemonError::System {
        what: "signals cannot be received",
        source,
    })
}

/// Whether this process was started with SIGHUP ignored: the lowest bit of `SigIgn` in proc_pid_status(5).
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

/// A value that becomes true with the first SIGTERM or SIGINT, and for a command also with the SIGHUP of a terminal that is
/// gone; an operation in hand looks at it too.
///
/// # Errors
/// [`DaemonError::System`].
pub fn stop_on_signal(of: StopSignals) -> Result<watch::Receiver<bool>, DaemonError> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = match of {
        StopSignals::Daemon => None,
        // nohup(1) means it.
        StopSignals::Command if hangups_are_ignored() => None,
        StopSignals::Command => Some(listen(SignalKind::hangup())?),
    };
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hung_up => {}
        }
        tracing::info!("asked to stop");
        // Nobody listens any more only when the program is ending anyway.
        let _ = sender.send(true);
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}
