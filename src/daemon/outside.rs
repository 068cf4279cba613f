//! What the daemon tells the cluster of this node and hears of the others, on a thread of its own: nothing waits for an API that
//! may be away.

use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::cluster::{Halt, MachineTold};
use crate::node::Inventory;
use crate::operation::{
    Context, Fault, Happened, MachineTeller, Neighbours, NodeEvents, look_at_own_configuration,
    own_report,
};
use crate::plan::Plan;
use crate::report::History;

/// How often the Lease is looked at while all is well.
const LOOK: Duration = Duration::from_secs(600);
/// The same while a node's failure holds the others up: they want to see that it was cleared.
const LOOK_HALTED: Duration = Duration::from_secs(60);
/// How long after Events that could not be written the next are tried.
const PAUSE: Duration = Duration::from_secs(300);
/// How often the cluster's own configuration is read, whether that worked or not.
const CONFIGURATION: Duration = Duration::from_secs(3600);
/// How long one look may take, with every server silent.
const BOUND: Duration = Duration::from_secs(120);

/// What the loop knows.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) context: Context,
    pub(super) inventory: Arc<Inventory>,
    pub(super) plan: Arc<Plan>,
    /// What the last attempt failed for, where another follows.
    pub(super) failure: Option<Fault>,
}

/// The loop's end of the line.
#[derive(Debug)]
pub(super) struct Outside {
    told: watch::Sender<Option<Told>>,
    halt: watch::Receiver<Option<Halt>>,
}

impl Outside {
    /// Begins to listen. Where no thread can be had nothing is told or heard, and that is said.
    pub(super) fn begin() -> Self {
        let (told, to_be_told) = watch::channel(None);
        let (heard, halt) = watch::channel(None);
        let listen = move || match runtime() {
            Ok(runtime) => runtime.block_on(listen(to_be_told, heard)),
            Err(error) => silent(&error),
        };
        let begun = thread::Builder::new().name("outside".to_owned());
        if let Err(error) = begun.spawn(listen) {
            silent(&error);
        }
        Self { told, halt }
    }

    /// Tells what is known now. Only what was told last counts.
    pub(super) fn tell(&self, told: Told) {
        self.told.send_replace(Some(told));
    }

    /// The mark of a node whose failure holds all up, as it was seen last.
    pub(super) fn halt(&self) -> Option<Halt> {
        self.halt.borrow().clone()
    }

    /// Ends when that has changed.
    pub(super) async fn changed(&mut self) {
        if self.halt.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

fn silent(error: &std::io::Error) {
    tracing::warn!(
        "kubecertd can neither report this node to the cluster nor ask about the others: {error}"
    );
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// What is remembered from look to look.
#[derive(Default)]
struct Memory {
    neighbours: Neighbours,
    looked: Option<Instant>,
    /// Whether there are other control planes, as far as is known.
    is_alone: bool,
    /// When the operation ended that was told last; `None` as well where nothing was told.
    last_finished: Option<Option<Timestamp>>,
    failure: Option<String>,
    machine: MachineTeller,
    /// When Cluster API was told last in vain, and why it was in vain.
    not_told: Option<(Instant, String)>,
    events: NodeEvents,
    /// When the cluster's own configuration was asked for last.
    configuration_tried: Option<Instant>,
    events_tried: Option<Instant>,
    /// Why Events cannot be written, if they cannot.
    unwritten: Option<String>,
}

/// Until the loop is gone.
async fn listen(mut told: watch::Receiver<Option<Told>>, heard: watch::Sender<Option<Halt>>) {
    let mut memory = Memory::default();
    loop {
        let is_halted = heard.borrow().is_some();
        let again = async {
            if memory.is_at_rest() {
                std::future::pending().await
            } else {
                sleep(if is_halted { LOOK_HALTED } else { LOOK }).await;
            }
        };
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return },
            () = pin!(again) => memory.looked = None,
        }
        let now = told.borrow_and_update().clone();
        // A host that has only certificates that are not kubeadm's belongs to no cluster.
        if let Some(now) = now.filter(|now| now.inventory.is_kubeadms()) {
            memory.look(&now, &heard).await;
            let halt = heard.borrow().clone();
            memory.write_events(&now, halt.as_ref()).await;
            memory.tell_machine(&now).await;
            memory.read_configuration(&now).await;
        }
    }
}

impl Memory {
    /// Whether nothing is to be done until the loop says more.
    fn is_at_rest(&self) -> bool {
        let is_done = self.unwritten.is_none() && self.not_told.is_none();
        self.looked.is_none() || (self.is_alone && is_done)
    }

    /// Reads the cluster's own configuration now and then. That it cannot be read is nobody's trouble: nothing follows from it by itself.
    async fn read_configuration(&mut self, told: &Told) {
        let soon = |tried: Instant| tried.elapsed() < CONFIGURATION;
        if self.configuration_tried.is_some_and(soon) {
            return;
        }
        self.configuration_tried = Some(Instant::now());
        let reading = look_at_own_configuration(&told.context, &told.inventory);
        match timeout(BOUND, reading).await {
            Ok(Ok(learned)) => tracing::debug!(?learned, "the cluster's own configuration"),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the cluster's own configuration is not read")
            }
            Err(_) => tracing::debug!("the cluster's own configuration is not read: no answer"),
        }
    }

    /// Tells Cluster API when the certificates end, after a renewal.
    async fn tell_machine(&mut self, told: &Told) {
        let soon = |(tried, _): &(Instant, String)| tried.elapsed() < PAUSE;
        if self.not_told.as_ref().is_some_and(soon) {
            return;
        }
        let telling = self.machine.tell(&told.context, &told.inventory);
        let failure = match timeout(BOUND, telling).await {
            Ok(Ok(Some(MachineTold::Updated))) => {
                tracing::info!("Cluster API knows when this machine's certificates end now");
                None
            }
            Ok(Ok(Some(told @ (MachineTold::NoMachine | MachineTold::AnotherMachine)))) => {
                tracing::warn!(
                    "kubecertd could not update the certificates' end in Cluster API: {}",
                    match told {
                        MachineTold::NoMachine =>
                            "the Node has no annotation cluster.x-k8s.io/machine with cluster.x-k8s.io/cluster-namespace",
                        _ => "the Machine that the Node names is gone or belongs to another node",
                    }
                );
                None
            }
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", BOUND.as_secs())),
        };
        if let Some(reason) = &failure
            && self.not_told.as_ref().map(|(_, before)| before) != Some(reason)
        {
            tracing::warn!(
                "kubecertd could not update the certificates' end in Cluster API: {reason}"
            );
        }
        self.not_told = failure.map(|reason| (Instant::now(), reason));
    }

    /// Writes what is to be said in Events. Those that cannot be written now are tried at the next look.
    async fn write_events(&mut self, told: &Told, halt: Option<&Halt>) {
        let context = &told.context;
        let soon = self
            .events_tried
            .is_some_and(|tried| tried.elapsed() < PAUSE);
        if self.unwritten.is_some() && soon {
            return;
        }
        self.events_tried = Some(Instant::now());
        // What is wrong with the history is a finding.
        let receipts = History::new(&context.store())
            .receipts()
            .unwrap_or_default();
        let happened = Happened {
            receipts: &receipts,
            plan: &told.plan,
            failure: told.failure.as_ref(),
            halt,
        };
        let writing = self.events.write(context, &told.inventory, &happened);
        let failure = match timeout(BOUND, writing).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", BOUND.as_secs())),
        };
        if failure.is_some() && failure != self.unwritten {
            let reason = failure.as_deref().unwrap_or_default();
            tracing::info!("kubecertd cannot write Events now and tries again: {reason}");
        }
        self.unwritten = failure;
    }

    async fn look(&mut self, told: &Told, heard: &watch::Sender<Option<Halt>>) {
        let Told {
            context,
            inventory,
            plan,
            ..
        } = told;
        let report = own_report(context, inventory, plan, crate::host::now());
        let finished = Some(report.last_finished);
        let is_operation = self.last_finished.is_some() && self.last_finished != finished;
        let interval = if heard.borrow().is_some() {
            LOOK_HALTED
        } else {
            LOOK
        };
        let is_due = self
            .looked
            .is_none_or(|looked| looked.elapsed() >= interval);
        if !is_operation && !is_due {
            return;
        }
        self.last_finished = finished;
        self.looked = Some(Instant::now());
        let looking = self
            .neighbours
            .look(context, inventory, &report, is_operation);
        let looked = match timeout(BOUND, looking).await {
            Ok(looked) => looked.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", BOUND.as_secs())),
        };
        match looked {
            Ok(sight) => {
                self.is_alone = sight.is_none();
                self.failure = None;
                let halt = sight.and_then(|sight| sight.halt);
                heard.send_if_modified(|before| {
                    let changed = *before != halt;
                    *before = halt;
                    changed
                });
            }
            // What was heard before counts until something else is heard.
            Err(reason) => {
                if self.failure.as_ref() != Some(&reason) {
                    tracing::info!(
                        "kubecertd cannot read what the other control planes report: {reason}"
                    );
                }
                self.failure = Some(reason);
            }
        }
    }
}
