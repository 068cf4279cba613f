//! Asking a component whether it is well.

use std::path::PathBuf;

use super::authenticate::kubeconfig_identity;
use super::endpoint::{Address, Credentials, HealthEndpoint, reachable};
use super::http::{self, Answer, HttpError, Security, Server};
use super::tls::Identity;
use crate::node::{Inventory, StaticPod};

/// Whether it answers 200. The server's certificate is not verified: that is the proof's business.
///
/// # Errors
/// What came back instead, in words.
pub(super) async fn healthy(
    endpoint: &HealthEndpoint,
    pod: &StaticPod,
    inventory: &Inventory,
) -> Result<(), String> {
    let answer = match endpoint.credentials {
        Credentials::None => ask(endpoint, None).await?,
        Credentials::Etcd => {
            // Refused or not, the reason to show is that of the request with a certificate.
            match etcd_identity(pod, inventory) {
                Some(identity) => ask(endpoint, Some(&identity)).await?,
                None => ask(endpoint, None).await?,
            }
        }
        Credentials::Kubeconfig => {
            let anonymous = ask(endpoint, None).await?;
            match anonymous.status {
                401 | 403 => ask_as_somebody(endpoint, inventory, anonymous).await?,
                _ => anonymous,
            }
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
pub(super) async fn kubelet_answers(inventory: &Inventory) -> Result<(), (Address, String)> {
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
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err((address.clone(), answer.describe())),
        Err(error) => Err((address.clone(), error.to_string())),
    }
}

fn url(endpoint: &HealthEndpoint) -> String {
    let scheme = if endpoint.https { "https" } else { "http" };
    format!("{scheme}://{}{}", endpoint.address, endpoint.path)
}

async fn ask(endpoint: &HealthEndpoint, identity: Option<&Identity>) -> Result<Answer, String> {
    let server = Server {
        address: &endpoint.address,
        security: if endpoint.https {
            Security::Unverified(identity)
        } else {
            Security::Plain
        },
    };
    http::get(server, &endpoint.path)
        .await
        .map_err(|error: HttpError| error.to_string())
}

/// Asks again with each kubeconfig of the node until one is let in. A server that refuses anonymous requests and every
/// credential here with 401 does answer; nobody on this node can ask it more.
async fn ask_as_somebody(
    endpoint: &HealthEndpoint,
    inventory: &Inventory,
    anonymous: Answer,
) -> Result<Answer, String> {
    let mut last = anonymous;
    for name in ["admin.conf", "super-admin.conf", "controller-manager.conf"] {
        let path = inventory.directories.kubernetes.join(name);
        let Ok((_, identity)) = kubeconfig_identity(&path) else {
            continue;
        };
        let answer = ask(endpoint, Some(&identity)).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        last = answer;
    }
    if last.status == 401 {
        tracing::warn!(
            component = "kube-apiserver",
            "the API server answers, but refuses anonymous requests and every credential of this node; taken for healthy"
        );
        return Ok(Answer {
            status: 200,
            ..last
        });
    }
    Ok(last)
}

/// kubeadm's own client for this purpose, else etcd's serving pair, which is a client's too.
fn etcd_identity(pod: &StaticPod, inventory: &Inventory) -> Option<Identity> {
    let of_entry = |name: &str| -> Option<(PathBuf, PathBuf)> {
        let entry = inventory.entry(name)?;
        Some((entry.path.clone(), entry.key_path.clone()?))
    };
    let own = || Some((pod.file_flag("cert-file")?, pod.file_flag("key-file")?));
    [
        of_entry("etcd-healthcheck-client"),
        of_entry("apiserver-etcd-client"),
        own(),
    ]
    .into_iter()
    .flatten()
    .find_map(|(certificate, key)| Identity::from_files(&certificate, &key).ok())
}
