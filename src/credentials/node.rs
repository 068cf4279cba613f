//! A kubeconfig for a kubelet that was off for so long that nothing it has is accepted any more.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::error::CredentialError;
use super::issued::IssuedRecord;
use super::places::Places;
use super::user::{NewUser, TargetCluster, UserKubeconfig, ends_sooner, signed};
use crate::node::is_dns_name;
use crate::pki::KeyAlgorithm;

/// Before the name of a node that makes itself known.
const NODE: &str = "system:node:";
/// The group of all of them.
const NODES: &str = "system:nodes";

/// A kubeconfig with a new key (EC P-256, as the kubelet's own) and a certificate with which the kubelet of the node `name` makes itself
/// known, valid for `validity` or until its authority ends. It is recorded before it is given out; `record` says where, and where the
/// kubeconfig goes.
///
/// # Errors
/// [`CredentialError`]; also where no node can be called so.
pub fn for_node(
    places: &Places,
    name: &str,
    validity: Duration,
    record: (&IssuedRecord, Option<&Path>),
    now: Timestamp,
) -> Result<UserKubeconfig, CredentialError> {
    check_node_name(name)?;
    let cluster = TargetCluster {
        key_algorithm: Some(KeyAlgorithm::EcdsaP256),
        validity,
        ..TargetCluster::of_node(places.root()).map_err(without_configuration)?
    };
    let user = NewUser {
        name: &format!("{NODE}{name}"),
        groups: &[NODES.to_owned()],
        validity: None,
        allow_masters: false,
    };
    let mut made = signed(places, &cluster, &user, record, now)?;
    let certificate = made.certificate.as_ref();
    made.warnings
        .extend(certificate.and_then(|one| ends_sooner(one, validity, now)));
    Ok(made)
}

/// No configuration of kubeadm's can be given in place of admin.conf.
fn without_configuration(error: CredentialError) -> CredentialError {
    match error {
        CredentialError::NothingThere(_) => CredentialError::NothingThere(
            "there is no /etc/kubernetes/admin.conf that says which API server this cluster has; run it on a control plane"
                .to_owned(),
        ),
        other => other,
    }
}

/// Whether a node can be called so: a subdomain of RFC 1123 in small letters of at most 253, as Kubernetes has it.
///
/// # Errors
/// [`CredentialError::NothingThere`], with what is wrong.
pub fn check_node_name(name: &str) -> Result<(), CredentialError> {
    if is_dns_name(name) {
        return Ok(());
    }
    let bare = name.strip_prefix(NODE).filter(|bare| is_dns_name(bare));
    let lower = name.to_lowercase();
    let instead = match bare {
        Some(bare) => format!("; write {bare}"),
        None if is_dns_name(&lower) => format!("; write {lower}"),
        None => String::new(),
    };
    Err(CredentialError::NothingThere(format!(
        "{name:?} is no name of a node: those are small letters, digits, '-' and '.', as `kubectl get nodes` shows them{instead}"
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_a_node_can_be_called_is_signed() {
        let longest = format!("{}.{0}.{0}.{}", "a".repeat(63), "b".repeat(61));
        for good in ["worker-1", "w1.example.org", "1", longest.as_str()] {
            assert!(check_node_name(good).is_ok(), "{good}");
        }
        let too_long = format!("{longest}b");
        for bad in [
            "",
            "Worker",
            "-w",
            "w-",
            "w_1",
            "w..x",
            ".w",
            "w/../x",
            "w\n",
            "w 1",
            "system:node:w1",
            "*.w",
            "\u{e9}",
            too_long.as_str(),
        ] {
            assert!(check_node_name(bad).is_err(), "{bad}");
        }
        for (given, meant) in [("Worker", "write worker"), ("system:node:w1", "write w1")] {
            let told = check_node_name(given).unwrap_err().to_string();
            assert!(told.ends_with(meant), "{told}");
        }
    }
}
