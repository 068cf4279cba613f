//! What `kubectl get nodes` would show of this node.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::authenticate::as_holder;
use super::endpoint::{API_SERVER, api_server_address, runs};
use crate::node::Inventory;

/// Pause between two questions.
const ROUND: Duration = Duration::from_secs(1);

/// Asks the API server with a kubeconfig for this node until it is Ready. What it is, in words.
///
/// # Errors
/// What was seen instead until `bound` was over.
pub async fn node_is_ready(
    inventory: &Inventory,
    kubeconfig: &Path,
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
    let path = format!("/api/v1/nodes/{name}");
    let begun = Instant::now();
    loop {
        let seen = match as_holder(kubeconfig, local.as_ref(), &path).await {
            Ok(answer) if answer.status == 200 => match not_ready(&answer.body) {
                None => return Ok(format!("node {name} is Ready")),
                Some(reason) => format!("node {name} is not Ready: {reason}"),
            },
            Ok(answer) => format!("{path}: {}", answer.describe()),
            Err(error) => error.to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
