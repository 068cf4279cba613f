//! What every step of an operation needs.

use std::sync::Arc;

use tokio::sync::watch;

use super::context::Context;
use super::error::OperationError;
use super::event::Event;
use super::remark::Remark;
use super::right::Turn;
use crate::cluster::FleetLock;
use crate::host;
use crate::journal::Lock;
use crate::node::{CertificateId, Inventory, StaticPod};
use crate::plan::{Plan, Request};
use crate::probe::known_members;

/// One run of an operation: the node and its configuration, the lock that is held, the signal to stop, whom to tell, and what
/// was seen of the node.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) lock: &'a Lock,
    pub(super) stop: &'a watch::Receiver<bool>,
    events: &'a mut (dyn FnMut(Event) + Send),
    seen: Option<Arc<Inventory>>,
    observations: usize,
    /// Certificates at whose address somebody answered before their files were changed.
    pub(super) answering: Vec<CertificateId>,
    pub(super) turn: Turn,
    /// The slot at a FleetLock server.
    pub(super) slot: Option<FleetLock>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        context: &'a Context,
        lock: &'a Lock,
        stop: &'a watch::Receiver<bool>,
        events: &'a mut (dyn FnMut(Event) + Send),
    ) -> Self {
        Self {
            context,
            lock,
            stop,
            events,
            seen: None,
            observations: 0,
            answering: Vec::new(),
            turn: Turn::default(),
            slot: None,
        }
    }

    /// Says what happens.
    pub(super) fn emit(&mut self, event: Event) {
        (self.events)(event);
    }

    /// Says what an administrator should know.
    pub(super) fn remark(&mut self, remark: impl Into<Remark>) {
        self.emit(Event::Remark(remark.into()));
    }

    /// Whom a wait tells that it goes on.
    pub(super) fn events(&mut self) -> &mut (dyn FnMut(Event) + Send) {
        self.events
    }

    /// The node as it was seen last; it is read where that was not done since its files were changed.
    pub(super) fn node(&mut self) -> Arc<Inventory> {
        if let Some(seen) = &self.seen {
            return Arc::clone(seen);
        }
        let seen = Arc::new(self.context.observe());
        self.observations += 1;
        self.seen = Some(Arc::clone(&seen));
        seen
    }

    /// Asks whether there are other control planes, where that is not known and the order of restarts depends on it.
    pub(super) async fn learn_of_others(&mut self) {
        let mut node = self.node();
        let holds_address = node.static_pods.iter().any(StaticPod::is_kube_vip);
        if !self.context.is_live() || node.other_control_planes || !holds_address {
            return;
        }
        if !known_members(&node).await.is_empty() {
            Arc::make_mut(&mut node).other_control_planes = true;
            self.seen = Some(node);
        }
    }

    /// What was seen does not hold any more: files were changed, or may have been while pods were restarted.
    pub(super) fn forget_node(&mut self) {
        self.seen = None;
    }

    /// How often the node was read.
    pub(super) fn observations(&self) -> usize {
        self.observations
    }

    /// The plan for a request, from what was seen.
    ///
    /// # Errors
    /// Where the request names what there is not.
    pub(super) fn plan(&mut self, request: &Request) -> Result<Plan, OperationError> {
        let node = self.node();
        Ok(self.context.plan(&node, request, host::now())?)
    }
}
