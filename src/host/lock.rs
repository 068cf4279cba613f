//! Locks that are held for a moment.

use std::fs::{File, TryLockError};
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Whoever holds one for longer is stopped, or hangs in the file system.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// Locks a file that every program holds only while it reads and writes it.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] where another process does not let go of it within half a minute.
pub(crate) fn lock_in_time(file: &File) -> io::Result<()> {
    lock_within(file, LIMIT)
}

fn lock_within(file: &File, limit: Duration) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if began.elapsed() < limit => sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let seconds = limit.as_secs();
                let reason = format!(
                    "another process has held its lock for {seconds} s; find it with `fuser`, and continue or end it"
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn whoever_does_not_let_go_is_not_waited_for_without_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let holder = file.reopen().unwrap();
        holder.lock().unwrap();
        let other = file.reopen().unwrap();
        let error = lock_within(&other, Duration::from_millis(30)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        drop(holder);
        lock_within(&other, Duration::from_millis(30)).unwrap();
    }
}
