//! Printing: plain lines, and one line that is overwritten while a long step goes on at a terminal.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::hints::adapted;
use crate::host::{printable, printable_lines};
use crate::node::CertificateId;
use crate::operation::{Event, EventLog};
use crate::restart::Progress;

/// One line on standard error, as kubectl's errors. Where that is closed, nobody reads it.
pub(super) fn error(text: &str) {
    let _ = writeln!(io::stderr(), "error: {}", printable(&adapted(text)));
}

/// The same of what is wrong and stops nothing.
pub(super) fn warning(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {}", printable(&adapted(text)));
}

/// A line of what goes on, which must go on whether anybody reads it or not.
pub(super) fn tell(text: &str) {
    if let Err(error) = print(text) {
        tracing::debug!(%error, "nobody reads what is printed");
    }
}

/// Whether the terminal cannot overwrite a line.
pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}

/// One line of a text that is to be printed, whatever is in it of others.
pub(super) fn line(text: std::fmt::Arguments<'_>) -> String {
    format!("{}\n", printable(&text.to_string()))
}

/// Text on standard output: lines made by [`line`] and report's columns, or JSON. What a terminal would obey is escaped. The error
/// is of use: a closed pipe ends the program quietly.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(printable_lines(&adapted(text)).as_bytes())?;
    out.flush()
}

/// The names that share a reason, each reason once, in the order in which they came.
pub(super) fn grouped(
    reasons: impl IntoIterator<Item = (impl ToString, String)>,
) -> Vec<(Vec<String>, String)> {
    let mut groups: Vec<(Vec<String>, String)> = Vec::new();
    for (id, reason) in reasons {
        match groups.iter_mut().find(|(_, known)| *known == reason) {
            Some((names, _)) => names.push(id.to_string()),
            None => groups.push((vec![id.to_string()], reason)),
        }
    }
    groups
}

/// A reason without the name of the certificate that it begins with: several may share it.
pub(super) fn alone(id: &CertificateId, reason: &str) -> String {
    let rest = reason.strip_prefix(id.as_str());
    rest.and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(reason)
        .to_owned()
}

/// Certificates that one reason keeps from being renewed.
pub(super) fn not_renewed(names: &[String], reason: &str) -> String {
    match names {
        [one] => format!("{one} not renewed: {reason}"),
        more => format!(
            "{} certificates not renewed: {reason} ({})",
            more.len(),
            more.join(", ")
        ),
    }
}

/// Says what happens, on the terminal and in the log.
#[derive(Debug)]
pub(super) struct Narrator {
    terminal: bool,
    colours: bool,
    transient: bool,
    /// When something was said last.
    told: Instant,
    /// Reasons for which something was not renewed: one of many certificates is told with the first, and the rest at the end.
    reasons: BTreeSet<String>,
    /// The journal hears of it as well.
    log: EventLog,
}

/// Without a terminal, how long nothing may be said while a wait goes on.
const SILENCE: Duration = Duration::from_secs(30);

impl Narrator {
    /// Looks at what standard output is.
    pub(super) fn new() -> Self {
        let terminal = io::stdout().is_terminal() && !is_dumb();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal,
            colours: terminal && !no_colour,
            transient: false,
            told: Instant::now(),
            reasons: BTreeSet::new(),
            log: EventLog::default(),
        }
    }

    /// Prints one event: a wait is a line that the next one overwrites, or nothing where there is no terminal.
    pub(super) fn show(&mut self, event: &Event) {
        self.show_as(event, &event.to_string());
    }

    /// The same in other words than the event's own.
    pub(super) fn show_as(&mut self, event: &Event, said: &str) {
        self.log.write_as(event, said);
        let waiting = matches!(event, Event::Restart(Progress::Waiting { .. }));
        if waiting && !self.terminal && self.told.elapsed() < SILENCE {
            return;
        }
        if let Event::IssueFailed { certificate, fault } = event
            && !self.reasons.insert(alone(certificate, &fault.text))
        {
            return;
        }
        self.told = Instant::now();
        let waiting = waiting && self.terminal;
        let mut out = io::stdout().lock();
        let clear = if self.transient { "\r\x1b[K" } else { "" };
        let written = if waiting {
            write!(out, "{clear}{}", printable(said))
        } else {
            writeln!(out, "{clear}{}", adapted(&self.coloured(event, said)))
        };
        self.transient = waiting;
        // Whoever closed the pipe does not want to know; the operation goes on all the same.
        let _ = written.and_then(|()| out.flush());
    }

    fn coloured(&self, event: &Event, said: &str) -> String {
        let colour = match event {
            Event::IssueFailed { .. } | Event::RollingBack { .. } => "31",
            Event::Remark(_)
            | Event::NotRestarted { .. }
            | Event::Expired { .. }
            | Event::Restart(
                Progress::NotEnding { .. }
                | Progress::RemedyTried { .. }
                | Progress::RemedyFailed { .. }
                | Progress::EndingFailed { .. },
            ) => "33",
            Event::NodeReady { .. }
            | Event::Proved { .. }
            | Event::Restart(Progress::Healthy { .. }) => "32",
            _ => "",
        };
        let said = printable(said);
        if self.colours && !colour.is_empty() {
            format!("\x1b[{colour}m{said}\x1b[0m")
        } else {
            said.into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;
    use crate::operation::Remark;
    use crate::report::EVENTS;

    struct Count(Arc<AtomicUsize>);

    impl<S: tracing::Subscriber> Layer<S> for Count {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            assert_eq!(event.metadata().target(), EVENTS);
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_said_on_the_terminal_is_logged() {
        let count = Arc::new(AtomicUsize::new(0));
        let subscriber = tracing_subscriber::registry().with(Count(Arc::clone(&count)));
        tracing::subscriber::with_default(subscriber, || {
            let mut narrator = Narrator::new();
            narrator.show(&Event::Begun {
                operation: "x".to_owned(),
            });
            narrator.show(&Event::Remark(Remark::NodeNotReady {
                seen: "y".to_owned(),
            }));
        });
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
