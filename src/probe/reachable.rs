//! Whether this node's own parts of Kubernetes answer at all.

use super::endpoint::{API_SERVER, health_endpoint, runs};
use super::health::{healthy, kubelet_answers};
use crate::node::Inventory;
use crate::plan::Reachability;

/// Asks the kubelet and this node's API server, once each. One that is not there counts as answering: nobody waits for it.
pub async fn reachability(inventory: &Inventory) -> Reachability {
    let pod = inventory
        .static_pods
        .iter()
        .find(|pod| runs(pod, API_SERVER));
    let api_server = match pod.and_then(|pod| Some((pod, health_endpoint(pod, None)?))) {
        Some((pod, endpoint)) => healthy(&endpoint, pod, inventory).await.is_ok(),
        None => true,
    };
    Reachability {
        kubelet: kubelet_answers(inventory).await.is_ok(),
        api_server,
    }
}
