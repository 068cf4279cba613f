//! Certificates that live only in a component's memory, seen by handshakes.
//!
//! The API server makes one for its connections to itself at each start, and fails from inside when it ends; controller-manager and
//! scheduler make those that they serve. Nothing vouches for them: whoever listens in the place of a component could show one that
//! ends soon and have that component restarted. So a listener that is another user's than root's is not believed.

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;

use super::endpoint::{
    API_SERVER, CONTROLLER_MANAGER, SCHEDULER, api_server_address, health_endpoint, runs,
};
use crate::host::{is_trusted_owner, listeners};
use crate::net::{Address, handshake, together};
use crate::node::{Inventory, StaticPod};

/// What an API server calls its connection to itself, and shows such a certificate for.
pub(super) const LOOPBACK_NAME: &str = "apiserver-loopback-client";

/// How Kubernetes names what a component makes for itself: `localhost@1767225600`.
const SELF_MADE: &str = "localhost@";

/// One such certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InMemory {
    /// Whose it is.
    pub component: String,
    /// Where it was seen.
    pub address: Address,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends; a restart of the component makes another.
    pub not_after: Timestamp,
}

impl InMemory {
    /// As people see it: `kube-apiserver (in memory)`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} (in memory)", self.component)
    }
}

/// Makes a handshake with each component that has one. What does not answer, or shows another certificate, is left out.
pub async fn look_in_memory(inventory: &Inventory) -> Vec<InMemory> {
    let looks = inventory
        .static_pods
        .iter()
        .filter_map(|pod| Some(look(pod.component(), question(pod)?)));
    let seen = together(looks.collect()).await;
    seen.into_iter().flatten().collect()
}

/// Where to ask by which name, and how the certificate's own begins.
struct Question {
    address: Address,
    server_name: String,
    begins: &'static str,
}

fn question(pod: &StaticPod) -> Option<Question> {
    if runs(pod, API_SERVER) {
        return Some(Question {
            address: api_server_address(pod)?,
            server_name: LOOPBACK_NAME.to_owned(),
            begins: LOOPBACK_NAME,
        });
    }
    let makes_its_own = [CONTROLLER_MANAGER, SCHEDULER]
        .iter()
        .any(|program| runs(pod, program))
        && pod.flag("tls-cert-file").is_none();
    let address = makes_its_own.then(|| health_endpoint(pod, None))??.address;
    Some(Question {
        server_name: address.host.clone(),
        begins: SELF_MADE,
        address,
    })
}

async fn look(component: &str, question: Question) -> Option<InMemory> {
    let Question {
        address,
        server_name,
        begins,
    } = question;
    let host: IpAddr = address.host.parse().ok()?;
    let users = listeners(SocketAddr::new(host, address.port)).ok()?;
    if !users.iter().any(|user| is_trusted_owner(*user)) {
        return None;
    }
    let leaf = handshake(&address, &server_name, None).await.ok()?.leaf;
    leaf.common_name
        .as_deref()
        .is_some_and(|name| name.starts_with(begins))
        .then(|| InMemory {
            component: component.to_owned(),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            address,
        })
}
