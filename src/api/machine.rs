//! Cluster API's objects in its management cluster, as far as they keep when a control plane's certificates end.

use std::sync::Arc;

use kube::Resource as _;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::objects::Objects;
use super::{Access, ApiError};

/// What Cluster API goes by where it replaces machines before their certificates end.
const CERTIFICATES_EXPIRY: &str = "machine.cluster.x-k8s.io/certificates-expiry";
/// The versions that are tried, the newest first.
const VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineKind {
    /// `Machine`
    Machine,
    /// `KubeadmConfig`, by which a machine was made.
    KubeadmConfig,
}

/// One namespace of the management cluster.
#[derive(Debug, Clone)]
pub struct Machines {
    access: Arc<Access>,
    namespace: String,
}

impl Machines {
    /// Nothing is asked yet.
    #[must_use]
    pub fn of(access: &Arc<Access>, namespace: &str) -> Self {
        Self {
            access: Arc::clone(access),
            namespace: namespace.to_owned(),
        }
    }

    /// An object, in the version in which it is had; `None` where there is none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn get(
        &self,
        kind: MachineKind,
        name: &str,
    ) -> Result<Option<DynamicObject>, ApiError> {
        for version in VERSIONS {
            if let Some(found) = self.api(kind, version).get(name).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Says when the certificates end, of an object that was read.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn annotate(
        &self,
        kind: MachineKind,
        object: &DynamicObject,
        value: &str,
    ) -> Result<(), ApiError> {
        let version = object.types.as_ref().map_or("", |types| &types.api_version);
        let version = version.rsplit('/').next().unwrap_or_default();
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let patch = json!({
            // What was read and not another that has come into its place.
            "metadata": {
                "annotations": {CERTIFICATES_EXPIRY: value},
                "resourceVersion": object.metadata.resource_version,
            },
        });
        self.api(kind, version).merge(name, patch).await.map(drop)
    }

    fn api(&self, kind: MachineKind, version: &str) -> Objects<DynamicObject> {
        let (group, kind) = match kind {
            MachineKind::Machine => ("cluster.x-k8s.io", "Machine"),
            MachineKind::KubeadmConfig => ("bootstrap.cluster.x-k8s.io", "KubeadmConfig"),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let path = DynamicObject::url_path(&resource, Some(&self.namespace));
        Objects::at(&self.access, &self.access.address, path)
    }
}

/// What an object says of its certificates' end.
#[must_use]
pub fn certificates_expiry(object: &DynamicObject) -> Option<&str> {
    let annotations = object.metadata.annotations.as_ref()?;
    annotations.get(CERTIFICATES_EXPIRY).map(String::as_str)
}

/// A text somewhere in an object: `/status/nodeRef/name`.
#[must_use]
pub fn text<'object>(object: &'object DynamicObject, pointer: &str) -> Option<&'object str> {
    object.data.pointer(pointer).and_then(Value::as_str)
}
