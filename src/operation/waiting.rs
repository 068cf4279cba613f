//! Saying that a long wait goes on.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Event;
use crate::restart::Progress;

/// How often, as in the waits of a restart.
const EVERY: Duration = Duration::from_secs(5);

/// Waits for `work`, which takes at most `bound`, and says every few seconds what is waited for.
pub(super) async fn reported<T>(
    work: impl Future<Output = T>,
    what: (&str, &str),
    bound: Duration,
    events: &mut (dyn FnMut(Event) + Send),
) -> T {
    reported_every(EVERY, work, what, bound, events).await
}

async fn reported_every<T>(
    period: Duration,
    work: impl Future<Output = T>,
    (component, what): (&str, &str),
    bound: Duration,
    events: &mut (dyn FnMut(Event) + Send),
) -> T {
    let mut work = pin!(work);
    let began = Instant::now();
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep(period) => events(Event::Restart(Progress::Waiting {
                component: component.to_owned(),
                what: what.to_owned(),
                since: began.elapsed(),
                bound,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_wait_is_told_and_a_short_one_is_not() {
        for (periods, is_told) in [(0, false), (4, true)] {
            let mut seen = Vec::new();
            let mut events = |event: Event| seen.push(event.to_string());
            let period = Duration::from_millis(50);
            let work = sleep(period * periods);
            let bound = Duration::from_secs(90);
            reported_every(period, work, ("proof", "every answer"), bound, &mut events).await;
            assert_eq!(!seen.is_empty(), is_told, "{seen:?}");
            if let Some(first) = seen.first() {
                assert_eq!(
                    first,
                    "proof: waiting for every answer (0 s of at most 90 s)"
                );
            }
        }
    }
}
