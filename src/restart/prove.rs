//! Asking the running components whether the new certificates are in use.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::authenticate::{AuthenticationError, authenticate};
use super::endpoint::{
    API_SERVER, Address, ETCD, ETCD_HEALTH, api_server_address, etcd_http_address, parse_url, runs,
    serving_endpoints,
};
use super::http::{self, Answer, HttpError, Security, Server};
use super::read_bounded;
use super::ready::serves;
use super::tls::{Identity, authorities_from_pem};
use crate::config::{Restart, RestartMode};
use crate::node::{CertificateState, Entry, EntryKind, Inventory, KeyState, Present, StaticPod};
use crate::pki::{
    AuthorityName, Catalogued, Certificate, KubeconfigName, LeafName, certificates_from_pem,
};

/// Pause between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// The kubelet's own port; kubeadm does not change it.
const KUBELET_PORT: u16 = 10250;

/// What was proved of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Proof {
    /// The certificate, by name.
    pub name: String,
    /// In words: `10.0.0.5:6443 serves serial 5f…`, `the API server accepts it at https://…`.
    pub evidence: String,
}

/// Why a certificate is not proved to be in use.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{name}: {reason}")]
pub struct ProofError {
    /// The certificate, by name.
    pub name: String,
    /// What was asked and what came back.
    pub reason: String,
    /// Whether somebody was asked and refused it, or serves another one; otherwise nobody could be asked, which
    /// says nothing about the certificate.
    pub refused: bool,
}

/// Why one attempt proved nothing.
#[derive(Debug)]
enum Doubt {
    /// Nobody answered, yet; asking again may help.
    Passing(String),
    /// Somebody answered, and not with a yes; asking again may help.
    Refused(String),
    /// Nobody can be asked, and asking again does not help.
    Lasting(String),
    /// Its users would refuse it, now and later.
    Wrong(String),
}

impl Doubt {
    fn of(self, name: &str) -> ProofError {
        let refused = matches!(self, Self::Refused(_) | Self::Wrong(_));
        let (Self::Passing(reason)
        | Self::Refused(reason)
        | Self::Lasting(reason)
        | Self::Wrong(reason)) = self;
        ProofError {
            name: name.to_owned(),
            reason,
            refused,
        }
    }
}

/// What an HTTP request that got no answer says about the certificate.
fn doubt(asked: &str, error: &HttpError) -> Doubt {
    let reason = format!("{asked}: {error}");
    if error.is_unreachable() {
        Doubt::Passing(reason)
    } else {
        Doubt::Refused(reason)
    }
}

/// Proves each named certificate of `inventory` (observed after the installation), trying again until `bound` has passed.
/// Server certificates by a handshake that serves the file's serial; client certificates by a handshake or request that
/// the server accepts; what nobody can ask (front-proxy-client) by checking it against the file its users trust, and the
/// evidence says so.
pub async fn prove(
    inventory: &Inventory,
    settings: &Restart,
    names: &[String],
    bound: Duration,
) -> Vec<Result<Proof, ProofError>> {
    let began = Instant::now();
    let node = Node {
        inventory,
        settings,
    };
    let mut outcomes: Vec<Option<Result<Proof, ProofError>>> = vec![None; names.len()];
    loop {
        let last = began.elapsed() >= bound;
        for (name, outcome) in names.iter().zip(&mut outcomes) {
            if outcome.is_some() {
                continue;
            }
            *outcome = match node.prove(name).await {
                Ok(evidence) => Some(Ok(Proof {
                    name: name.clone(),
                    evidence,
                })),
                Err(Doubt::Passing(_) | Doubt::Refused(_)) if !last => None,
                Err(doubt) => Some(Err(doubt.of(name))),
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
    async fn prove(&self, name: &str) -> Result<String, Doubt> {
        let entry = self
            .inventory
            .entry(name)
            .ok_or_else(|| Doubt::Lasting("no certificate of this node is called so".to_owned()))?;
        let present = match &entry.state {
            CertificateState::Present(present) => present,
            CertificateState::Missing => {
                let reason = format!("{} is not there", entry.path.display());
                return Err(Doubt::Lasting(reason));
            }
            CertificateState::Unreadable(problem) => {
                let reason = format!("{}: {}", problem.path.display(), problem.reason);
                return Err(Doubt::Lasting(reason));
            }
        };
        match entry.kind {
            EntryKind::Catalogued(Catalogued::Leaf(leaf)) => match leaf {
                LeafName::Apiserver => self.served(API_SERVER, name, present).await,
                LeafName::EtcdServer | LeafName::EtcdPeer => self.served(ETCD, name, present).await,
                LeafName::ApiserverEtcdClient | LeafName::EtcdHealthcheckClient => {
                    self.accepted_by_etcd(entry).await
                }
                LeafName::ApiserverKubeletClient => self.accepted_by_kubelet(entry).await,
                LeafName::FrontProxyClient => self.trusted_by_api_server(entry, present),
            },
            EntryKind::Catalogued(Catalogued::Kubeconfig(kubeconfig)) => {
                self.authenticates(entry, Some(kubeconfig)).await
            }
            EntryKind::KubeletConfig => self.authenticates(entry, None).await,
            // With external etcd the API server's etcd client is no row of kubeadm's, but can be asked for all the same.
            EntryKind::Extra if self.is_etcd_client_of_api_server(entry) => {
                self.accepted_by_etcd(entry).await
            }
            EntryKind::KubeletClient | EntryKind::KubeletServing | EntryKind::Extra => {
                Err(Doubt::Lasting(
                    "kubecertd knows nobody who could be asked whether it is in use".to_owned(),
                ))
            }
        }
    }

    async fn served(&self, program: &str, name: &str, present: &Present) -> Result<String, Doubt> {
        let pod = self.pod(program)?;
        let endpoints = serving_endpoints(pod);
        let endpoint = endpoints
            .iter()
            .find(|endpoint| endpoint.certificate_name == name)
            .ok_or_else(|| {
                Doubt::Lasting(format!(
                    "{} names no certificate file or no TLS address for it",
                    pod.path.display()
                ))
            })?;
        serves(endpoint, &present.leaf)
            .await
            .map_err(Doubt::Refused)
    }

    /// etcd demands a certificate of every client; with TLS 1.3 a refusal shows only when something is read.
    async fn accepted_by_etcd(&self, entry: &Entry) -> Result<String, Doubt> {
        let identity = identity(entry)?;
        let (address, trusted) = self.etcd()?;
        let pem = read_bounded(&trusted)
            .map_err(|error| Doubt::Passing(format!("{}: {error}", trusted.display())))?;
        let authorities = authorities_from_pem(&pem)
            .map_err(|reason| Doubt::Passing(format!("{}: {reason}", trusted.display())))?;
        let server = Server {
            address: &address,
            security: Security::Verified {
                authorities: &authorities,
                server_name: &address.host,
                identity: Some(&identity),
            },
        };
        let answer = http::get(server, ETCD_HEALTH)
            .await
            .map_err(|error| doubt("etcd", &error))?;
        match answer.status {
            200 => Ok(format!("etcd accepts it at https://{address}")),
            _ => Err(Doubt::Refused(format!(
                "etcd at https://{address}/health: {}",
                answer.describe()
            ))),
        }
    }

    /// Where etcd is and which file says whom to trust there: the local pod's, else the API server's flags.
    fn etcd(&self) -> Result<(Address, PathBuf), Doubt> {
        let local = self
            .inventory
            .static_pods
            .iter()
            .find(|pod| runs(pod, ETCD))
            .and_then(etcd_http_address);
        let api_server = self.pod(API_SERVER);
        let remote = || -> Option<Address> {
            let urls = api_server.as_ref().ok()?.flag("etcd-servers")?;
            urls.split(',')
                .filter_map(parse_url)
                .find(|(https, _, _)| *https)
                .map(|(_, address, _)| address)
        };
        let address = local.or_else(remote).ok_or_else(|| {
            Doubt::Lasting("no manifest of this node says where etcd answers over TLS".to_owned())
        })?;
        let trusted = self
            .inventory
            .authority(AuthorityName::Etcd)
            .filter(|authority| authority.certificate().is_some())
            .map(|authority| authority.certificate_path.clone())
            .or_else(|| api_server.as_ref().ok()?.file_flag("etcd-cafile"))
            .ok_or_else(|| {
                Doubt::Lasting("nothing says which CA etcd's certificate is from".to_owned())
            })?;
        Ok((address, trusted))
    }

    fn is_etcd_client_of_api_server(&self, entry: &Entry) -> bool {
        self.pod(API_SERVER)
            .ok()
            .and_then(|pod| pod.file_flag("etcd-certfile"))
            .is_some_and(|path| path == entry.path)
    }

    /// The kubelet listens on all addresses unless told otherwise; then on the node's.
    async fn accepted_by_kubelet(&self, entry: &Entry) -> Result<String, Doubt> {
        let identity = identity(entry)?;
        let mut hosts = vec!["127.0.0.1".to_owned()];
        if let Ok(pod) = self.pod(API_SERVER) {
            hosts.extend(pod.flag("advertise-address").map(str::to_owned));
        }
        let mut seen = Vec::new();
        for host in hosts {
            let address = Address {
                host,
                port: KUBELET_PORT,
            };
            let server = Server {
                address: &address,
                security: Security::Unverified(Some(&identity)),
            };
            match http::get(server, "/healthz").await {
                Ok(answer) => return kubelet_verdict(&address, &answer),
                Err(error) => seen.push(error.to_string()),
            }
        }
        Err(Doubt::Passing(format!(
            "the kubelet cannot be asked: {}",
            seen.join("; ")
        )))
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
                "{}; its component goes on with the old one until somebody restarts it",
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
                    "{} has no manifest of {program}, so nobody on this node can be asked",
                    self.inventory.directories.manifests.display()
                ))
            })
    }
}

fn identity(entry: &Entry) -> Result<Identity, Doubt> {
    let key = entry
        .key_path
        .as_ref()
        .ok_or_else(|| Doubt::Lasting("it has no key file".to_owned()))?;
    Identity::from_files(&entry.path, key).map_err(|error| Doubt::Lasting(error.to_string()))
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, Doubt> {
    let lasting = |reason: String| Doubt::Lasting(format!("{}: {reason}", path.display()));
    let bytes = read_bounded(path).map_err(|error| lasting(error.to_string()))?;
    certificates_from_pem(&bytes).map_err(|error| lasting(error.to_string()))
}

/// 401 is a refusal; anything that names another user than the anonymous one is an acceptance, whatever his rights.
fn kubelet_verdict(address: &Address, answer: &Answer) -> Result<String, Doubt> {
    match answer.status {
        200 => Ok(format!("the kubelet accepts it at https://{address}")),
        403 if !answer.body.contains("system:anonymous") => Ok(format!(
            "the kubelet at https://{address} accepts it, but gives its holder no right to /healthz"
        )),
        _ => Err(Doubt::Refused(format!(
            "the kubelet at https://{address}/healthz: {}",
            answer.describe()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelet_refuses_by_401_or_by_taking_the_holder_for_anonymous() {
        let verdict = |status: u16, body: &str| {
            let address = Address {
                host: "127.0.0.1".to_owned(),
                port: KUBELET_PORT,
            };
            let answer = Answer {
                status,
                body: body.to_owned(),
            };
            kubelet_verdict(&address, &answer).is_ok()
        };
        assert!(verdict(200, "ok"));
        assert!(verdict(
            403,
            "Forbidden (user=kube-apiserver-kubelet-client, verb=get)"
        ));
        assert!(!verdict(403, "Forbidden (user=system:anonymous, verb=get)"));
        assert!(!verdict(401, "Unauthorized"));
        assert!(!verdict(500, "Authorization error"));
    }
}
