//! Events as log lines with the fields that administrators filter by (`journalctl CERTIFICATE=apiserver`), the same whether
//! the daemon or a command does it.

use super::{Context, Event, Remark};
use crate::node::CertificateId;
use crate::pki::rfc3339;
use crate::report::{EVENTS, History, LastOperation};
use crate::restart::Progress;

/// Logs the events of operations, each line with the operation it belongs to.
#[derive(Debug, Default)]
pub struct EventLog {
    operation: Option<String>,
}

impl EventLog {
    /// Logs one event.
    pub fn write(&mut self, event: &Event) {
        self.write_as(event, &event.to_string());
    }

    /// The same in other words than the event's own.
    pub fn write_as(&mut self, event: &Event, text: &str) {
        if let Event::Begun { operation } | Event::Recovered { operation, .. } = event {
            self.operation = Some(operation.clone());
        }
        // What is made now is for an operation that has not begun: not for one that was recovered before.
        if let Event::Issuing { .. } = event {
            self.operation = None;
        }
        let operation_id = self.operation.as_deref();
        let code = event.code();
        match event {
            Event::Renewed {
                certificate,
                path,
                serial,
                not_after,
                ..
            } => tracing::info!(target: EVENTS,
                operation_id,
                event = code,
                certificate = certificate.as_str(),
                path = %path.display(),
                serial = serial.as_str(),
                not_after = rfc3339(*not_after),
                "{text}"
            ),
            Event::IssueFailed { certificate, fault } => tracing::error!(target: EVENTS,
                operation_id,
                event = code,
                cause = fault.code,
                certificate = certificate.as_str(),
                "{text}"
            ),
            Event::Proved { certificate, .. } | Event::CopyUpdated { certificate, .. } => {
                tracing::info!(target: EVENTS,
                    operation_id,
                    event = code,
                    certificate = certificate.as_str(),
                    "{text}"
                )
            }
            Event::RequestOpened { certificate, .. } | Event::RequestClosed { certificate, .. } => {
                tracing::info!(target: EVENTS,
                    operation_id,
                    event = code,
                    certificate = certificate.as_str(),
                    "{text}"
                );
            }
            Event::PickedUp { component, .. } => tracing::info!(target: EVENTS,
                operation_id,
                event = code,
                component = component.as_str(),
                "{text}"
            ),
            Event::Restart(progress) => restart(operation_id, progress, text),
            Event::Begun { .. }
            | Event::TurnWaiting { .. }
            | Event::TurnGranted { .. }
            | Event::TurnReleased { .. }
            | Event::EtcdLeadershipMoved { .. }
            | Event::Recovered { .. }
            | Event::NodeReady { .. }
            | Event::PuttingBack { .. }
            | Event::Installed { .. }
            | Event::Issuing { .. }
            | Event::IssuingForKubelet { .. }
            | Event::Proving { .. }
            | Event::HookRunning { .. }
            | Event::HookSaid { .. }
            | Event::UserTold { .. }
            | Event::UserSaid { .. }
            | Event::HookDone { .. }
            | Event::NotRestarted { .. } => {
                tracing::info!(target: EVENTS, operation_id, event = code, "{text}");
            }
            Event::RollingBack { reason } => {
                tracing::error!(target: EVENTS, operation_id, event = code, "{text}: {reason}");
            }
            Event::Remark(Remark::Unverified { certificate, .. }) => tracing::info!(target: EVENTS,
                operation_id,
                event = code,
                certificate = certificate.as_str(),
                "{text}"
            ),
            Event::Remark(remark) => tracing::warn!(target: EVENTS,
                operation_id,
                event = code,
                certificate = remark.certificate().map(CertificateId::as_str),
                "{text}"
            ),
            Event::Expired { .. } => {
                tracing::warn!(target: EVENTS, operation_id, event = code, "{text}");
            }
        }
    }
}

fn restart(operation_id: Option<&str>, progress: &Progress, text: &str) {
    let code = progress.code();
    let component = progress.component();
    match progress {
        Progress::ContainersGone { after, .. }
        | Progress::ManifestBack { after, .. }
        | Progress::ContainerRunning { after, .. }
        | Progress::Healthy { after, .. }
        | Progress::KubeletAnswers { after } => tracing::info!(target: EVENTS,
            operation_id,
            event = code,
            component,
            duration_ms = after.as_millis() as u64,
            "{text}"
        ),
        Progress::ManifestOut { .. }
        | Progress::ContainersEnding { .. }
        | Progress::Drained { .. } => {
            tracing::info!(target: EVENTS, operation_id, event = code, component, "{text}");
        }
        Progress::NotEnding { after, .. } | Progress::RemedyTried { after, .. } => {
            tracing::warn!(target: EVENTS,
                operation_id,
                event = code,
                component,
                duration_ms = after.as_millis() as u64,
                "{text}"
            );
        }
        Progress::RemedyFailed { .. }
        | Progress::EndingFailed { .. }
        | Progress::KubeletRestarting => {
            tracing::warn!(target: EVENTS, operation_id, event = code, component, "{text}");
        }
        Progress::Waiting { .. } => {
            tracing::debug!(target: EVENTS, operation_id, event = code, component, "{text}");
        }
    }
}

/// What an operation came to, in one line.
pub fn log_summary(context: &Context, id: &str) {
    let receipt = History::new(&context.store()).last_of(id);
    if let Ok(Some(receipt)) = receipt {
        let last = LastOperation::of(&receipt);
        tracing::info!(target: EVENTS, operation_id = id, "{}", last.summary);
    }
}

/// What a command says besides events: that something is done, or why it is not.
pub fn log_line(is_error: bool, text: &str) {
    if is_error {
        tracing::error!(target: EVENTS, "{text}");
    } else {
        tracing::info!(target: EVENTS, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use jiff::Timestamp;
    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};

    use super::*;

    type Lines = Arc<Mutex<Vec<BTreeMap<String, String>>>>;

    /// Keeps the fields of every line, as journald gets them.
    struct Capture(Lines);

    struct Fields<'a>(&'a mut BTreeMap<String, String>);

    impl Visit for Fields<'_> {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.insert(field.name().to_owned(), value.to_owned());
        }
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.insert(field.name().to_owned(), format!("{value:?}"));
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Capture {
        fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
            assert_eq!(event.metadata().target(), EVENTS);
            let mut line = BTreeMap::new();
            event.record(&mut Fields(&mut line));
            line.insert("level".to_owned(), event.metadata().level().to_string());
            self.0.lock().unwrap().push(line);
        }
    }

    fn logged(events: &[Event]) -> Vec<BTreeMap<String, String>> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(Capture(Arc::clone(&lines)));
        let mut log = EventLog::default();
        tracing::subscriber::with_default(subscriber, || {
            events.iter().for_each(|event| log.write(event));
        });
        let lines = lines.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn every_line_has_the_fields_that_administrators_filter_by() {
        let lines = logged(&[
            Event::Issuing { count: 1 },
            Event::Begun {
                operation: "20261126T021850Z-00ff".into(),
            },
            Event::Renewed {
                operation: "20261126T021850Z-00ff".into(),
                certificate: "apiserver".into(),
                path: "/etc/kubernetes/pki/apiserver.crt".into(),
                serial: "0a".into(),
                not_after: Timestamp::UNIX_EPOCH,
                old_not_after: Timestamp::UNIX_EPOCH,
                put_back: false,
            },
            Event::Restart(Progress::Healthy {
                component: "etcd".into(),
                after: Duration::from_millis(1500),
            }),
            Event::RollingBack { reason: "x".into() },
        ]);
        assert!(!lines[0].contains_key("operation_id"));
        for line in &lines[1..] {
            assert_eq!(line["operation_id"], "20261126T021850Z-00ff");
        }
        let codes: Vec<&str> = lines.iter().map(|line| line["event"].as_str()).collect();
        assert_eq!(
            codes,
            ["issuing", "begun", "renewed", "healthy", "rolling-back"]
        );
        assert_eq!(lines[2]["certificate"], "apiserver");
        assert_eq!(lines[2]["path"], "/etc/kubernetes/pki/apiserver.crt");
        assert_eq!(lines[2]["serial"], "0a");
        assert_eq!(lines[2]["not_after"], "1970-01-01T00:00:00Z");
        assert_eq!(lines[3]["component"], "etcd");
        assert_eq!(lines[3]["duration_ms"], "1500");
        assert_eq!(lines[4]["level"], "ERROR");
        assert_eq!(lines[1]["message"], "operation 20261126T021850Z-00ff");
    }
}
