//! The operation that the daemon has in hand.

use tokio::sync::{mpsc, watch};

use super::aside::{Pending, aside};
use super::look::in_flight;
use super::pass::Pass;
use crate::checks::Asked;
use crate::journal::Trigger;
use crate::operation::{
    Context, Event, MoreNames, OperationError, Options, RenewalReport, renew, repair_kubelet,
    restart_due,
};
use crate::plan::Request;

/// One that runs on a thread of its own.
pub(super) struct Running {
    end: Pending<Ended>,
    told: mpsc::UnboundedReceiver<Event>,
    cancel: watch::Sender<bool>,
}

/// What came of one.
pub(super) struct Ended {
    pub(super) result: Result<RenewalReport, OperationError>,
    /// The operations that are in flight after it.
    pub(super) in_flight: Vec<String>,
}

/// What happens to one.
pub(super) enum Step {
    Event(Event),
    /// Its last events, and what came of it.
    End(Vec<Event>, Box<Ended>),
}

impl Running {
    /// Begins to renew what is due.
    pub(super) fn begin(context: Context, pass: &Pass) -> Self {
        let options = options(pass);
        let components = pass.only_restarts();
        let repairs = pass.only_repairs_kubelet();
        let (tell, told) = mpsc::unbounded_channel();
        let (cancel, cancelled) = watch::channel(false);
        let work = move || async move {
            // Whoever abandons the operation wants to hear nothing.
            let mut events = |event| drop(tell.send(event));
            let due = Request::Due;
            let result = if repairs {
                repair_kubelet(&context, Asked::BySchedule, &cancelled, &mut events)
                    .await
                    .map(Option::unwrap_or_default)
            } else if components.is_empty() {
                renew(&context, &due, &options, &cancelled, &mut events).await
            } else {
                restart_due(&context, &components, &cancelled, &mut events).await
            };
            Ended {
                result,
                in_flight: in_flight(&context),
            }
        };
        Self {
            end: aside("operation", work),
            told,
            cancel,
        }
    }

    /// Asks it to come to an end soon, with every manifest in place.
    pub(super) fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// What happens next. Nothing is lost where this is waited for anew.
    pub(super) async fn next(&mut self) -> Step {
        let ended = tokio::select! {
            biased;
            Some(event) = self.told.recv() => return Step::Event(event),
            ended = &mut self.end => ended,
        };
        let mut last = Vec::new();
        while let Ok(event) = self.told.try_recv() {
            last.push(event);
        }
        Step::End(last, Box::new(ended))
    }
}

/// How an operation that the daemon begins is done.
pub(super) fn options(pass: &Pass) -> Options {
    Options {
        more_names: MoreNames::default(),
        trigger: Trigger::Schedule,
        restart: true,
        node_down: pass.node_down,
    }
}
