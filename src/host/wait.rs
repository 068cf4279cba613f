//! Waiting with a bound, and asking neither too often nor too seldom.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// What is waited for comes twice in a restart, its end and its health, and each pause may be lost whole.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How often a long wait is told of.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Pauses between looks: short at first, as most things happen at once.
#[derive(Debug)]
pub(crate) struct Pace {
    pause: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { pause: FIRST_PAUSE }
    }

    pub(crate) async fn pause(&mut self) {
        sleep(self.pause).await;
        self.pause = (self.pause * 5 / 4).min(LONGEST_PAUSE);
    }
}

/// One wait with its bound.
#[derive(Debug)]
pub(crate) struct Wait {
    since: Instant,
    told: Instant,
    pub(crate) bound: Duration,
}

impl Wait {
    pub(crate) fn begin(bound: Duration) -> Self {
        let now = Instant::now();
        Self {
            since: now,
            told: now,
            bound,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.elapsed() >= self.bound
    }

    /// Whether it is time to say again that the wait goes on.
    pub(crate) fn is_to_be_reported(&mut self) -> bool {
        let due = self.told.elapsed() >= TELL_EVERY;
        if due {
            self.told = Instant::now();
        }
        due
    }
}

/// Ends when the value becomes true; never when nobody can set it any more.
pub(crate) async fn stopped(stop: &watch::Receiver<bool>) {
    let mut stop = stop.clone();
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
