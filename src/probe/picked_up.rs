//! Whether a running pod took up its new certificates by itself.

use std::time::Duration;

use jiff::Timestamp;

use super::endpoint::{API_SERVER, ServingEndpoint, api_server_address, runs, serving_endpoints};
use super::in_memory::LOOPBACK_NAME;
use super::kubelet_saw::{NoReading, Reading, read, saw};
use super::peer::Peer;
use super::ready::{NotServed, serves_file};
use crate::config::Restart;
use crate::host::{Pace, Wait};
use crate::net::{Address, Server, handshake, http};
use crate::node::{CertificateId, Inventory, StaticPod};
use crate::plan::{Release, Reread, Shown};

/// A kubelet's metrics are long: it is not asked more often.
const KUBELET_PAUSE: Duration = Duration::from_secs(5);

/// What became of the new certificates of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PickedUp {
    /// It uses them; how that is known, one sentence each.
    Yes(Vec<String>),
    /// It goes on with another one: what was seen.
    No(String),
    /// Nothing that could show it was to be had.
    Unknown {
        /// Of which certificates.
        certificates: Vec<CertificateId>,
        /// What was seen.
        seen: String,
    },
}

/// How long is waited until a component shows what it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It is asked once.
    Once,
    /// For `restart.reload-timeout`: what the table gives longer is unknown after that.
    Short,
    /// For `restart.reload-timeout`, or where that is longer for the table's time.
    Table,
}

/// Waits until each of these certificates is shown to be in use by the pod, as the table says how. The time counts from when the
/// files were replaced. Where the kubelet may not be asked what it saw, the table's time itself has to do.
pub async fn picked_up(
    inventory: &Inventory,
    (settings, patience): (&Restart, Patience),
    pod: &StaticPod,
    certificates: &[(CertificateId, &'static Reread)],
    replaced_before: Duration,
) -> PickedUp {
    let endpoints = serving_endpoints(pod);
    let mut evidence = Vec::new();
    let mut waits: Vec<Evidence<'_>> = certificates
        .iter()
        .map(|(id, line)| Evidence {
            id,
            line,
            endpoint: endpoints.iter().find(|one| one.leaf == line.leaf),
            api_server: api_server_address(pod).filter(|_| runs(pod, API_SERVER)),
            last: None,
            seen: None,
            is_silent: false,
        })
        .collect();
    let began = Wait::begin(Duration::MAX);
    let mut pace = Pace::new();
    loop {
        let (mut left, mut given_up) = (Vec::new(), Vec::new());
        for mut one in waits {
            let after = replaced_before + began.elapsed();
            match one.look(inventory, after).await {
                Ok(said) => evidence.push(said),
                Err(seen) => {
                    if after >= one.bound(settings, patience) {
                        given_up.push(seen.if_it_had_its_time(one.line, after));
                    }
                    left.push(one);
                }
            }
        }
        if left.is_empty() {
            return PickedUp::Yes(evidence);
        }
        if !given_up.is_empty() {
            let certificates = left.iter().map(|one| one.id.clone()).collect();
            return summed_up(given_up, certificates);
        }
        waits = left;
        pace.pause().await;
    }
}

/// What was seen of one certificate instead of its use.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NotSeen {
    /// Another one is in use.
    Another(String),
    /// Nothing answered that could show it.
    Nothing(String),
}

impl NotSeen {
    /// What is not served by then is taken for not read, as `restart.reload-timeout` says. Everything else has the table's time.
    fn if_it_had_its_time(self, line: &Reread, after: Duration) -> Self {
        match self {
            Self::Another(seen) if line.shown != Shown::Served && after < line.within => {
                Self::Nothing(seen)
            }
            other => other,
        }
    }
}

/// One that is known to go on with another certificate decides.
fn summed_up(given_up: Vec<NotSeen>, certificates: Vec<CertificateId>) -> PickedUp {
    let (mut another, mut nothing) = (Vec::new(), Vec::new());
    for one in given_up {
        match one {
            NotSeen::Another(seen) => another.push(seen),
            NotSeen::Nothing(seen) => nothing.push(seen),
        }
    }
    if another.is_empty() {
        let seen = nothing.join("; ");
        PickedUp::Unknown { certificates, seen }
    } else {
        PickedUp::No(another.join("; "))
    }
}

/// The release that this node's API server says it is; `None` where it cannot be verified or says none.
pub async fn api_release(inventory: &Inventory) -> Option<Release> {
    let pods = &inventory.static_pods;
    let pod = pods.iter().find(|pod| runs(pod, API_SERVER))?;
    let address = api_server_address(pod)?;
    let peer = Peer::api_server(pod, inventory, &address.host).ok()?;
    let server = Server {
        address: &address,
        security: peer.security(None),
    };
    let answer = http::get(server, "/version").await.ok()?;
    let version: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    Release::parse(version["gitVersion"].as_str()?)
}

/// What is waited for of one certificate.
struct Evidence<'a> {
    id: &'a CertificateId,
    line: &'static Reread,
    endpoint: Option<&'a ServingEndpoint>,
    /// Where the pod answers, if it is an API server.
    api_server: Option<Address>,
    /// The last reading of the kubelet's.
    last: Option<Reading>,
    /// What was made of it, and when.
    seen: Option<(Duration, NotSeen)>,
    /// Whether the kubelet says nothing of it, so that the time has to do.
    is_silent: bool,
}

impl Evidence<'_> {
    fn bound(&self, settings: &Restart, patience: Patience) -> Duration {
        match (patience, self.line.shown) {
            (Patience::Once, _) => Duration::ZERO,
            (Patience::Short, _) | (Patience::Table, Shown::Served) => settings.reload_timeout,
            (Patience::Table, Shown::KubeletSaw | Shown::Nothing) => {
                settings.reload_timeout.max(self.line.within)
            }
        }
    }

    /// One look, so long after the files were replaced; how it is known, or what was seen instead.
    async fn look(&mut self, inventory: &Inventory, after: Duration) -> Result<String, NotSeen> {
        let said = match self.line.shown {
            Shown::Served => self.is_served(inventory).await?,
            Shown::KubeletSaw if !self.is_silent => self.kubelet_saw(inventory, after).await?,
            Shown::KubeletSaw | Shown::Nothing => self.has_had_its_time(after)?,
        };
        Ok(format!("{}: {said}", self.id))
    }

    async fn is_served(&self, inventory: &Inventory) -> Result<String, NotSeen> {
        let unknown = || NotSeen::Nothing(format!("{}: it is not served over TLS", self.id));
        let endpoint = self.endpoint.ok_or_else(unknown)?;
        let said = serves_file(endpoint, inventory)
            .await
            .map_err(|error| match error {
                NotServed::Another { told, .. } => NotSeen::Another(told),
                NotServed::Unknown(told) => NotSeen::Nothing(told),
            })?;
        if let Some(address) = &self.api_server {
            is_api_server(address).await.map_err(NotSeen::Another)?;
        }
        Ok(said)
    }

    async fn kubelet_saw(
        &mut self,
        inventory: &Inventory,
        after: Duration,
    ) -> Result<String, NotSeen> {
        if let Some((asked, seen)) = &self.seen
            && after < *asked + KUBELET_PAUSE
        {
            return Err(seen.clone());
        }
        match self.ask_kubelet(inventory).await {
            Err(NoReading::Never(reason)) => {
                tracing::debug!("what the kubelet saw cannot be asked: {reason}");
                self.is_silent = true;
                self.has_had_its_time(after)
            }
            Err(NoReading::NotNow(reason)) => self.keep(after, NotSeen::Nothing(reason)),
            Ok(Err(reason)) => self.keep(after, NotSeen::Another(reason)),
            Ok(Ok(said)) => Ok(said),
        }
    }

    fn keep(&mut self, after: Duration, seen: NotSeen) -> Result<String, NotSeen> {
        self.seen = Some((after, seen.clone()));
        Err(seen)
    }

    async fn ask_kubelet(
        &mut self,
        inventory: &Inventory,
    ) -> Result<Result<String, String>, NoReading> {
        let ends = end_of(inventory, self.id)
            .ok_or_else(|| NoReading::Never(format!("{}: cannot be read", self.id)))?;
        // The question is a request, so the next answer has grown by it.
        let before = match self.last {
            Some(reading) => reading,
            None => read(inventory).await?,
        };
        let reading = read(inventory).await?;
        self.last = Some(reading);
        Ok(saw(before, reading, ends))
    }

    fn has_had_its_time(&self, after: Duration) -> Result<String, NotSeen> {
        let Reread { how, within, .. } = self.line;
        if after < *within {
            let left = (*within - after).as_secs();
            return Err(NotSeen::Nothing(format!(
                "{}: {left} s are left in which the component reads it anew",
                self.id
            )));
        }
        Ok(if within.is_zero() {
            format!("the component {how}")
        } else {
            format!("the component {how}, and had {} s", within.as_secs())
        })
    }
}

fn end_of(inventory: &Inventory, id: &CertificateId) -> Option<Timestamp> {
    Some(inventory.entry(id)?.present()?.leaf.not_after)
}

/// Whether an API server itself answers there, and nothing that ends TLS in its place: only it shows a certificate of its own making
/// to whoever asks for the name of its connection to itself.
async fn is_api_server(address: &Address) -> Result<(), String> {
    let served = handshake(address, LOOPBACK_NAME, None)
        .await
        .map_err(|error| error.to_string())?;
    let name = served.leaf.common_name.as_deref().unwrap_or_default();
    if name.starts_with(LOOPBACK_NAME) {
        return Ok(());
    }
    Err(format!(
        "{address} does not show the certificate that an API server has for itself: something else ends TLS there, and what the API \
         server uses is not seen"
    ))
}
