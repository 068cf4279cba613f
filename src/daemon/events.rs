//! Events as log lines with the fields that administrators filter by (`journalctl CERTIFICATE=apiserver`).

use crate::operation::Event;
use crate::restart::Progress;

/// Logs the events of operations, each line with the operation it belongs to.
#[derive(Debug, Default)]
pub struct EventLog {
    operation: Option<String>,
}

impl EventLog {
    /// Logs one event.
    pub fn tell(&mut self, event: &Event) {
        if let Event::Begun { operation } | Event::Recovered { operation, .. } = event {
            self.operation = Some(operation.clone());
        }
        // What is made now is for an operation that has not begun: not for one that was recovered before.
        if let Event::Issuing { .. } = event {
            self.operation = None;
        }
        let operation_id = self.operation.as_deref();
        let text = event.to_string();
        match event {
            Event::Renewed {
                certificate,
                path,
                serial,
                not_after,
                ..
            } => tracing::info!(
                operation_id,
                certificate = certificate.as_str(),
                path = %path.display(),
                serial = serial.as_str(),
                not_after = %not_after,
                "{text}"
            ),
            Event::IssueFailed { certificate, .. } => {
                tracing::error!(operation_id, certificate = certificate.as_str(), "{text}");
            }
            Event::Proved { certificate, .. } | Event::Unverified { certificate, .. } => {
                tracing::info!(operation_id, certificate = certificate.as_str(), "{text}");
            }
            Event::PickedUp { component } => {
                tracing::info!(operation_id, component = component.as_str(), "{text}");
            }
            Event::Restart(progress) => restart(operation_id, progress, &text),
            Event::Begun { .. }
            | Event::Recovered { .. }
            | Event::NodeReady { .. }
            | Event::PuttingBack { .. }
            | Event::Installed { .. }
            | Event::Issuing { .. }
            | Event::Proving { .. }
            | Event::NotRestarted { .. } => tracing::info!(operation_id, "{text}"),
            Event::RollingBack { .. } => tracing::error!(operation_id, "{text}"),
            Event::Warning(_) | Event::Expired { .. } => tracing::warn!(operation_id, "{text}"),
        }
    }
}

fn restart(operation_id: Option<&str>, progress: &Progress, text: &str) {
    match progress {
        Progress::Out { component } => {
            tracing::info!(operation_id, component = component.as_str(), "{text}");
        }
        Progress::Gone { component, after }
        | Progress::Back { component, after }
        | Progress::Running { component, after }
        | Progress::Healthy { component, after } => tracing::info!(
            operation_id,
            component = component.as_str(),
            duration_ms = after.as_millis() as u64,
            "{text}"
        ),
        Progress::Ending { component } => {
            tracing::info!(operation_id, component = component.as_str(), "{text}")
        }
        Progress::NotGoing { component, after }
        | Progress::Rung {
            component, after, ..
        } => {
            tracing::warn!(
                operation_id,
                component = component.as_str(),
                duration_ms = after.as_millis() as u64,
                "{text}"
            );
        }
        Progress::RungFailed { component, .. } => {
            tracing::warn!(operation_id, component = component.as_str(), "{text}");
        }
        Progress::KubeletRestarting => {
            tracing::warn!(operation_id, component = "kubelet", "{text}")
        }
        Progress::KubeletAnswers { after } => tracing::info!(
            operation_id,
            component = "kubelet",
            duration_ms = after.as_millis() as u64,
            "{text}"
        ),
        Progress::Waiting { component, .. } => {
            tracing::debug!(operation_id, component = component.as_str(), "{text}");
        }
    }
}
