//! What `kubectl get nodes` would show of this node.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::authenticate::as_holder;
use super::endpoint::{API_SERVER, api_server_address, runs};
use crate::node::Inventory;

/// Pause between two questions.
const ROUND: Duration = Duration::from_secs(1);

/// Asks the API server with a kubeconfig for this node until it is Ready, and its kubelet has been heard of since then: a node stays
/// Ready for 40 s after its kubelet's last word. What it is, in words.
///
/// # Errors
/// What was seen instead until `bound` was over.
pub async fn node_is_ready(
    inventory: &Inventory,
    kubeconfig: &Path,
    since: Timestamp,
    bound: Duration,
) -> Result<String, String> {
    let name = inventory
        .node_name
        .as_deref()
        .ok_or("this node's name is not known")?;
    let local = inventory
        .static_pods
        .iter()
        .find(|pod| runs(pod, API_SERVER))
        .and_then(api_server_address);
    let node = format!("/api/v1/nodes/{name}");
    // Which the kubelet renews every ten seconds, and when it starts.
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}");
    let ask = async |path: &str| match as_holder(kubeconfig, local.as_ref(), path).await {
        Ok(answer) if answer.status == 200 => Ok(answer.body),
        Ok(answer) => Err(format!("{path}: {}", answer.describe())),
        Err(error) => Err(error.to_string()),
    };
    let look = async || {
        if let Some(reason) = not_ready(&ask(&node).await?) {
            return Err(format!("node {name} is not Ready: {reason}"));
        }
        if is_heard_of_since(&ask(&lease).await?, since) {
            Ok(format!("node {name} is Ready"))
        } else {
            Err(format!(
                "node {name} is Ready, but its kubelet has not been heard of since it was to use its new certificate"
            ))
        }
    };
    let begun = Instant::now();
    loop {
        let seen = match look().await {
            Ok(ready) => return Ok(ready),
            Err(seen) => seen,
        };
        if begun.elapsed() >= bound {
            return Err(seen);
        }
        sleep(ROUND).await;
    }
}

/// Why a node is not Ready, by its own condition.
fn not_ready(node: &str) -> Option<String> {
    let node: Value = match serde_json::from_str(node) {
        Ok(node) => node,
        Err(error) => return Some(error.to_string()),
    };
    let ready = node
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready");
    match ready {
        Some(condition) if condition["status"] == "True" => None,
        Some(condition) => Some(
            condition["message"]
                .as_str()
                .unwrap_or("it does not say why")
                .to_owned(),
        ),
        None => Some("it has not said anything about itself".to_owned()),
    }
}

/// Both moments are of this machine's clock.
fn is_heard_of_since(lease: &str, since: Timestamp) -> bool {
    let renewed = serde_json::from_str(lease).ok().and_then(|lease: Value| {
        let moment = lease.pointer("/spec/renewTime")?.as_str()?;
        moment.parse::<Timestamp>().ok()
    });
    renewed.is_some_and(|renewed| renewed >= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kubelet_said_before_counts_no_more() {
        let lease = |moment: &str| format!(r#"{{"spec":{{"renewTime":"{moment}"}}}}"#);
        let since = "2026-11-27T20:00:00Z".parse().unwrap();
        let heard = |text: &str| is_heard_of_since(text, since);
        assert!(heard(&lease("2026-11-27T20:00:01.123456Z")));
        for text in [
            &lease("2026-11-27T19:59:59.999999Z"),
            &lease("now"),
            "{}",
            "no JSON",
        ] {
            assert!(!heard(text), "{text}");
        }
    }

    #[test]
    fn only_its_own_word_makes_a_node_ready() {
        let node = |conditions: &str| format!(r#"{{"status":{{"conditions":[{conditions}]}}}}"#);
        let other = r#"{"type":"DiskPressure","status":"True","message":"no"}"#;
        let ready = |status: &str| {
            format!(
                r#"{other},{{"type":"Ready","status":"{status}","message":"kubelet stopped posting"}}"#
            )
        };
        assert_eq!(not_ready(&node(&ready("True"))), None);
        for status in ["False", "Unknown"] {
            let reason = not_ready(&node(&ready(status))).unwrap();
            assert_eq!(reason, "kubelet stopped posting");
        }
        assert!(not_ready(&node(other)).is_some());
        assert!(not_ready("{}").is_some() && not_ready("no JSON").is_some());
    }
}
