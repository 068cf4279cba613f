//! Leases (coordination.k8s.io/v1).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::transport::client;
use super::{Access, ApiError};
use crate::net::Address;

/// A Lease as it was read, with everything in it that this program does not know.
pub type LeaseObject = Lease;

/// One namespace's Leases, at one API server.
#[derive(Debug, Clone)]
pub struct Leases {
    server: Address,
    api: Api<Lease>,
}

impl Leases {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address, namespace: &str) -> Self {
        let client = client(Arc::clone(access), server.clone());
        Self {
            server: server.clone(),
            api: Api::namespaced(client, namespace),
        }
    }

    /// The Lease of that name; `None` where there is none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn get(&self, name: &str) -> Result<Option<Lease>, ApiError> {
        self.api
            .get_opt(name)
            .await
            .map_err(|error| self.failed(error))
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where there is one by now.
    pub async fn create(&self, lease: &Lease) -> Result<Lease, ApiError> {
        let created = self.api.create(&PostParams::default(), lease).await;
        created.map_err(|error| self.failed(error))
    }

    /// Replaces the version that `lease` names.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where that is not the newest any more.
    pub async fn replace(&self, name: &str, lease: &Lease) -> Result<Lease, ApiError> {
        let replaced = self.api.replace(name, &PostParams::default(), lease).await;
        replaced.map_err(|error| self.failed(error))
    }

    /// Sets these annotations, or takes them away, and leaves everything else as it is, whatever its version.
    ///
    /// # Errors
    /// [`ApiError::ApiNotFound`] where there is no such Lease.
    pub async fn annotate(
        &self,
        name: &str,
        annotations: &BTreeMap<String, Option<String>>,
    ) -> Result<Lease, ApiError> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let patched = self.api.patch(name, &PatchParams::default(), &patch).await;
        patched.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: kube::Error) -> ApiError {
        ApiError::of(error, &self.server)
    }
}
