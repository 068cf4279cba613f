//! Telling Cluster API when this machine's certificates end now, so that it does not replace the machine because of the old ones.
//!
//! Cluster API reads that once, keeps it in an annotation of the KubeadmConfig (or an administrator in one of the Machine, which
//! counts first), and replaces the machine so many days before (`rolloutBefore.certificatesExpiryDays`). Both are in the management
//! cluster, where a node of the workload cluster has no rights: this needs a kubeconfig of its own.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::{Access, ApiError, MachineKind, Machines, Nodes, certificates_expiry, text};
use crate::net::Address;
use crate::pki::rfc3339;

use super::turn::is_name;

/// Where the Node says which Machine it is.
const MACHINE: &str = "cluster.x-k8s.io/machine";
const NAMESPACE: &str = "cluster.x-k8s.io/cluster-namespace";

/// What came of telling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineTold {
    /// This node says of no Machine that it is it.
    NoMachine,
    /// The Machine is not this node, or is gone.
    AnotherMachine,
    /// Cluster API has not read the end yet, and will read the new one.
    NotKept,
    /// It knows it already.
    Known,
    /// It knows it now.
    Updated,
}

/// Says that the API server's certificate of `node` ends at `ends`, where Cluster API keeps another moment. `workload` is this
/// cluster, in which the Node says which Machine it is; `management` the one in which the Machine is. Whoever may write the Node can
/// name another Machine, which is left alone, as it says of itself which node it is.
///
/// # Errors
/// [`ApiError`].
pub async fn tell_machine(
    node: &str,
    ends: Timestamp,
    workload: (&Arc<Access>, &[Address]),
    management: &Arc<Access>,
) -> Result<MachineTold, ApiError> {
    let Some((namespace, name)) = machine_of(node, workload).await? else {
        return Ok(MachineTold::NoMachine);
    };
    let machines = Machines::of(management, &namespace);
    let Some(machine) = machines.get(MachineKind::Machine, &name).await? else {
        return Ok(MachineTold::AnotherMachine);
    };
    if text(&machine, "/status/nodeRef/name") != Some(node) {
        return Ok(MachineTold::AnotherMachine);
    }
    let wanted = rfc3339(ends);
    let (kind, object) = if certificates_expiry(&machine).is_some() {
        (MachineKind::Machine, machine)
    } else {
        let reference = text(&machine, "/spec/bootstrap/configRef/name");
        let Some(config) = reference.filter(|name| is_name(name)) else {
            return Ok(MachineTold::NotKept);
        };
        let Some(config) = machines.get(MachineKind::KubeadmConfig, config).await? else {
            return Ok(MachineTold::NotKept);
        };
        (MachineKind::KubeadmConfig, config)
    };
    match certificates_expiry(&object) {
        None => Ok(MachineTold::NotKept),
        Some(kept) if kept.parse::<Timestamp>().ok() == wanted.parse().ok() => {
            Ok(MachineTold::Known)
        }
        Some(_) => {
            machines.annotate(kind, &object, &wanted).await?;
            Ok(MachineTold::Updated)
        }
    }
}

/// Namespace and name of the Machine that the Node says it is.
async fn machine_of(
    node: &str,
    (access, servers): (&Arc<Access>, &[Address]),
) -> Result<Option<(String, String)>, ApiError> {
    let mut last = None;
    for server in servers {
        match Nodes::at(access, server).annotations(node).await {
            Err(error) if error.may_differ_elsewhere() => last = Some(error),
            Err(error) => return Err(error),
            Ok(annotations) => {
                let value = |key| annotations.get(key).filter(|text| is_name(text)).cloned();
                return Ok(value(NAMESPACE).zip(value(MACHINE)));
            }
        }
    }
    last.map_or(Ok(None), Err)
}
