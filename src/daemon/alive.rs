//! Telling systemd, all the while, that the daemon gets on.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::clock::Beat;

/// By how much a stop is put off each time.
const MORE_TIME: Duration = Duration::from_secs(60);
/// How often that is asked for: in time before the last time given is over.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// What systemd is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// The watchdog may rest.
    Alive,
    /// The stop takes this much longer: what is in hand is brought to its end, which is bounded, but longer than
    /// systemd's patience.
    StopTakes(Duration),
}

/// The beat of the signs of life: twice in the time after which the watchdog bites.
pub(super) fn beat(watchdog: Duration) -> io::Result<Beat> {
    Beat::new(watchdog / 2)
}

/// Does `work` to its end and meanwhile gives signs: of life, at each beat; and once
/// stopping is asked for, of the wish for more time. There is one thread: work that blocks it or spins gives no sign.
pub(super) async fn alive_while<T>(
    work: impl Future<Output = T>,
    watchdog: Option<Beat>,
    mut stop: watch::Receiver<bool>,
    tell: impl Fn(Sign),
) -> T {
    let life = async {
        match watchdog {
            Some(beat) => loop {
                if let Err(error) = beat.next().await {
                    tracing::error!(%error, "no sign of life can be given any more");
                    return pending().await;
                }
                tell(Sign::Alive);
            },
            None => pending().await,
        }
    };
    let patience = async {
        if stop.wait_for(|stop| *stop).await.is_err() {
            return pending().await;
        }
        tell(Sign::StopTakes(MORE_TIME));
        every(ASK_AGAIN, || tell(Sign::StopTakes(MORE_TIME))).await
    };
    tokio::select! {
        result = work => result,
        never = life => match never {},
        never = patience => match never {},
    }
}

async fn every(period: Duration, act: impl Fn()) -> Infallible {
    let mut ticks = interval_at(
        Instant::now() + period,
        period.max(Duration::from_millis(1)),
    );
    // After work that blocked for long, one sign and not all that were missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        act();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn signs(work: impl Future<Output = ()>, stop: bool) -> Vec<Sign> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let told = RefCell::new(Vec::new());
        let (_sender, stop) = watch::channel(stop);
        runtime.block_on(async {
            let beat = beat(Duration::from_millis(40)).unwrap();
            let tell = |sign| told.borrow_mut().push(sign);
            alive_while(work, Some(beat), stop, tell).await;
        });
        told.into_inner()
    }

    #[test]
    fn work_that_waits_gives_signs_of_life_and_work_that_blocks_gives_none() {
        let waits = wait_for(Duration::from_millis(300));
        assert!(signs(waits, false).len() >= 2);
        let blocks = async { std::thread::sleep(Duration::from_millis(300)) };
        assert_eq!(signs(blocks, false), []);
    }

    #[test]
    fn more_time_is_asked_for_as_soon_as_a_stop_is() {
        let waits = wait_for(Duration::from_millis(10));
        let signs = signs(waits, true);
        assert_eq!(signs[0], Sign::StopTakes(MORE_TIME));
        // On a busy machine a sign of life may come as well.
        assert!(
            signs[1..].iter().all(|sign| *sign == Sign::Alive),
            "{signs:?}"
        );
    }

    async fn wait_for(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
