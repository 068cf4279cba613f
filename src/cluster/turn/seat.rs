//! A node's seat at the table: how it reads and writes the Lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::lease::{NAMESPACE, record, written};
use super::message::{Draft, Effect, Input, Timing};
use super::record::{Identity, Record};
use crate::api::{Access, ApiError, LeaseObject, Leases, Nodes};
use crate::host;
use crate::net::Address;

/// The Leases that the kubelets renew every ten seconds.
const NODES: &str = "kube-node-lease";

/// What a node needs to take part.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The name of the Lease: of the turn, or of the approver.
    pub lease: &'static str,
    /// This node, in this life.
    pub me: Identity,
    /// How long things take.
    pub timing: Timing,
    /// The uid of the Lease that it went by before.
    pub known: Option<String>,
    /// How long it stands in line, whatever it is that holds it up, before it looks at everything again: whoever may write the
    /// Lease could hold it up for ever.
    pub patience: Duration,
    /// By what the API is asked.
    pub access: Arc<Access>,
    /// Where, in the order in which they are tried: this node's own API server, then the others', then the kubeconfig's.
    pub servers: Vec<Address>,
}

/// Carries out what the protocol wants, one thing at a time.
#[derive(Debug)]
pub(super) struct Desk {
    lease: &'static str,
    leases: Vec<Leases>,
    duration: Duration,
    /// The server that answered last.
    first: usize,
    /// The Lease as it was read or written last.
    object: Option<LeaseObject>,
    /// Why there was no answer, since the last one that there was.
    pub(super) failure: Option<ApiError>,
    access: Arc<Access>,
    servers: Vec<Address>,
}

impl Desk {
    pub(super) fn of(seat: &Seat) -> Self {
        let leases = seat.servers.iter();
        Self {
            lease: seat.lease,
            leases: leases
                .map(|server| Leases::at(&seat.access, server, NAMESPACE))
                .collect(),
            duration: seat.timing.lease,
            first: 0,
            object: None,
            failure: None,
            access: Arc::clone(&seat.access),
            servers: seat.servers.clone(),
        }
    }

    /// Does what is wanted; the answer is the next input.
    pub(super) async fn carry_out(&mut self, effect: Effect) -> Input {
        let answer = match &effect {
            Effect::Read => self.read().await.map(Input::Read),
            Effect::Write(draft) => self.write(draft).await.map(Input::Written),
        };
        match answer {
            Ok(input) => {
                self.failure = None;
                input
            }
            Err(ApiError::ApiConflict { .. }) => {
                self.failure = None;
                Input::Conflict
            }
            // The Lease was deleted since it was read.
            Err(ApiError::ApiNotFound { .. }) if matches!(effect, Effect::Write(_)) => {
                Input::Conflict
            }
            Err(error) => {
                tracing::debug!(%error, "the turn's Lease");
                self.failure = Some(error);
                Input::Failed
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Record>, ApiError> {
        self.object = self.ask(&Request::Get).await?;
        match self.object.clone() {
            None => Ok(None),
            Some(object) => self.understood(&object).map(Some),
        }
    }

    async fn write(&mut self, draft: &Draft) -> Result<Record, ApiError> {
        let before = match &draft.base {
            None => None,
            Some(base) => {
                let object = self.object.as_ref();
                let object =
                    object.filter(|one| one.metadata.resource_version.as_ref() == Some(base));
                // What the protocol goes by is what was read or written last.
                Some(object.ok_or_else(|| ApiError::ApiConflict {
                    reason: format!("version {base} of the Lease is not the one that is known"),
                })?)
            }
        };
        let new = written(self.lease, before, draft, self.duration, host::now());
        let request = if before.is_none() {
            Request::Create(new)
        } else {
            Request::Replace(new)
        };
        let object = self.ask(&request).await?.unwrap_or_default();
        self.object = Some(object.clone());
        self.understood(&object)
    }

    fn understood(&self, object: &LeaseObject) -> Result<Record, ApiError> {
        record(object).ok_or_else(|| ApiError::ApiTrouble {
            server: self
                .servers
                .get(self.first)
                .cloned()
                .unwrap_or_else(|| self.access.address.clone()),
            reason: "its Lease has no uid or no version".to_owned(),
            retry_after: None,
        })
    }

    /// The Lease's annotations as they were read or written last.
    pub(super) fn annotations(&self) -> Option<&BTreeMap<String, String>> {
        self.object.as_ref()?.metadata.annotations.as_ref()
    }

    /// Sets annotations or takes them away, whoever has the turn. The protocol does not go by them.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(super) async fn annotate(
        &mut self,
        annotations: BTreeMap<String, Option<String>>,
    ) -> Result<(), ApiError> {
        self.object = self.ask(&Request::Annotate(annotations)).await?;
        Ok(())
    }

    /// Whether the cluster has a node of that name.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(super) async fn has_node(&self, node: &str) -> Result<bool, ApiError> {
        let mut last = None;
        for index in order(self.first, self.servers.len()) {
            match Nodes::at(&self.access, &self.servers[index])
                .has(node)
                .await
            {
                Err(error) if error.may_differ_elsewhere() => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(nowhere))
    }

    /// When the kubelet of a node renewed its Lease last, as it says; `None` where it has none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(super) async fn life_sign(&mut self, node: &str) -> Result<Option<String>, ApiError> {
        let leases: Vec<Leases> = self
            .servers
            .iter()
            .map(|server| Leases::at(&self.access, server, NODES))
            .collect();
        let first = self.first;
        let mut last = None;
        for index in order(first, leases.len()) {
            match leases[index].get(node).await {
                Ok(lease) => {
                    let renewed = lease.and_then(|lease| lease.spec?.renew_time);
                    return Ok(renewed.map(|time| time.0.to_string()));
                }
                Err(error) if error.may_differ_elsewhere() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(nowhere))
    }

    /// Asks the server that answered last, then the others.
    async fn ask(&mut self, request: &Request) -> Result<Option<LeaseObject>, ApiError> {
        let mut last = None;
        for index in order(self.first, self.leases.len()) {
            let leases = &self.leases[index];
            let answer = match request {
                Request::Get => leases.get(self.lease).await,
                Request::Create(lease) => leases.create(lease).await.map(Some),
                Request::Replace(lease) => leases.replace(self.lease, lease).await.map(Some),
                Request::Annotate(with) => leases.annotate(self.lease, with).await.map(Some),
            };
            match answer {
                Err(error) if error.may_differ_elsewhere() => last = Some(error),
                answer => {
                    self.first = index;
                    return answer;
                }
            }
        }
        Err(last.unwrap_or_else(nowhere))
    }
}

/// What is asked of one server after the other. A write that one of them took without an answer is a conflict at the next.
enum Request {
    Get,
    Create(LeaseObject),
    Replace(LeaseObject),
    Annotate(BTreeMap<String, Option<String>>),
}

fn order(first: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |step| (first + step) % count.max(1))
}

fn nowhere() -> ApiError {
    ApiError::ApiUnreachable {
        server: Address {
            host: String::new(),
            port: 0,
        },
        reason: "no address of an API server is known".to_owned(),
    }
}
