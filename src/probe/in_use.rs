//! A look at what the running components use, without changing anything.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::endpoint::{ServingEndpoint, kubelet_address, serving_endpoints};
use super::peer::signers;
use super::ready::{NotServed, serves};
use crate::config::Restart;
use crate::net::{Address, handshake};
use crate::node::{CertificateId, Inventory, PodRef, StaticPod};
use crate::pki::Certificate;
use crate::plan::affected_pods;
use crate::runtime::{ContainerPhase, ContainerRuntime, PodName, sibling_names};

/// The whole look; what has not answered by then is not known.
const BOUND: Duration = Duration::from_secs(8);

/// One thing seen of a certificate's use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Of which certificate.
    pub certificate: CertificateId,
    /// What was seen.
    pub seen: Seen,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A handshake serves the file's certificate and proves its key.
    Served {
        /// Where.
        address: Address,
    },
    /// A handshake serves another certificate of the same CA.
    AnotherServed {
        /// The component.
        component: String,
        /// Where.
        address: Address,
        /// When that one ends.
        not_after: Timestamp,
    },
    /// A pod that names the file runs since then.
    Running {
        /// The component.
        component: String,
        /// The start of the oldest of its containers.
        since: Timestamp,
    },
}

/// Makes a handshake with each component that serves a certificate of this node, and asks the container runtime since when the
/// pods run that name one. What does not answer is left out: that says nothing.
pub async fn look_at_use(inventory: &Inventory, settings: &Restart) -> Vec<Usage> {
    let mut looks = JoinSet::new();
    for look in served(inventory) {
        looks.spawn(async move { timeout(BOUND, look.take()).await.ok().flatten() });
    }
    let running = timeout(BOUND, running(inventory, settings));
    let mut seen = running.await.unwrap_or_default();
    while let Some(look) = looks.join_next().await {
        seen.extend(look.ok().flatten());
    }
    seen.sort_by(|one, other| one.certificate.cmp(&other.certificate));
    seen
}

/// A handshake to be made.
struct Look {
    certificate: CertificateId,
    component: String,
    endpoint: Endpoint,
    wanted: Certificate,
}

enum Endpoint {
    Pod {
        endpoint: ServingEndpoint,
        signers: Vec<Certificate>,
    },
    /// It takes up its own certificates, and may have several files of them: only the right one says something.
    Kubelet(Address),
}

fn served(inventory: &Inventory) -> Vec<Look> {
    let of_pods = inventory.static_pods.iter().flat_map(|pod| {
        serving_endpoints(pod).into_iter().filter_map(|endpoint| {
            let entry = inventory.entry(&CertificateId::leaf(endpoint.leaf))?;
            // A pod that serves another file says nothing about this one.
            let is_its_file =
                inventory.real(&endpoint.certificate) == inventory.real(&entry.certificate_path);
            Some(Look {
                certificate: entry.id.clone(),
                component: pod.component().to_owned(),
                wanted: entry.present().filter(|_| is_its_file)?.leaf.clone(),
                endpoint: Endpoint::Pod {
                    signers: signers(inventory, &entry.id).to_vec(),
                    endpoint,
                },
            })
        })
    });
    let of_kubelet = inventory
        .entries
        .iter()
        .filter(|entry| matches!(entry.id, CertificateId::KubeletServing(_)))
        .filter_map(|entry| {
            Some(Look {
                certificate: entry.id.clone(),
                component: "kubelet".to_owned(),
                endpoint: Endpoint::Kubelet(kubelet_address(inventory)),
                wanted: entry.present()?.leaf.clone(),
            })
        });
    of_pods.chain(of_kubelet).collect()
}

impl Look {
    async fn take(self) -> Option<Usage> {
        let seen = match self.endpoint {
            Endpoint::Pod { endpoint, signers } => {
                let address = endpoint.address.clone();
                match serves(
                    &endpoint.address,
                    &endpoint.certificate,
                    &self.wanted,
                    &signers,
                )
                .await
                {
                    Ok(_) => Seen::Served { address },
                    Err(NotServed::Another { not_after, .. }) => Seen::AnotherServed {
                        component: self.component,
                        address,
                        not_after,
                    },
                    Err(NotServed::Unknown(_)) => return None,
                }
            }
            Endpoint::Kubelet(address) => {
                let served = handshake(&address, &address.host, None).await.ok()?;
                if served.leaf.der() != self.wanted.der() {
                    return None;
                }
                Seen::Served { address }
            }
        };
        Some(Usage {
            certificate: self.certificate,
            seen,
        })
    }
}

async fn running(inventory: &Inventory, settings: &Restart) -> Vec<Usage> {
    let present: Vec<&CertificateId> = inventory
        .entries
        .iter()
        .filter(|entry| entry.present().is_some())
        .map(|entry| &entry.id)
        .collect();
    let pods = affected_pods(inventory, &present);
    let refs: Vec<PodRef> = pods.iter().map(|affected| affected.pod.clone()).collect();
    let since = started_pods(inventory, settings, &refs).await;
    let mut seen = Vec::new();
    for affected in pods {
        let Some((_, since)) = since.iter().find(|(pod, _)| *pod == affected.pod) else {
            continue;
        };
        seen.extend(affected.certificates.into_iter().map(|certificate| Usage {
            certificate,
            seen: Seen::Running {
                component: affected.pod.component.clone(),
                since: *since,
            },
        }));
    }
    seen
}

/// Since when these pods run, as the container runtime says it: the start of the oldest of a pod's containers. What does not answer is
/// left out.
pub async fn running_since(
    inventory: &Inventory,
    settings: &Restart,
    pods: &[PodRef],
) -> Vec<(PodRef, Timestamp)> {
    let asking = started_pods(inventory, settings, pods);
    timeout(BOUND, asking).await.unwrap_or_default()
}

async fn started_pods(
    inventory: &Inventory,
    settings: &Restart,
    pods: &[PodRef],
) -> Vec<(PodRef, Timestamp)> {
    if pods.is_empty() {
        return Vec::new();
    }
    let runtime = match ContainerRuntime::find(inventory, settings).await {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::debug!("since when pods run is not known: {error}");
            return Vec::new();
        }
    };
    let mut seen = Vec::new();
    for pod in pods {
        let since = match inventory.pod(pod) {
            Some(found) => started(&runtime, inventory, found).await,
            None => None,
        };
        seen.extend(since.map(|since| (pod.clone(), since)));
    }
    seen
}

/// Since when each of the pod's containers runs, the oldest of them.
async fn started(
    runtime: &ContainerRuntime,
    inventory: &Inventory,
    pod: &StaticPod,
) -> Option<Timestamp> {
    let siblings = sibling_names(inventory);
    let state = match runtime.pod(PodName::new(pod, inventory, &siblings)).await {
        Ok(state) => state,
        Err(error) => {
            tracing::debug!(component = pod.component(), "{error}");
            return None;
        }
    };
    state
        .containers
        .iter()
        .filter(|container| container.phase == ContainerPhase::Running)
        .filter(|container| pod.containers.iter().any(|own| own.name == container.name))
        .map(|container| container.created_at)
        .min()
        .flatten()
}
