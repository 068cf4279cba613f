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
    let (mut pause, mut is_told) = (first, false);
    loop {
        tokio::select! {
            biased;
            answer = &mut asking => {
                if is_told {
                    say(out, "\r\x1b[K");
                }
                return answer;
            }
            () = sleep(pause) => {
                let since = began.elapsed().as_secs();
                say(out, &format!("\r\x1b[Kwaiting for {whom} ({since} s)"));
                (pause, is_told) = (EVERY, true);
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

    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;

    struct Terminal {
        said: String,
        heard: UnboundedSender<()>,
    }

    impl Write for Terminal {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.said.push_str(std::str::from_utf8(text).unwrap());
            let _ = self.heard.send(());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said_while(first: Duration, waits: bool) -> String {
        let (heard, mut hears) = unbounded_channel();
        let said = String::new();
        let mut terminal = Terminal { said, heard };
        // The answer comes when the terminal was told, however slow the machine.
        let asking = async {
            if waits {
                hears.recv().await;
            }
        };
        let work = told("the control planes", asking, first, &mut terminal);
        runtime().unwrap().block_on(work);
        terminal.said
    }

    #[test]
    fn whoever_waits_is_told_and_the_line_goes_with_the_answer() {
        let said = said_while(Duration::from_millis(1), true);
        let told = said.starts_with("\r\x1b[Kwaiting for the control planes (");
        assert!(told && said.ends_with(" s)\r\x1b[K"), "{said:?}");
        assert_eq!(said_while(Duration::from_secs(60), false), "");
    }
}
