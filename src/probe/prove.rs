//! Asking the running components whether the new certificates are in use.

mod clients;
mod doubt;
mod error;

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::authenticate::{AuthenticationError, authenticate};
use super::endpoint::{
    API_SERVER, ETCD, api_server_address, kubelet_address, runs, serving_endpoints,
};
use super::peer::signers;
use super::ready::{NotServed, serves};
use super::served_at::address_of;
use crate::config::{Restart, RestartMode};
use crate::host::read_on_machine;
use crate::net::Address;
use crate::node::{
    CertificateId, CertificateState, Entry, Inventory, KeyState, Present, StaticPod,
};
use crate::pki::{Catalogued, Certificate, KubeconfigName, LeafName, certificates_from_pem};
use doubt::Doubt;
pub use error::ProofError;

/// Pause between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// What was proved of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Proof {
    /// Which certificate.
    #[serde(rename = "name")]
    pub id: CertificateId,
    /// In words: `10.0.0.5:6443 serves serial 5f…`, `the API server accepts it at https://…`.
    pub evidence: String,
}

/// Proves each of these certificates of `inventory` (observed after the installation), trying again until `bound` has passed.
/// Server certificates by a handshake that serves the file's certificate and proves to have its key; client certificates by a
/// request that a verified server accepts; what nobody can ask (front-proxy-client) by checking it against the file its users
/// trust, and the evidence says so. A server that cannot be verified proves and refuses nothing.
pub async fn prove(
    inventory: &Inventory,
    settings: &Restart,
    certificates: &[CertificateId],
    bound: Duration,
) -> Vec<Result<Proof, ProofError>> {
    let began = Instant::now();
    let node = Node {
        inventory,
        settings,
    };
    let mut outcomes: Vec<Option<Result<Proof, ProofError>>> = vec![None; certificates.len()];
    loop {
        let last = began.elapsed() >= bound;
        for (id, outcome) in certificates.iter().zip(&mut outcomes) {
            if outcome.is_some() {
                continue;
            }
            *outcome = match node.prove(id).await {
                Ok(evidence) => Some(Ok(Proof {
                    id: id.clone(),
                    evidence,
                })),
                Err(Doubt::Passing(_) | Doubt::Refused(_)) if !last => None,
                Err(doubt) => Some(Err(doubt.of(id))),
            };
        }
        if outcomes.iter().all(Option::is_some) {
            return outcomes.into_iter().flatten().collect();
        }
        sleep(ROUND.min(bound.saturating_sub(began.elapsed()))).await;
    }
}

/// Where the answers are.
#[derive(Debug)]
struct Node<'a> {
    inventory: &'a Inventory,
    settings: &'a Restart,
}

impl Node<'_> {
    /// One attempt; what was proved, in words.
    async fn prove(&self, id: &CertificateId) -> Result<String, Doubt> {
        let entry = self
            .inventory
            .entry(id)
            .ok_or_else(|| Doubt::Lasting("no certificate of this node is called so".to_owned()))?;
        let present = match &entry.state {
            CertificateState::Present(present) => present,
            CertificateState::Missing => {
                let reason = format!("{} is not there", entry.path.display());
                return Err(Doubt::Lasting(reason));
            }
            CertificateState::Unreadable(problem) => {
                return Err(Doubt::Lasting(problem.to_string()));
            }
        };
        match &entry.id {
            CertificateId::Catalogued(Catalogued::Leaf(leaf)) => match leaf {
                LeafName::Apiserver => self.served(API_SERVER, *leaf, present).await,
                LeafName::EtcdServer | LeafName::EtcdPeer => {
                    self.served(ETCD, *leaf, present).await
                }
                LeafName::ApiserverEtcdClient | LeafName::EtcdHealthcheckClient => {
                    self.accepted_by_etcd(entry).await
                }
                LeafName::ApiserverKubeletClient => self.accepted_by_kubelet(entry).await,
                LeafName::FrontProxyClient => self.trusted_by_api_server(entry, present),
            },
            CertificateId::Catalogued(Catalogued::Kubeconfig(kubeconfig)) => {
                self.authenticates(entry, Some(*kubeconfig)).await
            }
            CertificateId::KubeletConfig => self.authenticates(entry, None).await,
            // With external etcd the API server's etcd client is no row of kubeadm's, but can be asked for all the same.
            CertificateId::Found(_) if self.is_etcd_client_of_api_server(entry) => {
                self.accepted_by_etcd(entry).await
            }
            CertificateId::Found(_) if let Some(address) = address_of(entry) => {
                self.served_at(&address, entry, present).await
            }
            CertificateId::Found(_) if entry.described.is_some() => Err(Doubt::Lasting(
                "the configuration gives no address at which it is served, so nobody showed that it is in use".to_owned(),
            )),
            CertificateId::KubeletServing(_) => {
                let address = kubelet_address(self.inventory);
                self.served_at(&address, entry, present).await
            }
            CertificateId::KubeletClient | CertificateId::Found(_) => Err(Doubt::Lasting(
                "no component that kubecertd knows can be asked whether it is in use".to_owned(),
            )),
        }
    }

    async fn served(
        &self,
        program: &str,
        leaf: LeafName,
        present: &Present,
    ) -> Result<String, Doubt> {
        let pod = self.pod(program)?;
        let endpoints = serving_endpoints(pod);
        let endpoint = endpoints
            .iter()
            .find(|endpoint| endpoint.leaf == leaf)
            .ok_or_else(|| {
                Doubt::Lasting(format!(
                    "{} names no certificate file or no TLS address for it",
                    pod.path.display()
                ))
            })?;
        serves(
            &endpoint.address,
            &endpoint.certificate,
            &present.leaf,
            signers(self.inventory, &CertificateId::leaf(leaf)),
        )
        .await
        .map_err(of_served)
    }

    /// One that is not kubeadm's, at the address that the configuration gives.
    async fn served_at(
        &self,
        address: &Address,
        entry: &Entry,
        present: &Present,
    ) -> Result<String, Doubt> {
        let signers = signers(self.inventory, &entry.id);
        let file = &entry.certificate_path;
        let served = serves(address, file, &present.leaf, signers).await;
        served.map_err(of_served)
    }

    /// Only extension API servers ever see it, so what they would check is checked here.
    fn trusted_by_api_server(&self, entry: &Entry, present: &Present) -> Result<String, Doubt> {
        if !matches!(present.key, KeyState::Matching(_)) {
            return Err(Doubt::Wrong(
                "its key file does not belong to it".to_owned(),
            ));
        }
        let pod = self.pod(API_SERVER)?;
        let trusted = pod
            .file_flag("requestheader-client-ca-file")
            .ok_or_else(|| {
                Doubt::Lasting(format!(
                    "{} names no --requestheader-client-ca-file that could be read",
                    pod.path.display()
                ))
            })?;
        let allowed = pod.flag("requestheader-allowed-names").unwrap_or_default();
        let name = present.leaf.common_name.as_deref().unwrap_or_default();
        if !allowed.is_empty() && !allowed.split(',').any(|allowed| allowed == name) {
            return Err(Doubt::Wrong(format!(
                "--requestheader-allowed-names={allowed} does not have its name {name:?}"
            )));
        }
        let authorities = read_certificates(&trusted)?;
        if !authorities
            .iter()
            .any(|authority| present.leaf.is_signed_by(authority))
        {
            return Err(Doubt::Wrong(format!(
                "no authority in {} signed it",
                trusted.display()
            )));
        }
        Ok(format!(
            "{} and its key belong together and {}, which extension API servers trust, signed it; they are not asked",
            entry.path.display(),
            trusted.display()
        ))
    }

    async fn authenticates(
        &self,
        entry: &Entry,
        kubeconfig: Option<KubeconfigName>,
    ) -> Result<String, Doubt> {
        let local = self.pod(API_SERVER).ok().and_then(api_server_address);
        let authenticated = authenticate(&entry.path, local.as_ref())
            .await
            .map_err(|error| match error {
                AuthenticationError::Kubeconfig { .. } => Doubt::Lasting(error.to_string()),
                // A refusal may pass as well: an API server that has just started does not know all its rules yet.
                AuthenticationError::NoAnswer(_) => Doubt::Passing(error.to_string()),
                AuthenticationError::Refused { .. } => Doubt::Refused(error.to_string()),
            })?;
        let is_read_at_start = matches!(
            kubeconfig,
            Some(KubeconfigName::ControllerManager | KubeconfigName::Scheduler)
        );
        if is_read_at_start && self.settings.mode == RestartMode::None {
            return Ok(format!(
                "{}; its component goes on with the old one until it is restarted",
                authenticated.evidence
            ));
        }
        Ok(authenticated.evidence)
    }

    fn pod(&self, program: &str) -> Result<&StaticPod, Doubt> {
        self.inventory
            .static_pods
            .iter()
            .find(|pod| runs(pod, program))
            .ok_or_else(|| {
                Doubt::Lasting(format!(
                    "{} has no manifest of {program}, so no component on this node can be asked",
                    self.inventory.directories.manifests.display()
                ))
            })
    }
}

fn of_served(error: NotServed) -> Doubt {
    match error {
        NotServed::Another { told, .. } => Doubt::Refused(told),
        NotServed::Unknown(reason) => Doubt::Passing(reason),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, Doubt> {
    let lasting = |reason: String| Doubt::Lasting(format!("{}: {reason}", path.display()));
    let bytes = read_on_machine(path).map_err(|error| lasting(error.to_string()))?;
    certificates_from_pem(&bytes).map_err(|error| lasting(error.to_string()))
}
