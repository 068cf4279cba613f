//! Events as log lines with the fields that administrators filter by (`journalctl CERTIFICATE=apiserver`).

use crate::operation::Event;
use crate::restart::Progress;

/// Logs one event.
pub fn log_event(event: &Event) {
    let text = event.to_string();
    match event {
        Event::Renewed {
            operation,
            certificate,
            path,
            serial,
            not_after,
            ..
        } => tracing::info!(
            operation_id = operation.as_str(),
            certificate = certificate.as_str(),
            path = %path.display(),
            serial = serial.as_str(),
            not_after = %not_after,
            "{text}"
        ),
        Event::Installed { operation, .. } | Event::Recovered { operation, .. } => {
            tracing::info!(operation_id = operation.as_str(), "{text}");
        }
        Event::IssueFailed { certificate, .. } => {
            tracing::error!(certificate = certificate.as_str(), "{text}");
        }
        Event::Proved { certificate, .. } => {
            tracing::info!(certificate = certificate.as_str(), "{text}");
        }
        Event::PickedUp { component } => {
            tracing::info!(component = component.as_str(), "{text}");
        }
        Event::Restart(progress) => log_restart(progress, &text),
        Event::Expired { .. } => tracing::warn!("{text}"),
        Event::NodeReady { .. }
        | Event::Issuing { .. }
        | Event::Proving { .. }
        | Event::NotRestarted { .. } => {
            tracing::info!("{text}");
        }
        Event::RollingBack { .. } => tracing::error!("{text}"),
        Event::Warning(_) => tracing::warn!("{text}"),
    }
}

fn log_restart(progress: &Progress, text: &str) {
    match progress {
        Progress::Out { component } => tracing::info!(component = component.as_str(), "{text}"),
        Progress::Gone { component, after }
        | Progress::Back { component, after }
        | Progress::Running { component, after }
        | Progress::Healthy { component, after } => tracing::info!(
            component = component.as_str(),
            duration_ms = after.as_millis() as u64,
            "{text}"
        ),
        Progress::Ending { component } => tracing::info!(component = component.as_str(), "{text}"),
        Progress::NotGoing { component, after }
        | Progress::Rung {
            component, after, ..
        } => {
            tracing::warn!(
                component = component.as_str(),
                duration_ms = after.as_millis() as u64,
                "{text}"
            );
        }
        Progress::RungFailed { component, .. } => {
            tracing::warn!(component = component.as_str(), "{text}");
        }
        Progress::KubeletRestarting => tracing::warn!(component = "kubelet", "{text}"),
        Progress::KubeletAnswers { after } => tracing::info!(
            component = "kubelet",
            duration_ms = after.as_millis() as u64,
            "{text}"
        ),
        Progress::Waiting { component, .. } => {
            tracing::debug!(component = component.as_str(), "{text}");
        }
    }
}
