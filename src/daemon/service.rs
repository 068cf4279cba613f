//! What the daemon keeps besides its state: the configuration in force, and what it has already said.

use jiff::Timestamp;

use super::approver::Approving;
use super::odd_configuration::OddConfiguration;
use super::outside::Outside;
use super::systemd::Systemd;
use super::tidy::Tidying;
use crate::operation::Context;
use crate::report::Level;

/// The daemon without what it is about.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) context: Context,
    /// How much is logged, where the configuration says it.
    pub(super) log: Option<Level>,
    pub(super) systemd: Systemd,
    pub(super) started: Timestamp,
    /// What was wrong on the node when that was logged last, one sentence each.
    pub(super) complaints: Vec<String>,
    /// What is wrong with the configuration on disk, which is therefore not in force.
    pub(super) wrong_configuration: Option<String>,
    /// What is valid in the configuration and probably not meant.
    pub(super) odd_configuration: OddConfiguration,
    /// Why the status file is not as it should be.
    pub(super) unwritten_status: Option<String>,
    /// Why the metrics are not as they should be.
    pub(super) unwritten_metrics: Option<String>,
    pub(super) tidying: Tidying,
    /// What hears of the other control planes; `None` for one pass, and where this is no running node.
    pub(super) outside: Option<Outside>,
    /// What judges kubelets' requests, where the configuration wants that.
    pub(super) approving: Approving,
}

impl Daemon {
    pub(super) fn new(
        context: Context,
        log: Option<Level>,
        odd_configuration: OddConfiguration,
    ) -> Self {
        Self {
            context,
            log,
            systemd: Systemd::default(),
            started: crate::host::now(),
            complaints: Vec::new(),
            wrong_configuration: None,
            odd_configuration,
            unwritten_status: None,
            unwritten_metrics: None,
            tidying: Tidying::default(),
            outside: None,
            approving: Approving::default(),
        }
    }
}
