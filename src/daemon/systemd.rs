//! systemd's side of the daemon: ready, reloading, status, stopping, watchdog (sd_notify(3)).

use std::time::Duration;

use sd_notify::NotifyState;

use super::alive::Sign;
use crate::host::printable;

/// The notification socket. Without systemd every call does nothing.
#[derive(Debug, Default)]
pub(super) struct Systemd {
    last_status: String,
}

impl Systemd {
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
        let line = printable(text).into_owned();
        if line != self.last_status {
            send(&[NotifyState::Status(&line)]);
            self.last_status = line;
        }
    }

    /// After how long without a sign of life systemd ends the daemon; `None` without a watchdog.
    pub(super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    /// A sign of life, or the wish for more time to stop.
    pub(super) fn tell(sign: Sign) {
        match sign {
            Sign::Alive => send(&[NotifyState::Watchdog]),
            Sign::StopTakes(time) => {
                let microseconds = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
                send(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
            }
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd could not be notified: {error}");
    }
}
