//! Operations on a thread of their own: making keys and flushing files block, and the loop must go on answering the watchdog and
//! signals.

use std::thread;

use tokio::sync::{mpsc, oneshot, watch};

use crate::operation::{Context, Event, OperationError, Options, RenewalReport, renew};
use crate::plan::Request;

/// Renews what is due, on another thread; what happens meanwhile reaches `events` on this one.
///
/// # Errors
/// As [`renew`]; also when there is no thread to be had.
pub(super) async fn renew_aside(
    context: Context,
    options: Options,
    stop: watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<RenewalReport, OperationError> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (end, mut ended) = oneshot::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let result = match runtime {
            Ok(runtime) => runtime.block_on(async {
                // The loop ends only after this has: it always listens.
                let mut events = |event| drop(tell.send(event));
                renew(&context, &Request::Due, &options, &stop, &mut events).await
            }),
            Err(error) => Err(not_begun(&error)),
        };
        drop(end.send(result));
    };
    let thread = thread::Builder::new()
        .name("operation".to_owned())
        .spawn(work)
        .map_err(|error| not_begun(&error))?;
    let result = loop {
        tokio::select! {
            biased;
            Some(event) = told.recv() => events(event),
            result = &mut ended => break result,
        }
    };
    while let Ok(event) = told.try_recv() {
        events(event);
    }
    match (result, thread.join()) {
        (_, Err(panic)) => std::panic::resume_unwind(panic),
        (Ok(result), Ok(())) => result,
        (Err(_), Ok(())) => Err(OperationError::Failed(
            "the operation ended without a result; see the log".to_owned(),
        )),
    }
}

fn not_begun(error: &std::io::Error) -> OperationError {
    OperationError::Failed(format!(
        "the operation could not begin: {error}; nothing was changed"
    ))
}
