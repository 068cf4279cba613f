//! Work at a place where others decide whether it ever ends: a home on a server that does not answer, or on a file system that its
//! owner's own program serves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// So many places are waited for in vain at a time; the threads there end with the process at the latest.
const MOST: usize = 8;

/// Where earlier work has not ended.
static GOING_ON: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Does `work` at a place on a thread of its own and waits for it for so long; `None` where it does not end by then, no thread can be
/// had, or earlier work there has not ended yet. It goes on then, and nothing more is begun there meanwhile.
pub(crate) fn in_time<T: Send + 'static>(
    place: &Path,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    {
        let mut going_on = going_on();
        if going_on.len() >= MOST || !going_on.insert(place.to_path_buf()) {
            return None;
        }
    }
    let (done, result) = channel();
    let end = End(place.to_path_buf());
    let on_thread = move || {
        let worked = work();
        // Before its result is known: whoever has that may begin the next at once.
        drop(end);
        // Nobody waits any more where it took too long.
        drop(done.send(worked));
    };
    let begun = thread::Builder::new()
        .name("others' file".to_owned())
        .spawn(on_thread);
    begun.ok()?;
    result.recv_timeout(limit).ok()
}

/// Work at this place ends when this is dropped, also by a panic.
struct End(PathBuf);

impl Drop for End {
    fn drop(&mut self) {
        going_on().remove(&self.0);
    }
}

fn going_on() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    GOING_ON.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_begun_once_and_holds_nothing_else_up() {
        let limit = Duration::from_millis(100);
        let (end, ended) = channel::<()>();
        let (one, other) = (Path::new("/one"), Path::new("/other"));
        let waits = move || ended.recv().is_ok();
        assert_eq!(in_time(one, limit, waits), None);
        assert_eq!(
            in_time(one, limit, || true),
            None,
            "not begun a second time"
        );
        let long = Duration::from_secs(60);
        for _ in 0..100 {
            assert_eq!(in_time(other, long, || 7), Some(7));
        }
        end.send(()).unwrap();
        // Its thread has to be seen to its end.
        let again = (0..1000).find_map(|_| {
            thread::sleep(Duration::from_millis(5));
            in_time(one, long, || 8)
        });
        assert_eq!(again, Some(8));
    }
}
