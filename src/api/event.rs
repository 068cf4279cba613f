//! Events (v1), as `kubectl describe` shows them.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::transport::client;
use super::{Access, ApiError};
use crate::net::Address;

/// An Event as it is written or was read.
pub type EventObject = Event;

/// One namespace's Events, at one API server.
#[derive(Debug, Clone)]
pub struct Events {
    server: Address,
    api: Api<Event>,
}

impl Events {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address, namespace: &str) -> Self {
        let client = client(Arc::clone(access), server.clone());
        Self {
            server: server.clone(),
            api: Api::namespaced(client, namespace),
        }
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where there is one of that name.
    pub async fn create(&self, event: &Event) -> Result<(), ApiError> {
        let created = self.api.create(&PostParams::default(), event).await;
        created.map(drop).map_err(|error| self.failed(error))
    }

    /// Says that what the Event of that name says has happened again, as `event` says it. Nothing where it has gone meanwhile.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn repeat(&self, name: &str, event: &Event) -> Result<(), ApiError> {
        let before = self.api.get_opt(name).await;
        let Some(before) = before.map_err(|error| self.failed(error))? else {
            return Ok(());
        };
        let count = before.count.unwrap_or(1).max(1).saturating_add(1);
        let patch = Patch::Merge(json!({
            "count": count,
            "lastTimestamp": event.last_timestamp,
            "message": event.message,
        }));
        let patched = self.api.patch(name, &PatchParams::default(), &patch).await;
        patched.map(drop).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: kube::Error) -> ApiError {
        ApiError::of(error, &self.server)
    }
}
