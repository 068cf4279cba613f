//! Kubernetes Events on this node, and on kubelets' requests, for whoever runs `kubectl describe node` or `describe csr`.

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
    /// A kubelet's request was approved.
    KubeletRequestApproved,
    /// It was denied, as it is proved to be abuse.
    KubeletRequestDenied,
    /// It is left to a person, as something speaks against it.
    KubeletRequestLeft,
    /// It would be approved or denied, if the configuration did not want that to be said only.
    KubeletRequestObserved,
}

impl EventReason {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    fn kind(self) -> &'static str {
        match self {
            Self::CertificatesRenewed
            | Self::CertificatesPutBack
            | Self::StaticPodsRestarted
            | Self::KubeletRequestApproved
            | Self::KubeletRequestObserved => "Normal",
            Self::OperationFailed
            | Self::RenewalFailing
            | Self::RenewalsHalted
            | Self::CertificateDeadline
            | Self::KubeletRequestDenied
            | Self::KubeletRequestLeft => "Warning",
        }
    }

    /// Whether it goes on: then it is counted, and else it has happened once.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Self::RenewalFailing | Self::RenewalsHalted)
    }
}

/// What an Event is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Subject {
    /// The node that writes it.
    #[default]
    Node,
    /// A certificate request.
    Request {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
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
    /// What it is about.
    pub about: Subject,
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
        let (about, short) = match &self.about {
            Subject::Node => (node, node),
            // Whichever node writes it, and whatever the request is called.
            Subject::Request { uid, .. } => (uid.as_str(), "kubelet-request"),
        };
        let mark: String = digest(format!("{about} {reason} {}", self.key).as_bytes())
            .chars()
            .take(16)
            .collect();
        let short: String = short.chars().take(LONGEST_NODE).collect();
        let short = short.trim_end_matches(['.', '-']);
        let message: String = self.message.chars().take(LONGEST).collect();
        EventObject {
            metadata: ObjectMeta {
                name: Some(format!("{short}.{COMPONENT}.{mark}")),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: self.involved(node),
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

    fn involved(&self, node: &str) -> ObjectReference {
        let (version, kind, name, uid) = match &self.about {
            // Not the Node's own uid: the kubelet's Events have the name as well, and `kubectl describe node` looks for both.
            Subject::Node => ("v1", "Node", node, node),
            Subject::Request { name, uid } => (
                "certificates.k8s.io/v1",
                "CertificateSigningRequest",
                name.as_str(),
                uid.as_str(),
            ),
        };
        ObjectReference {
            api_version: Some(version.to_owned()),
            kind: Some(kind.to_owned()),
            name: Some(name.to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        }
    }
}
