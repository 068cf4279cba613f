//! Leases (coordination.k8s.io/v1).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;

use super::objects::Objects;
use super::{Access, ApiError};
use crate::net::Address;

/// A Lease as it was read, with everything in it that this program does not know.
pub type LeaseObject = Lease;

/// One namespace's Leases, at one API server.
#[derive(Debug, Clone)]
pub struct Leases(Objects<Lease>);

impl Leases {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address, namespace: &str) -> Self {
        Self(Objects::of(access, server, Some(namespace)))
    }

    /// The Lease of that name; `None` where there is none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn get(&self, name: &str) -> Result<Option<Lease>, ApiError> {
        self.0.get(name).await
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where there is one by now.
    pub async fn create(&self, lease: &Lease) -> Result<Lease, ApiError> {
        self.0.create(lease).await
    }

    /// Replaces the version that `lease` names.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where that is not the newest any more.
    pub async fn replace(&self, name: &str, lease: &Lease) -> Result<Lease, ApiError> {
        self.0.replace(name, lease).await
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
        let patch = json!({"metadata": {"annotations": annotations}});
        self.0.merge(name, patch).await
    }
}
