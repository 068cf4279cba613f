//! What every operation needs to know.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::kept_configuration::own_configuration;
use crate::cluster::Known;
use crate::config::Config;
use crate::host::{Journald, Root};
use crate::journal::{Head, OperationKind, Outcome, Store};
use crate::node::{Inventory, observe, observe_to_report};
use crate::orders::{Looked, look};
use crate::plan::{Hold, Plan, Request, UnknownName, plan_awaiting, plan_due};
use crate::report::{History, Status, read_status};
use crate::runtime::KubeletService;

/// The node, the configuration and kubecertd's own state directory.
#[derive(Debug, Clone)]
pub struct Context {
    /// The directory that stands for `/`.
    pub root: Root,
    /// The checked configuration.
    pub config: Config,
    /// The configuration file given by hand, if any.
    pub config_file: Option<PathBuf>,
    /// What runs on this root; `None` for a copy or an image of a node.
    pub machine: Option<Machine>,
    /// This machine's journal, where what is done here belongs into it.
    pub journald: Option<Journald>,
    /// How long the components have, all together, to show that they use the new certificates.
    pub proof_bound: Duration,
    /// Whether this process goes on after its operations and asks components again which could not show yet what they use.
    pub asks_again: bool,
}

/// A slow machine that was just switched on has its API server up by then.
const PROOF_BOUND: Duration = Duration::from_secs(90);

/// The parts of a running node that do not lie below its root.
#[derive(Debug, Clone)]
pub struct Machine {
    /// systemd's hold on the kubelet.
    pub kubelet: KubeletService,
    /// The directory that lists the processes.
    pub processes: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            kubelet: KubeletService::default(),
            processes: PathBuf::from("/proc"),
        }
    }
}

impl Context {
    /// Of a root: this machine runs on its own, and nothing on any other.
    #[must_use]
    pub fn new(root: Root, config: Config, config_file: Option<PathBuf>) -> Self {
        Self {
            machine: root.is_system().then(Machine::default),
            journald: root.is_system().then(Journald::default),
            root,
            config,
            config_file,
            proof_bound: PROOF_BOUND,
            asks_again: false,
        }
    }

    /// The state directory.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(&self.root)
    }

    /// Whether components that could not show yet what they use are asked again: by this process, or by the daemon that runs.
    pub(super) fn are_asked_again(&self) -> bool {
        let another = |status: Status| status.is_running() && status.pid != std::process::id();
        self.asks_again || read_status(&self.root).is_ok_and(another)
    }

    /// Where the history ends now; `None` where that cannot be read.
    pub(super) fn history_head(&self) -> Option<Head> {
        let head = History::new(&self.store()).head();
        head.inspect_err(|error| tracing::debug!(%error, "where the history ends is not known"))
            .ok()
    }

    /// What is on the node now.
    #[must_use]
    pub fn observe(&self) -> Inventory {
        let mut inventory = observe(&self.root, &self.config.locations);
        self.add_known(&mut inventory);
        inventory
    }

    /// What was found out of the cluster before.
    fn add_known(&self, inventory: &mut Inventory) {
        let known = Known::read(&self.store());
        inventory.other_control_planes |= !known.others.is_empty();
        inventory.cluster = own_configuration(&known, inventory);
    }

    /// The same for a report, from which no plan follows.
    #[must_use]
    pub fn observe_to_report(&self) -> Inventory {
        let mut inventory = observe_to_report(&self.root, &self.config.locations);
        self.add_known(&mut inventory);
        inventory
    }

    /// What is to be done at `now`.
    ///
    /// # Errors
    /// [`UnknownName`].
    pub fn plan(
        &self,
        inventory: &Inventory,
        request: &Request,
        now: Timestamp,
    ) -> Result<Plan, UnknownName> {
        match request {
            Request::Due => Ok(self.plan_due(inventory, now)),
            Request::DueByHand { .. } | Request::All { .. } | Request::Named { .. } => {
                let looked = look(&self.root, inventory, &self.config, now);
                plan_awaiting(inventory, &self.config, request, looked.awaited(), now)
            }
        }
    }

    /// What the daemon does at `now`: what is due and was not rolled back by hand a moment ago.
    #[must_use]
    pub fn plan_due(&self, inventory: &Inventory, now: Timestamp) -> Plan {
        let looked = look(&self.root, inventory, &self.config, now);
        self.plan_with(inventory, &looked, now)
    }

    /// The same where open requests were looked at already.
    #[must_use]
    pub fn plan_with(&self, inventory: &Inventory, looked: &Looked, now: Timestamp) -> Plan {
        let holds = holds(&self.store());
        plan_due(inventory, &self.config, &holds, looked.awaited(), now)
    }

    /// Whether pods can be restarted and components asked: only on the node itself, not on a copy or an image of it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.machine.is_some()
    }
}

/// What was rolled back by hand, from the receipts.
pub(super) fn holds(store: &Store) -> Vec<Hold> {
    let entries = History::new(store).entries().unwrap_or_else(|error| {
        tracing::debug!(%error, "what was rolled back by hand is not known");
        Vec::new()
    });
    entries
        .into_iter()
        .flatten()
        .filter(|receipt| {
            receipt.kind() == OperationKind::RollBack
                // One that failed may have its files in place; a serial that is not there holds nothing.
                && matches!(receipt.outcome, Outcome::Done | Outcome::Failed(_))
        })
        .flat_map(|receipt| {
            let since = receipt.finished;
            receipt.certificates.into_iter().map(move |one| Hold {
                id: one.id,
                serial: one.new_serial,
                since,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::report::{State, write_status};

    #[test]
    fn only_another_process_that_runs_or_a_daemon_itself_asks_again() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let mut context = Context::new(root, Config::default(), None);
        assert!(!context.are_asked_again(), "no daemon has run");
        let parent = nix::unistd::Pid::parent().as_raw().unsigned_abs();
        for (pid, state, wanted) in [
            (parent, State::Waiting, true),
            (parent, State::Stopped, false),
            // `run --once`, which ends after this.
            (std::process::id(), State::Renewing, false),
        ] {
            let now = crate::host::now();
            let status = Status {
                version: "0".to_owned(),
                pid,
                started: now,
                updated: now,
                state,
                message: String::new(),
                next: None,
                certificates: Vec::new(),
                last_operation: None,
                failure: None,
                halted: None,
                approver: None,
                pending: Vec::new(),
                in_memory: Vec::new(),
                problems: Vec::new(),
                findings: Vec::new(),
            };
            write_status(&context.root, &status).unwrap();
            assert_eq!(context.are_asked_again(), wanted, "{pid} {state:?}");
        }
        context.asks_again = true;
        assert!(context.are_asked_again());
    }
}
