//! Whether what a restart and its proof need is there: asked before anything is touched, all at once and within seconds.

use std::time::Duration;

use tokio::time::timeout;

use super::intent::Intent;
use super::outlook::Outlook;
use crate::config::Restart;
use crate::net::together;
use crate::node::{Inventory, StaticPod};
use crate::probe::{control_planes, health_endpoint, healthy, kubelet_answers, node_address};
use crate::runtime::{ContainerRuntime, KubeletService};

/// For each answer.
const BOUND: Duration = Duration::from_secs(4);

/// Asks the kubelet, the container runtime, each pod that `intent` would restart, and the other control planes.
pub async fn outlook(
    inventory: &Inventory,
    settings: &Restart,
    service: &KubeletService,
    intent: &Intent,
) -> Outlook {
    let pods = inventory
        .static_pods
        .iter()
        .filter(|pod| intent.manifests.contains(&pod.path));
    let health = together(pods.map(|pod| unwell(inventory, pod)).collect());
    let (kubelet, runtime, unwell, control_planes) = tokio::join!(
        kubelet(inventory, service),
        runtime(inventory, settings),
        health,
        control_planes(inventory),
    );
    Outlook {
        kubelet,
        runtime,
        unwell: unwell.into_iter().flatten().collect(),
        control_planes,
    }
}

fn silent() -> String {
    format!("no answer within {} s", BOUND.as_secs())
}

async fn kubelet(inventory: &Inventory, service: &KubeletService) -> Option<String> {
    let seen = match timeout(BOUND, kubelet_answers(inventory)).await {
        Ok(Ok(())) if inventory.kubelet.healthz.is_some() => return None,
        // It has no port to be asked at: only systemd knows.
        Ok(Ok(())) => return service.why_down().await,
        Ok(Err((address, reason))) if reason.contains(&address.to_string()) => reason,
        Ok(Err((address, reason))) => format!("{address}: {reason}"),
        Err(_) => silent(),
    };
    Some(match service.why_down().await {
        Some(state) => format!("{state}; {seen}"),
        None => seen,
    })
}

async fn runtime(inventory: &Inventory, settings: &Restart) -> Option<String> {
    match timeout(BOUND, ContainerRuntime::find(inventory, settings)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("the container runtime: {}", silent())),
    }
}

/// A likely address at which nobody answers may just be a wrong guess.
async fn unwell(inventory: &Inventory, pod: &StaticPod) -> Option<(String, String)> {
    let endpoint = health_endpoint(pod, node_address(inventory).as_deref())
        .filter(|endpoint| !endpoint.is_guess)?;
    let seen = match timeout(BOUND, healthy(&endpoint, pod, inventory)).await {
        Ok(Ok(())) => return None,
        Ok(Err(seen)) => seen,
        Err(_) => silent(),
    };
    Some((pod.component().to_owned(), seen))
}
