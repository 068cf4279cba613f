//! Where certificates are served that are not kubeadm's: the kubelet's, and those of which the configuration says it.

use std::time::Duration;

use tokio::time::timeout;

use super::endpoint::kubelet_address;
use super::peer::signers;
use super::ready::{NotServed, serves};
use crate::net::{Address, together};
use crate::node::{CertificateId, Entry, Inventory};

/// For the one question whether anybody is there.
const BOUND: Duration = Duration::from_secs(5);

/// Where it is served; `None` where nothing says that.
pub(crate) fn address_of(entry: &Entry) -> Option<Address> {
    let served = entry.described.as_ref()?.description.address.as_ref()?;
    Some(Address {
        host: served.host.clone(),
        port: served.port,
    })
}

/// Those of these certificates at whose address a server of theirs answers now: with the certificate of the file, or another that the
/// same CA signed for a server. Whatever else answers there is another process.
pub(crate) async fn answering(
    inventory: &Inventory,
    certificates: &[CertificateId],
) -> Vec<CertificateId> {
    let asked = certificates.iter().filter_map(|id| {
        let entry = inventory.entry(id)?;
        let address = if id.is_kubelets_server() {
            kubelet_address(inventory)
        } else {
            address_of(entry)?
        };
        let present = entry.present()?;
        Some(async move {
            let signers = signers(inventory, id);
            let asked = serves(&address, &entry.certificate_path, &present.leaf, signers);
            match timeout(BOUND, asked).await {
                Ok(Ok(_) | Err(NotServed::Another { .. })) => Some(id.clone()),
                Ok(Err(NotServed::Unknown(_))) | Err(_) => None,
            }
        })
    });
    together(asked.collect())
        .await
        .into_iter()
        .flatten()
        .collect()
}
