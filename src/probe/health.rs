//! Asking a component whether it is well.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::endpoint::{HealthEndpoint, PeerKind, reachable};
use super::peer::Peer;
use crate::host::{is_trusted_owner, listeners};
use crate::net::{Address, Answer, Identity, Security, Server, http};
use crate::node::{CertificateId, Inventory, StaticPod};
use crate::pki::LeafName;

/// Whether it answers 200. API server and etcd are verified first. The API server is well also if it refuses anonymous
/// requests: the kubelet's probes show it no certificate either. What cannot be verified is believed and proves nothing.
///
/// # Errors
/// What came back instead, in words.
pub(crate) async fn healthy(
    endpoint: &HealthEndpoint,
    pod: &StaticPod,
    inventory: &Inventory,
) -> Result<(), String> {
    let host = &endpoint.address.host;
    let unknown = |reason: String| format!("{}: {reason}", url(endpoint));
    let answer = match endpoint.peer {
        PeerKind::Unverifiable if endpoint.https => ask(endpoint, Security::Unverified).await?,
        PeerKind::Unverifiable => ask(endpoint, Security::Plain).await?,
        PeerKind::Etcd => {
            let peer = Peer::etcd(inventory, host).map_err(unknown)?;
            let identity = etcd_identity(pod, inventory);
            ask(endpoint, peer.security(identity.as_ref())).await?
        }
        PeerKind::ApiServer => {
            let peer = Peer::api_server(pod, inventory, host).map_err(unknown)?;
            let answer = ask(endpoint, peer.security(None)).await?;
            if matches!(answer.status, 401 | 403) {
                tracing::debug!(
                    component = pod.component(),
                    "the API server answers, but refuses anonymous requests; taken for healthy"
                );
                return Ok(());
            }
            answer
        }
    };
    if answer.status == 200 {
        Ok(())
    } else {
        Err(format!("{}: {}", url(endpoint), answer.describe()))
    }
}

/// Whether the kubelet answers on its health port; `Ok` also where that is switched off.
///
/// # Errors
/// Where it was asked, and what came back.
pub(crate) async fn kubelet_answers(inventory: &Inventory) -> Result<(), (Address, String)> {
    let Some((host, port)) = &inventory.kubelet.healthz else {
        return Ok(());
    };
    let address = Address {
        host: reachable(host),
        port: *port,
    };
    let server = Server {
        address: &address,
        security: Security::Plain,
    };
    match http::get(server, "/healthz").await {
        Ok(answer) if answer.status == 200 => match whose(&address) {
            None => Ok(()),
            Some(reason) => Err((address, reason)),
        },
        Ok(answer) => Err((address.clone(), answer.describe())),
        Err(error) => Err((address.clone(), error.to_string())),
    }
}

fn url(endpoint: &HealthEndpoint) -> String {
    let scheme = if endpoint.https { "https" } else { "http" };
    format!("{scheme}://{}{}", endpoint.address, endpoint.path)
}

async fn ask(endpoint: &HealthEndpoint, security: Security<'_>) -> Result<Answer, String> {
    let address = &endpoint.address;
    http::get(Server { address, security }, &endpoint.path)
        .await
        .map_err(|error| error.to_string())
}

/// kubeadm's own client for this purpose, else etcd's serving pair, which is a client's too.
pub(super) fn etcd_identity(pod: &StaticPod, inventory: &Inventory) -> Option<Identity> {
    let of_entry = |name: LeafName| -> Option<(PathBuf, PathBuf)> {
        let entry = inventory.entry(&CertificateId::leaf(name))?;
        Some((entry.path.clone(), entry.key_path.clone()?))
    };
    let own = || Some((pod.file_flag("cert-file")?, pod.file_flag("key-file")?));
    [
        of_entry(LeafName::EtcdHealthcheckClient),
        of_entry(LeafName::ApiserverEtcdClient),
        own(),
    ]
    .into_iter()
    .flatten()
    .find_map(|(certificate, key)| Identity::from_files(&certificate, &key).ok())
}

/// Why what answered is not the kubelet, which is root's. Where the kernel does not show that, it is believed: no proof is made of
/// it.
fn whose(address: &Address) -> Option<String> {
    let host: IpAddr = address.host.parse().ok()?;
    match listeners(SocketAddr::new(host, address.port)) {
        Ok(users) if users.iter().any(|user| is_trusted_owner(*user)) => None,
        Ok(users) => Some(users.first().map_or_else(
            || "nothing listens there any more".to_owned(),
            |user| format!("a process of user {user} answers, which is not the kubelet"),
        )),
        Err(error) => {
            tracing::debug!("whose process listens at {address} is not known: {error}");
            None
        }
    }
}
