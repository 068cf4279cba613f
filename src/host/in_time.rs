//! Work at a place where others decide whether it ever ends: a home on a server that does not answer, or on a file system that its
//! owner's own program serves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// So many places of users are waited for in vain at a time; the threads there end with the process at the latest.
const MOST_OF_USERS: usize = 8;

/// Where earlier work has not ended.
static GOING_ON: Mutex<BTreeMap<PathBuf, Whose>> = Mutex::new(BTreeMap::new());

/// Who wants something done at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// An administrator, who named it, or root. There are as many as he named, and what users' places do holds none of them up.
    Administrator,
    /// Another user, of whom there may be thousands.
    User,
}

/// Whether whoever had work begun still waits for it. Work that would change something asks before it does: afterwards the lock under
/// which it was begun is somebody else's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Awaited(Arc<AtomicBool>);

impl Awaited {
    /// Whether he does.
    pub(crate) fn lasts(&self) -> bool {
        !self.0.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Does `work` at a place on a thread of its own and waits for it for so long; `None` where it does not end by then, no thread can be
/// had, or earlier work there has not ended yet. It goes on then, told that nobody waits for it, and nothing more is begun there
/// meanwhile.
pub(crate) fn in_time<T: Send + 'static>(
    place: &Path,
    whose: Whose,
    limit: Duration,
    work: impl FnOnce(&Awaited) -> T + Send + 'static,
) -> Option<T> {
    let end = begin(place, whose)?;
    let (done, result) = channel();
    let awaited = Awaited::default();
    let of_thread = awaited.clone();
    let on_thread = move || {
        let worked = work(&of_thread);
        // Before its result is known: whoever has that may begin the next at once.
        drop(end);
        // Nobody waits any more where it took too long.
        drop(done.send(worked));
    };
    let begun = thread::Builder::new()
        .name("others' file".to_owned())
        .spawn(on_thread);
    begun.ok()?;
    match result.recv_timeout(limit) {
        Ok(worked) => Some(worked),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            awaited.end();
            // It may have ended in this moment.
            result.try_recv().ok()
        }
    }
}

/// Work at this place ends when this is dropped, also by a panic.
struct End(PathBuf);

impl Drop for End {
    fn drop(&mut self) {
        going_on().remove(&self.0);
    }
}

fn begin(place: &Path, whose: Whose) -> Option<End> {
    let mut going_on = going_on();
    let of_users = going_on.values().filter(|one| **one == Whose::User).count();
    let is_full = whose == Whose::User && of_users >= MOST_OF_USERS;
    if is_full || going_on.contains_key(place) {
        return None;
    }
    going_on.insert(place.to_path_buf(), whose);
    Some(End(place.to_path_buf()))
}

fn going_on() -> MutexGuard<'static, BTreeMap<PathBuf, Whose>> {
    GOING_ON.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(60);

    /// They share what there is of users' places.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// Work that goes on until the sender is gone or has sent, and then says whether it was still awaited.
    fn hanging() -> (Sender<()>, Receiver<bool>, impl FnOnce(&Awaited) -> bool) {
        let (end, ended) = channel::<()>();
        let (say, said) = channel();
        let work = move |awaited: &Awaited| {
            let ended = ended.recv().is_ok();
            say.send(awaited.lasts()).unwrap_or_default();
            ended
        };
        (end, said, work)
    }

    /// Its thread has to be seen to its end.
    fn until_free(place: &Path) -> Option<i32> {
        (0..1000).find_map(|_| {
            thread::sleep(Duration::from_millis(5));
            in_time(place, Whose::User, LONG, |_| 8)
        })
    }

    #[test]
    fn what_does_not_end_is_begun_once_and_holds_nothing_else_up() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (one, other) = (Path::new("/one"), Path::new("/other"));
        let (end, _, waits) = hanging();
        assert_eq!(in_time(one, Whose::User, SHORT, waits), None);
        assert_eq!(
            in_time(one, Whose::User, SHORT, |_| true),
            None,
            "not begun a second time"
        );
        for _ in 0..100 {
            assert_eq!(in_time(other, Whose::User, LONG, |_| 7), Some(7));
        }
        end.send(()).unwrap();
        assert_eq!(until_free(one), Some(8));
    }

    #[test]
    fn what_took_too_long_is_told_that_nobody_waits() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Path::new("/late");
        let (end, was_awaited, waits) = hanging();
        assert_eq!(in_time(place, Whose::User, SHORT, waits), None);
        end.send(()).unwrap();
        assert_eq!(was_awaited.recv_timeout(LONG), Ok(false));
        let (end, was_awaited, waits) = hanging();
        end.send(()).unwrap();
        assert_eq!(until_free(place), Some(8));
        assert_eq!(in_time(place, Whose::User, LONG, waits), Some(true));
        assert_eq!(was_awaited.recv_timeout(LONG), Ok(true));
    }

    #[test]
    fn users_places_that_hang_hold_no_administrators_up() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = |number: usize| PathBuf::from(format!("/home/{number}"));
        let hanging: Vec<_> = (0..MOST_OF_USERS)
            .map(|number| {
                let (end, _, waits) = hanging();
                let short = Duration::from_millis(1);
                assert_eq!(in_time(&of_user(number), Whose::User, short, waits), None);
                end
            })
            .collect();
        let next = of_user(MOST_OF_USERS);
        assert_eq!(in_time(&next, Whose::User, LONG, |_| 7), None);
        let named = Path::new("/named");
        assert_eq!(in_time(named, Whose::Administrator, LONG, |_| 7), Some(7));
        drop(hanging);
        assert_eq!(until_free(&of_user(0)), Some(8));
    }
}
