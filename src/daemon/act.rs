//! Operations on a thread of their own: making keys and flushing files block, and the loop must go on answering the watchdog and
//! signals.

use std::io;
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};

use crate::operation::{Context, Event, OperationError, Options, RenewalReport, renew};
use crate::plan::Request;

type Result = std::result::Result<RenewalReport, OperationError>;

/// Renews what is due, on another thread; what happens meanwhile reaches `events` on this one. Where no thread can be had it is
/// done here: a watchdog that bites is better than a certificate that ends.
///
/// # Errors
/// As [`renew`].
pub(super) async fn renew_aside(
    context: &Context,
    options: &Options,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result {
    let (tell, mut told) = mpsc::unbounded_channel();
    let begun = begin(context.clone(), options.clone(), stop.clone(), tell);
    let (thread, mut ended) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            tracing::warn!("the operation gets no thread of its own: {error}");
            return renew(context, &Request::Due, options, stop, events).await;
        }
    };
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
        (Err(_), Ok(())) => Err(OperationError::NoResult),
    }
}

/// The thread, and where its result will be.
type Begun = (thread::JoinHandle<()>, oneshot::Receiver<Result>);

fn begin(
    context: Context,
    options: Options,
    stop: watch::Receiver<bool>,
    tell: mpsc::UnboundedSender<Event>,
) -> io::Result<Begun> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (end, ended) = oneshot::channel();
    let work = move || {
        // The loop ends only after this has: it always listens.
        let mut events = |event| drop(tell.send(event));
        let renewing = renew(&context, &Request::Due, &options, &stop, &mut events);
        drop(end.send(runtime.block_on(renewing)));
    };
    let thread = thread::Builder::new()
        .name("operation".to_owned())
        .spawn(work)?;
    Ok((thread, ended))
}
