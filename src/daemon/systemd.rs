//! systemd's side of the daemon: ready, reloading, status, stopping, watchdog (sd_notify(3)).

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The notification socket. Without systemd every call does nothing.
#[derive(Debug)]
pub(super) struct Systemd {
    watchdog: Option<Duration>,
    last_pulse: Instant,
    last_status: String,
}

impl Systemd {
    /// Reads what systemd wants from the environment.
    pub(super) fn new() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            last_pulse: Instant::now(),
            last_status: String::new(),
        }
    }

    /// The daemon is up, or a reload is done.
    pub(super) fn ready(&self) {
        send(&[NotifyState::Ready]);
    }

    /// A reload begins; needs the clock that systemd compares with (sd_notify(3), RELOADING=1).
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(moment) => send(&[NotifyState::Reloading, moment]),
            Err(error) => tracing::warn!("systemd is not told of the reload: {error}"),
        }
    }

    /// The daemon is about to end.
    pub(super) fn stopping(&self) {
        send(&[NotifyState::Stopping]);
    }

    /// The line in `systemctl status`.
    pub(super) fn status(&mut self, text: &str) {
        // A line break would start another assignment of the protocol.
        let line: String = text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        if line != self.last_status {
            send(&[NotifyState::Status(&line)]);
            self.last_status = line;
        }
    }

    /// Asks for more time to stop: a restart in hand is bounded, but longer than systemd's patience.
    pub(super) fn extend_stop(&self, by: Duration) {
        let microseconds = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        send(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
    }

    /// Tells the watchdog that the daemon gets on. Called where progress is made and nowhere else, so that a loop that
    /// hangs stops the pulse; sends at most twice in an interval.
    pub(super) fn pulse(&mut self) {
        let Some(interval) = self.pulse_interval() else {
            return;
        };
        if self.last_pulse.elapsed() + Duration::from_secs(1) >= interval {
            send(&[NotifyState::Watchdog]);
            self.last_pulse = Instant::now();
        }
    }

    /// How often a pulse is due; `None` without a watchdog.
    pub(super) fn pulse_interval(&self) -> Option<Duration> {
        self.watchdog.map(|timeout| timeout / 2)
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd could not be notified: {error}");
    }
}
