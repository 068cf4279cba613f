//! Events (v1), as `kubectl describe` shows them.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Event;
use serde_json::json;

use super::objects::Objects;
use super::{Access, ApiError};
use crate::net::Address;

/// An Event as it is written or was read.
pub type EventObject = Event;

/// One namespace's Events, at one API server.
#[derive(Debug, Clone)]
pub struct Events(Objects<Event>);

impl Events {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address, namespace: &str) -> Self {
        Self(Objects::of(access, server, Some(namespace)))
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where there is one of that name.
    pub async fn create(&self, event: &Event) -> Result<(), ApiError> {
        self.0.create(event).await.map(drop)
    }

    /// Says that what the Event of that name says has happened again, as `event` says it. Nothing where it has gone meanwhile.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn repeat(&self, name: &str, event: &Event) -> Result<(), ApiError> {
        let Some(before) = self.0.get(name).await? else {
            return Ok(());
        };
        let count = before.count.unwrap_or(1).max(1).saturating_add(1);
        let patch = json!({
            "count": count,
            "lastTimestamp": event.last_timestamp,
            "message": event.message,
        });
        self.0.merge(name, patch).await.map(drop)
    }
}
