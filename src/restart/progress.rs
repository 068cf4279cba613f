//! What a restart tells while it goes on and when it is over.

use std::time::Duration;

use super::remedy::Remedy;
use crate::host::Wait;

/// What happens, for logs and the terminal.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Progress {
    /// Its manifest is out.
    ManifestOut {
        /// Which.
        component: String,
    },
    /// Its containers are gone.
    ContainersGone {
        /// Which.
        component: String,
        /// Since it went out.
        after: Duration,
    },
    /// Its containers, which made no move to end, or which the kubelet cannot be told of by manifest, are ended through
    /// the container runtime.
    ContainersEnding {
        /// Which.
        component: String,
    },
    /// It does not listen any more and was given time for the requests in flight: its containers are ended through the container
    /// runtime, with its manifest out.
    Drained {
        /// Which.
        component: String,
        /// What the requests were given.
        after: Duration,
    },
    /// The container runtime did not end it: it has the pod's own grace.
    EndingFailed {
        /// Which.
        component: String,
        /// What the runtime said.
        reason: String,
    },
    /// Its containers do not end although its manifest is out: all manifests are put back, and the pods restarted
    /// through the container runtime.
    NotEnding {
        /// Which.
        component: String,
        /// Since it went out.
        after: Duration,
    },
    /// It did not come back, so the next thing is tried.
    RemedyTried {
        /// Which.
        component: String,
        /// What is done.
        remedy: Remedy,
        /// Since it went out.
        after: Duration,
    },
    /// That could not be done.
    RemedyFailed {
        /// Which.
        component: String,
        /// What was tried.
        remedy: Remedy,
        /// Why not.
        reason: String,
    },
    /// The kubelet is being restarted.
    KubeletRestarting,
    /// The kubelet was restarted and answers.
    KubeletAnswers {
        /// Since the restart began.
        after: Duration,
    },
    /// Its manifest is back.
    ManifestBack {
        /// Which.
        component: String,
        /// Since it went out.
        after: Duration,
    },
    /// Its new container runs.
    ContainerRunning {
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

impl Progress {
    /// What it is about.
    #[must_use]
    pub fn component(&self) -> &str {
        match self {
            Self::ManifestOut { component }
            | Self::ContainersGone { component, .. }
            | Self::ContainersEnding { component }
            | Self::Drained { component, .. }
            | Self::EndingFailed { component, .. }
            | Self::NotEnding { component, .. }
            | Self::RemedyTried { component, .. }
            | Self::RemedyFailed { component, .. }
            | Self::ManifestBack { component, .. }
            | Self::ContainerRunning { component, .. }
            | Self::Healthy { component, .. }
            | Self::Waiting { component, .. } => component,
            Self::KubeletRestarting | Self::KubeletAnswers { .. } => "kubelet",
        }
    }

    /// Its code, which never changes: `manifest-out`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
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
    /// Whether it was out only for another pod's sake.
    #[serde(alias = "held_out")]
    pub out_meanwhile: bool,
    /// What was tried beyond the usual because it did not come back; the last of it helped.
    #[serde(default, alias = "rungs", skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
}

/// Whom progress is told.
pub(super) type OnProgress<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Says every few seconds that a wait goes on.
pub(super) fn report_waiting(
    wait: &mut Wait,
    component: &str,
    what: &str,
    progress: OnProgress<'_>,
) {
    if wait.is_to_be_reported() {
        progress(Progress::Waiting {
            component: component.to_owned(),
            what: what.to_owned(),
            since: wait.elapsed(),
            bound: wait.bound,
        });
    }
}
