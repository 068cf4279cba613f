//! Being asked to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::error::DaemonError;

/// Who is to be stopped by signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignals {
    /// The daemon, for which SIGHUP means something else.
    Daemon,
    /// A command, which may lose its terminal.
    Command,
}

/// The arrivals of one signal.
///
/// # Errors
/// [`DaemonError::System`].
pub(super) fn listen(kind: SignalKind) -> Result<Signal, DaemonError> {
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
