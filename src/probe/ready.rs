//! Whether a pod that runs is well and serves what is on the disk.

use std::path::Path;

use jiff::Timestamp;

use super::endpoint::{
    HealthEndpoint, ServingEndpoint, health_endpoint, node_address, serving_endpoints,
};
use super::health::healthy;
use super::peer::{signers, vouch_for};
use crate::host::read_on_machine;
use crate::net::{Address, handshake, printable};
use crate::node::{CertificateId, Inventory, StaticPod};
use crate::pki::{Certificate, certificates_from_pem};

/// What has to hold before a pod counts as restarted.
#[derive(Debug)]
pub(crate) struct Readiness<'a> {
    pod: &'a StaticPod,
    inventory: &'a Inventory,
    health: Option<HealthEndpoint>,
    serving: Vec<ServingEndpoint>,
}

impl<'a> Readiness<'a> {
    pub(crate) fn of(pod: &'a StaticPod, inventory: &'a Inventory) -> Self {
        Self {
            pod,
            inventory,
            health: health_endpoint(pod, node_address(inventory).as_deref()),
            serving: serving_endpoints(pod),
        }
    }

    /// Where all nodes have expired, no other member of etcd is there before its own node has been brought back: one that
    /// serves its new certificates is well enough to go on.
    pub(crate) fn accept_without_quorum(&mut self) {
        self.health = self.health.take().map(HealthEndpoint::without_quorum);
    }

    /// Before the manifest goes out: a likely address at which nobody answers well now is not asked later either. A wrong
    /// guess must not count as a pod that did not come back.
    pub(crate) async fn drop_wrong_guess(&mut self) {
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
    pub(crate) fn can_be_asked(&self) -> bool {
        self.health.is_some()
    }

    /// Asks once.
    ///
    /// # Errors
    /// What was seen instead, in words.
    pub(crate) async fn ask(&self) -> Result<(), String> {
        if let Some(endpoint) = &self.health {
            healthy(endpoint, self.pod, self.inventory).await?;
        }
        for endpoint in &self.serving {
            serves_file(endpoint, self.inventory)
                .await
                .map_err(NotServed::into_words)?;
        }
        Ok(())
    }
}

/// Why a certificate is not the one served.
#[derive(Debug)]
pub(super) enum NotServed {
    /// Another one is, which its own CA signed for a server: an earlier one of the file, most likely.
    Another {
        /// In words.
        told: String,
        /// When that one ends.
        not_after: Timestamp,
    },
    /// That says nothing about the certificate: no answer, no proof of the key, or another process on the port. In words.
    Unknown(String),
}

impl NotServed {
    pub(super) fn into_words(self) -> String {
        let (Self::Another { told, .. } | Self::Unknown(told)) = self;
        told
    }
}

/// Whether the certificate in the file is the one served; its serial where it is.
///
/// # Errors
/// What is served or wrong instead.
pub(super) async fn serves_file(
    endpoint: &ServingEndpoint,
    inventory: &Inventory,
) -> Result<String, NotServed> {
    let path = endpoint.certificate.display();
    let unknown = |reason: &dyn std::fmt::Display| NotServed::Unknown(format!("{path}: {reason}"));
    let bytes = read_on_machine(&endpoint.certificate).map_err(|error| unknown(&error))?;
    let certificates = certificates_from_pem(&bytes).map_err(|error| unknown(&error))?;
    let wanted = certificates
        .first()
        .ok_or_else(|| unknown(&"holds no certificate"))?;
    let signers = signers(inventory, &CertificateId::leaf(endpoint.leaf));
    serves(&endpoint.address, &endpoint.certificate, wanted, signers).await
}

/// Whether `wanted`, of that file, is the certificate served there; what was seen, in words, both ways. `signers`: the CAs that may
/// have signed it.
pub(super) async fn serves(
    address: &Address,
    file: &Path,
    wanted: &Certificate,
    signers: &[Certificate],
) -> Result<String, NotServed> {
    let served = handshake(address, &address.host, None)
        .await
        .map_err(|error| NotServed::Unknown(error.to_string()))?;
    let leaf = &served.leaf;
    if leaf.der() == wanted.der() {
        return Ok(format!("{address} serves serial {}", leaf.serial));
    }
    let told = format!(
        "serves serial {} of {}, not serial {} as in {}",
        leaf.serial,
        printable(&leaf.subject),
        wanted.serial,
        file.display()
    );
    let chain: Vec<Certificate> = served
        .chain
        .iter()
        .map_while(|der| Certificate::from_der(der).ok())
        .collect();
    if vouch_for(signers, &chain) && may_serve(leaf) {
        Err(NotServed::Another {
            told: format!("{address} {told}"),
            not_after: leaf.not_after,
        })
    } else {
        Err(NotServed::Unknown(format!(
            "another process answers: {address} {told}, and no CA that signs that file signed what it serves; see `ss -ltnp sport = :{}`",
            address.port
        )))
    }
}

/// Holders of a client certificate of the same CA are no servers.
fn may_serve(certificate: &Certificate) -> bool {
    /// id-kp-serverAuth (RFC 5280 §4.2.1.12) and anyExtendedKeyUsage.
    const SERVERS: [&str; 2] = ["1.3.6.1.5.5.7.3.1", "2.5.29.37.0"];
    let usage = &certificate.extended_key_usage;
    usage.is_empty() || usage.iter().any(|oid| SERVERS.contains(&oid.as_str()))
}
