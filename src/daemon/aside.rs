//! Work that blocks, on a thread of its own: the loop must go on answering the watchdog and signals.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// An operation's future is large where nothing is optimised; what is not used of it costs no memory.
const STACK: usize = 8 << 20;

/// What gives the result of work that is being done.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Begins `work` on a thread of that name. Where no thread can be had the work is done by the one who waits for it: a watchdog
/// that bites is better than a certificate that ends.
///
/// A panic of the work goes on where its result is waited for. Work that is no longer waited for goes on as long as the
/// program does, so only work that merely looks may be abandoned.
pub(super) fn aside<T, Doing>(
    name: &'static str,
    work: impl FnOnce() -> Doing + Send + 'static,
) -> Pending<T>
where
    T: Send + 'static,
    Doing: Future<Output = T> + Send + 'static,
{
    aside_on(thread::Builder::new().stack_size(STACK), name, work)
}

fn aside_on<T, Work, Doing>(thread: thread::Builder, name: &'static str, work: Work) -> Pending<T>
where
    T: Send + 'static,
    Work: FnOnce() -> Doing + Send + 'static,
    Doing: Future<Output = T> + Send + 'static,
{
    // A thread that does not come to be takes its closure with it, but not what that shares.
    let shared = Arc::new(Mutex::new((None, Some(work))));
    let theirs = Arc::clone(&shared);
    let (end, ended) = oneshot::channel();
    let on_thread = move || {
        if let (Some(runtime), Some(work)) = take(&theirs) {
            // Nobody waits any more where the work was abandoned.
            drop(end.send(runtime.block_on(work())));
        }
    };
    let begun = runtime().and_then(|runtime| {
        lock(&shared).0 = Some(runtime);
        thread.name(name.to_owned()).spawn(on_thread)
    });
    match begun {
        Ok(thread) => Box::pin(result_of(thread, ended)),
        Err(error) => {
            tracing::warn!("the {name} gets no thread of its own: {error}");
            let (runtime, work) = take(&shared);
            if let Some(runtime) = runtime {
                // It must not be waited for on the thread of another.
                runtime.shutdown_background();
            }
            match work {
                Some(work) => Box::pin(async move { work().await }),
                // Only a thread takes it.
                None => Box::pin(std::future::pending()),
            }
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// What a thread needs: its runtime, and the work.
type Shared<Work> = Mutex<(Option<Runtime>, Option<Work>)>;

fn lock<Work>(shared: &Shared<Work>) -> MutexGuard<'_, (Option<Runtime>, Option<Work>)> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take<Work>(shared: &Shared<Work>) -> (Option<Runtime>, Option<Work>) {
    std::mem::take(&mut *lock(shared))
}

async fn result_of<T>(thread: thread::JoinHandle<()>, ended: oneshot::Receiver<T>) -> T {
    match (ended.await, thread.join()) {
        (Ok(result), Ok(())) => result,
        (_, Err(panic)) => std::panic::resume_unwind(panic),
        // Only a panic keeps the result back.
        (Err(lost), Ok(())) => std::panic::resume_unwind(Box::new(lost.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn wait_for<T>(pending: impl FnOnce() -> Pending<T>) -> T {
        runtime().unwrap().block_on(async { pending().await })
    }

    fn name_of_thread() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    #[test]
    fn work_is_done_on_a_thread_that_has_its_name_and_a_clock() {
        let work = || async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            name_of_thread()
        };
        let name = wait_for(|| aside("look", work));
        assert_eq!(name.as_deref(), Some("look"));
    }

    #[test]
    fn work_without_a_thread_is_done_where_it_is_waited_for() {
        // More than any address space has.
        let impossible = thread::Builder::new().stack_size(1 << 60);
        let name = wait_for(|| aside_on(impossible, "look", || async { name_of_thread() }));
        assert_eq!(name, name_of_thread());
    }

    #[test]
    fn the_loop_goes_on_while_the_work_blocks() {
        let blocks = || async { thread::sleep(Duration::from_millis(300)) };
        let beats = wait_for(|| {
            Box::pin(async move {
                let mut pending = aside("look", blocks);
                let mut beats = 0;
                loop {
                    tokio::select! {
                        () = &mut pending => return beats,
                        () = tokio::time::sleep(Duration::from_millis(10)) => beats += 1,
                    }
                }
            })
        });
        assert!(beats >= 3, "{beats}");
    }

    #[test]
    fn a_panic_goes_on_where_the_result_is_waited_for() {
        let result =
            thread::spawn(|| wait_for(|| aside("look", || async { panic!("on purpose") })));
        let panic = result.join().map(|(): ()| ()).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    }
}
