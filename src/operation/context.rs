//! What every operation needs to know.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::config::Config;
use crate::node::{Inventory, observe};
use crate::plan::{Plan, Request, UnknownName, plan};
use crate::root::Root;
use crate::transaction::Store;

/// The node, the configuration and kubecertd's own state directory.
#[derive(Debug, Clone)]
pub struct Context {
    /// The directory that stands for `/`.
    pub root: Root,
    /// The checked configuration.
    pub config: Config,
    /// The configuration file given by hand, if any.
    pub config_file: Option<PathBuf>,
}

impl Context {
    /// The state directory.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(&self.root)
    }

    /// What is on the node now.
    #[must_use]
    pub fn observe(&self) -> Inventory {
        observe(&self.root, &self.config.locations)
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
        plan(inventory, &self.config, request, now)
    }

    /// Whether pods can be restarted and components asked: only on the node itself, not on a copy or an image of it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.root.is_system()
    }
}
