//! What a restart tells while it goes on and when it is over.

use std::time::Duration;

/// What happens, for logs and the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Its manifest is out.
    Out {
        /// Which.
        component: String,
    },
    /// Its containers are gone.
    Gone {
        /// Which.
        component: String,
        /// Since it went out.
        after: Duration,
    },
    /// Its manifest is back.
    Back {
        /// Which.
        component: String,
        /// Since it went out.
        after: Duration,
    },
    /// Its new container runs.
    Running {
        /// Which.
        component: String,
        /// Since it went out.
        after: Duration,
    },
    /// It is healthy.
    Healthy {
        /// Which.
        component: String,
        /// Since it went out.
        after: Duration,
    },
    /// Still waiting; sent every few seconds of a long wait.
    Waiting {
        /// Which.
        component: String,
        /// For what, in words.
        what: String,
        /// Since the wait began.
        since: Duration,
        /// The bound.
        bound: Duration,
    },
}

/// How long each pod of a group took.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RestartReport {
    /// Which.
    pub component: String,
    /// From manifest out to containers gone, seconds.
    pub gone_seconds: f64,
    /// From manifest out to healthy, seconds.
    pub healthy_seconds: f64,
    /// Whether it was only held out for another pod's sake.
    pub held_out: bool,
}

/// Whom progress is told.
pub(super) type Teller<'a> = &'a mut (dyn FnMut(Progress) + Send);
