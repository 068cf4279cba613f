//! Whether a running pod took up its new certificates by itself.

use super::endpoint::serving_endpoints;
use super::ready::serves_file;
use crate::config::Restart;
use crate::host::{Pace, Wait};
use crate::node::{CertificateId, Inventory};
use crate::pki::LeafName;
use crate::plan::AffectedPod;

/// kubeadm makes it for people and its own use; no pod reads it.
const USED_BY_NO_POD: CertificateId = CertificateId::leaf(LeafName::EtcdHealthcheckClient);

/// Whether handshakes show, within `restart.reload-timeout`, that the pod serves every renewed certificate it uses. What
/// no handshake can show (client certificates, kubeconfigs) makes this false at once, and then the pod is to be restarted.
pub async fn picked_up(inventory: &Inventory, settings: &Restart, pod: &AffectedPod) -> bool {
    let Some(static_pod) = inventory.pod(&pod.pod) else {
        return false;
    };
    let served = serving_endpoints(static_pod);
    let mut wanted = Vec::new();
    for id in &pod.certificates {
        if *id == USED_BY_NO_POD {
            continue;
        }
        match served
            .iter()
            .find(|endpoint| CertificateId::leaf(endpoint.leaf) == *id)
        {
            Some(endpoint) => wanted.push(endpoint),
            None => return false,
        }
    }
    if wanted.is_empty() {
        return false;
    }
    let wait = Wait::begin(settings.reload_timeout);
    let mut pace = Pace::new();
    loop {
        let mut missing = None;
        for endpoint in &wanted {
            if let Err(seen) = serves_file(endpoint, inventory).await {
                missing = Some(seen.into_words());
                break;
            }
        }
        let component = pod.pod.component.as_str();
        match missing {
            // The caller says so, as an event of the operation.
            None => return true,
            Some(seen) if wait.is_over() => {
                tracing::info!(
                    component,
                    "{component}: did not take up its new certificates within {} s: {seen}",
                    wait.bound.as_secs()
                );
                return false;
            }
            Some(_) => pace.pause().await,
        }
    }
}
