//! What a command waits with.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// So long a terminal says nothing while others are asked, and so often it is told afterwards.
const FIRST: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(1);

/// Whom most commands ask.
pub(super) const CONTROL_PLANES: &str = "the control planes";

/// A runtime for one thread: the daemon waits, it does not compute.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// Asks others something, which may take its time where they do not answer. A terminal is told for how long already; the line goes
/// with the answer.
pub(super) fn ask<T>(whom: &str, asking: impl Future<Output = T>) -> anyhow::Result<T> {
    let is_read = io::stderr().is_terminal() && !super::output::is_dumb();
    Ok(runtime()?.block_on(async {
        if is_read {
            told(whom, asking, FIRST, &mut io::stderr()).await
        } else {
            asking.await
        }
    }))
}

async fn told<T>(
    whom: &str,
    asking: impl Future<Output = T>,
    first: Duration,
    out: &mut dyn Write,
) -> T {
    let mut asking = pin!(asking);
    let began = Instant::now();
    let mut pause = first;
    loop {
        tokio::select! {
            biased;
            answer = &mut asking => {
                if pause != first {
                    say(out, "\r\x1b[K");
                }
                return answer;
            }
            () = sleep(pause) => {
                let since = began.elapsed().as_secs();
                say(out, &format!("\r\x1b[Kwaiting for {whom} ({since} s)"));
                pause = EVERY;
            }
        }
    }
}

/// Whoever closed it does not want to know.
fn say(out: &mut dyn Write, text: &str) {
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn whoever_waits_is_told_and_the_line_goes_with_the_answer() {
        for (takes, is_told) in [(0, false), (60, true)] {
            let mut out = Vec::new();
            let asking = async { sleep(Duration::from_millis(takes)).await };
            let first = Duration::from_millis(20);
            let work = told("the control planes", asking, first, &mut out);
            runtime().unwrap().block_on(work);
            let said = String::from_utf8(out).unwrap();
            let expected = "\r\x1b[Kwaiting for the control planes (0 s)\r\x1b[K";
            assert_eq!(said, if is_told { expected } else { "" });
        }
    }
}
