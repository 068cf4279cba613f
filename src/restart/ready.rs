//! Whether a pod that runs is well and serves what is on the disk.

use super::endpoint::{
    HealthEndpoint, ServingEndpoint, health_endpoint, node_address, serving_endpoints,
};
use super::health::healthy;
use super::read_bounded;
use super::tls::handshake;
use crate::node::{Inventory, StaticPod};
use crate::pki::{Certificate, certificates_from_pem};

/// What has to hold before a pod counts as restarted.
#[derive(Debug)]
pub(super) struct Readiness<'a> {
    pod: &'a StaticPod,
    inventory: &'a Inventory,
    health: Option<HealthEndpoint>,
    serving: Vec<ServingEndpoint>,
}

impl<'a> Readiness<'a> {
    pub(super) fn of(pod: &'a StaticPod, inventory: &'a Inventory) -> Self {
        Self {
            pod,
            inventory,
            health: health_endpoint(pod, node_address(inventory).as_deref()),
            serving: serving_endpoints(pod),
        }
    }

    /// Where all nodes have expired, no other member of etcd is there before its own node has been brought back: one that
    /// serves its new certificates is well enough to go on.
    pub(super) fn accept_without_quorum(&mut self) {
        self.health = self.health.take().map(HealthEndpoint::without_quorum);
    }

    /// Before the manifest goes out: a likely address at which nobody answers well now is not asked later either. A wrong
    /// guess must not count as a pod that did not come back.
    pub(super) async fn drop_wrong_guess(&mut self) {
        let Some(endpoint) = self.health.take_if(|endpoint| endpoint.is_guess) else {
            return;
        };
        match healthy(&endpoint, self.pod, self.inventory).await {
            Ok(()) => self.health = Some(endpoint),
            Err(seen) => tracing::debug!(
                component = self.pod.component(),
                "not asked whether it is well: {seen}"
            ),
        }
    }

    /// Whether the pod says itself whether it is well; otherwise running for a while has to do.
    pub(super) fn can_be_asked(&self) -> bool {
        self.health.is_some()
    }

    /// Asks once.
    ///
    /// # Errors
    /// What was seen instead, in words.
    pub(super) async fn ask(&self) -> Result<(), String> {
        if let Some(endpoint) = &self.health {
            healthy(endpoint, self.pod, self.inventory).await?;
        }
        for endpoint in &self.serving {
            serves_file(endpoint).await?;
        }
        Ok(())
    }
}

/// Whether the certificate in the file is the one served; its serial where it is.
///
/// # Errors
/// What is served or wrong instead, in words.
pub(super) async fn serves_file(endpoint: &ServingEndpoint) -> Result<String, String> {
    let path = endpoint.certificate.display();
    let bytes = read_bounded(&endpoint.certificate).map_err(|error| format!("{path}: {error}"))?;
    let certificates = certificates_from_pem(&bytes).map_err(|error| format!("{path}: {error}"))?;
    let wanted = certificates
        .first()
        .ok_or_else(|| format!("{path}: holds no certificate"))?;
    serves(endpoint, wanted).await
}

/// Whether `wanted` is the certificate served; what was seen, in words, both ways.
pub(super) async fn serves(
    endpoint: &ServingEndpoint,
    wanted: &Certificate,
) -> Result<String, String> {
    let address = &endpoint.address;
    let served = handshake(address, &address.host, None)
        .await
        .map_err(|error| error.to_string())?;
    if served.leaf.der() == wanted.der() {
        Ok(format!("{address} serves serial {}", served.leaf.serial))
    } else {
        Err(format!(
            "{address} serves serial {} of {}, not serial {} as in {}",
            served.leaf.serial,
            served.leaf.subject,
            wanted.serial,
            endpoint.certificate.display()
        ))
    }
}
