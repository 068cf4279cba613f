//! Telling Cluster API after a renewal when this machine's certificates end.

use std::sync::Arc;

use jiff::Timestamp;

use super::Context;
use super::api_access::{api_access, credential};
use crate::api::ApiError;
use crate::cluster::{Known, MachineTold, tell_machine};
use crate::node::{CertificateId, Inventory};
use crate::pki::LeafName;

/// What was told.
#[derive(Debug, Default)]
pub struct MachineTeller {
    told: Option<Timestamp>,
}

impl MachineTeller {
    /// Tells when the API server's certificate ends, by which Cluster API goes, where that was not told yet. `None` where it was,
    /// or where the configuration names no management cluster.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn tell(
        &mut self,
        context: &Context,
        inventory: &Inventory,
    ) -> Result<Option<MachineTold>, ApiError> {
        let Some(management) = &context.config.cluster_api.kubeconfig else {
            return Ok(None);
        };
        let entry = inventory.entry(&CertificateId::leaf(LeafName::Apiserver));
        let ends = entry.and_then(|entry| Some(entry.present()?.leaf.not_after));
        let (Some(ends), Some(node)) = (ends, &inventory.node_name) else {
            return Ok(None);
        };
        if self.told == Some(ends) {
            return Ok(None);
        }
        let management = Arc::new(credential(context, &context.root.join(management))?);
        let known = Known::read(&context.store());
        let (access, servers) = api_access(context, inventory, &known)?;
        let told = tell_machine(node, ends, (&access, &servers), &management).await?;
        self.told = Some(ends);
        Ok(Some(told))
    }
}
