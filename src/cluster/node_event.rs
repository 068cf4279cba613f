//! Kubernetes Events on this node, for whoever runs `kubectl describe node`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::turn::is_name;
use crate::api::{Access, ApiError, EventObject, Events};
use crate::host::{digest, printable};
use crate::net::Address;

/// Where the Events of nodes are, as the kubelet's.
const NAMESPACE: &str = "default";
const COMPONENT: &str = "kubecertd";
/// No message is longer, characters.
const LONGEST: usize = 1000;
/// So much of the node's name is in an Event's, which is a name of at most 253 characters.
const LONGEST_NODE: usize = 200;

/// What has happened, in the one word that Kubernetes' Events have for it. `docs/codes.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantNames)]
pub enum EventReason {
    /// Certificates were renewed, what uses them was restarted, and it is proved.
    CertificatesRenewed,
    /// Earlier certificates were put back.
    CertificatesPutBack,
    /// Static pods were restarted, by hand or for an earlier operation.
    StaticPodsRestarted,
    /// An operation failed.
    OperationFailed,
    /// What is due cannot be renewed, and is tried again.
    RenewalFailing,
    /// The failure of a control plane holds all of them up.
    RenewalsHalted,
    /// A certificate is long due, not renewed, and near its end.
    CertificateDeadline,
}

impl EventReason {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    fn kind(self) -> &'static str {
        match self {
            Self::CertificatesRenewed | Self::CertificatesPutBack | Self::StaticPodsRestarted => {
                "Normal"
            }
            Self::OperationFailed
            | Self::RenewalFailing
            | Self::RenewalsHalted
            | Self::CertificateDeadline => "Warning",
        }
    }

    /// Whether it goes on: then it is counted, and else it has happened once.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Self::RenewalFailing | Self::RenewalsHalted)
    }
}

/// One thing that has happened on this node, or goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEvent {
    /// What.
    pub reason: EventReason,
    /// What tells it from others for the same reason: an operation, a moment.
    pub key: String,
    /// In a sentence.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

impl NodeEvent {
    /// Writes it, or counts it once more where it goes on and is there already. Each server is asked in turn until one answers.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn write(
        &self,
        node: &str,
        access: &Arc<Access>,
        servers: &[Address],
    ) -> Result<(), ApiError> {
        let event = self.object(node);
        let mut last = None;
        for server in servers {
            let events = Events::at(access, server, NAMESPACE);
            let answer = match events.create(&event).await {
                Err(ApiError::ApiConflict { .. }) if self.reason.goes_on() => {
                    let name = event.metadata.name.as_deref().unwrap_or_default();
                    events.repeat(name, &event).await
                }
                // It was said before this process began.
                Err(ApiError::ApiConflict { .. }) => Ok(()),
                answer => answer,
            };
            match answer {
                Err(error) if error.may_differ_elsewhere() => last = Some(error),
                answer => return answer,
            }
        }
        last.map_or(Ok(()), Err)
    }

    /// Whether a node may be called so that Events are to be about.
    #[must_use]
    pub fn may_be_about(node: &str) -> bool {
        is_name(node)
    }

    fn object(&self, node: &str) -> EventObject {
        let reason = self.reason.word();
        let mark: String = digest(format!("{node} {reason} {}", self.key).as_bytes())
            .chars()
            .take(16)
            .collect();
        let short: String = node.chars().take(LONGEST_NODE).collect();
        let short = short.trim_end_matches(['.', '-']);
        let message: String = self.message.chars().take(LONGEST).collect();
        EventObject {
            metadata: ObjectMeta {
                name: Some(format!("{short}.{COMPONENT}.{mark}")),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Node".to_owned()),
                name: Some(node.to_owned()),
                // Not the Node's own: the kubelet's Events have the name as well, and `kubectl describe node` looks for both.
                uid: Some(node.to_owned()),
                ..ObjectReference::default()
            },
            reason: Some(reason.to_owned()),
            message: Some(printable(&message).into_owned()),
            type_: Some(self.reason.kind().to_owned()),
            first_timestamp: Some(Time(self.at)),
            last_timestamp: Some(Time(self.at)),
            count: Some(1),
            source: Some(EventSource {
                component: Some(COMPONENT.to_owned()),
                host: Some(node.to_owned()),
            }),
            reporting_component: Some(COMPONENT.to_owned()),
            reporting_instance: Some(node.to_owned()),
            ..EventObject::default()
        }
    }
}
