//! Sleeping until a moment of the real clock, and waking when somebody sets it or the machine was suspended. And a beat.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

/// Why the clock's sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// The moment has come; also right after a suspend that slept over it.
    Due,
    /// The clock was set, or the machine was suspended.
    ClockChanged,
}

/// A timer of `CLOCK_REALTIME` that is cancelled when the clock is set (timerfd_create(2), `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<Descriptor>);

/// A beat that no setting of the clock disturbs. tokio's own timers wake several times for one long wait, once for each
/// level of their wheel.
#[derive(Debug)]
pub(super) struct Beat(AsyncFd<Descriptor>);

#[derive(Debug)]
struct Descriptor(TimerFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Alarm {
    /// A timer that is not set.
    pub(super) fn new() -> io::Result<Self> {
        timer(ClockId::CLOCK_REALTIME).map(Self)
    }

    /// Sets it; a moment that has passed wakes at once. Gives why not to wait for it at all, if there is a reason.
    pub(super) fn set(&self, moment: Timestamp) -> io::Result<Option<Wake>> {
        // A zero would switch the timer off.
        let seconds = moment.as_second().max(1);
        seen_while_setting(self.0.get_ref().0.set(
            Expiration::OneShot(TimeSpec::new(seconds, 0)),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET,
        ))
    }

    /// Waits for it.
    pub(super) async fn wait(&self) -> io::Result<Wake> {
        expiration(&self.0).await
    }
}

impl Beat {
    /// One that begins now.
    pub(super) fn new(period: Duration) -> io::Result<Self> {
        let timer = timer(ClockId::CLOCK_MONOTONIC)?;
        // A zero would switch the timer off.
        let period = period.max(Duration::from_millis(1));
        timer.get_ref().0.set(
            Expiration::Interval(TimeSpec::from_duration(period)),
            TimerSetTimeFlags::empty(),
        )?;
        Ok(Self(timer))
    }

    /// Waits for the next; those that were missed count as one.
    pub(super) async fn next(&self) -> io::Result<()> {
        expiration(&self.0).await.map(|_| ())
    }
}

// tokio's sound constructor is an unsafe one. What it asks for holds here: the descriptor belongs to the value that is
// registered, and stays open as long as that lives.
#[allow(deprecated)]
fn timer(clock: ClockId) -> io::Result<AsyncFd<Descriptor>> {
    let timer = TimerFd::new(clock, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    AsyncFd::new(Descriptor(timer))
}

async fn expiration(timer: &AsyncFd<Descriptor>) -> io::Result<Wake> {
    loop {
        let mut ready = timer.readable().await?;
        match timer.get_ref().0.wait() {
            Ok(()) => {
                ready.clear_ready();
                return Ok(Wake::Due);
            }
            Err(Errno::ECANCELED) => {
                ready.clear_ready();
                return Ok(Wake::ClockChanged);
            }
            Err(Errno::EAGAIN) => ready.clear_ready(),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A clock that was set while nobody waited shows when the timer is set anew, which is done all the same
/// (timerfd_create(2), notes).
fn seen_while_setting(result: nix::Result<()>) -> io::Result<Option<Wake>> {
    match result {
        Ok(()) => Ok(None),
        Err(Errno::ECANCELED) => Ok(Some(Wake::ClockChanged)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn wakes_at_a_moment_and_at_once_for_the_past() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let alarm = Alarm::new().unwrap();
            let past = Timestamp::now() - SignedDuration::from_hours(1);
            assert_eq!(alarm.set(past).unwrap(), None);
            assert_eq!(alarm.wait().await.unwrap(), Wake::Due);
            let begun = std::time::Instant::now();
            alarm
                .set(Timestamp::now() + SignedDuration::from_secs(2))
                .unwrap();
            assert_eq!(alarm.wait().await.unwrap(), Wake::Due);
            assert!(begun.elapsed().as_millis() > 900);
        });
    }

    #[test]
    fn a_clock_that_was_set_while_nobody_waited_is_no_failure() {
        assert_eq!(seen_while_setting(Ok(())).unwrap(), None);
        assert_eq!(
            seen_while_setting(Err(Errno::ECANCELED)).unwrap(),
            Some(Wake::ClockChanged)
        );
        assert!(seen_while_setting(Err(Errno::EINVAL)).is_err());
    }
}
