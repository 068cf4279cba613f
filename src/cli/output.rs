//! Printing: plain lines, and one line that is overwritten while a long step goes on at a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::hints::adapted;
use crate::operation::{Event, EventLog};
use crate::restart::Progress;

/// One line on standard error, as kubectl's errors. Where that is closed, nobody reads it.
pub(super) fn error(text: &str) {
    let _ = writeln!(io::stderr(), "error: {}", adapted(text));
}

/// A line of what goes on, which must go on whether anybody reads it or not.
pub(super) fn tell(text: &str) {
    if let Err(error) = print(text) {
        tracing::debug!(%error, "nobody reads what is printed");
    }
}

/// Text on standard output. The error is of use: a closed pipe ends the program quietly.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(adapted(text).as_bytes())?;
    out.flush()
}

/// Rows in columns, as kubectl's tables: the first row holds the titles, nothing follows the last cell.
pub(super) fn columns<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| width(column).unwrap_or(0));
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                // Not by a width in format!, which panics beyond 65535: names may come from a file.
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
                .collect();
            format!("{}\n", cells.join("   ").trim_end())
        })
        .collect()
}

/// Says what happens, on the terminal and in the log.
#[derive(Debug)]
pub(super) struct Narrator {
    terminal: bool,
    colours: bool,
    transient: bool,
    /// When something was said last.
    told: Instant,
    /// The journal hears of it as well.
    log: EventLog,
}

/// Without a terminal, how long nothing may be said while a wait goes on.
const SILENCE: Duration = Duration::from_secs(30);

impl Narrator {
    /// Looks at what standard output is.
    pub(super) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = io::stdout().is_terminal() && !dumb;
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal,
            colours: terminal && !no_colour,
            transient: false,
            told: Instant::now(),
            log: EventLog::default(),
        }
    }

    /// Prints one event: a wait is a line that the next one overwrites, or nothing where there is no terminal.
    pub(super) fn tell(&mut self, event: &Event) {
        self.log.tell(event);
        let waiting = matches!(event, Event::Restart(Progress::Waiting { .. }));
        if waiting && !self.terminal && self.told.elapsed() < SILENCE {
            return;
        }
        self.told = Instant::now();
        let waiting = waiting && self.terminal;
        let mut out = io::stdout().lock();
        let clear = if self.transient { "\r\x1b[K" } else { "" };
        let written = if waiting {
            write!(out, "{clear}{event}")
        } else {
            writeln!(out, "{clear}{}", adapted(&self.coloured(event)))
        };
        self.transient = waiting;
        // Whoever closed the pipe does not want to know; the operation goes on all the same.
        let _ = written.and_then(|()| out.flush());
    }

    fn coloured(&self, event: &Event) -> String {
        let colour = match event {
            Event::IssueFailed { .. } | Event::RollingBack { .. } => "31",
            Event::Warning(_)
            | Event::NotRestarted { .. }
            | Event::Expired { .. }
            | Event::Restart(
                Progress::NotGoing { .. } | Progress::Rung { .. } | Progress::RungFailed { .. },
            ) => "33",
            Event::NodeReady { .. }
            | Event::Proved { .. }
            | Event::Restart(Progress::Healthy { .. }) => "32",
            _ => return event.to_string(),
        };
        if self.colours {
            format!("\x1b[{colour}m{event}\x1b[0m")
        } else {
            event.to_string()
        }
    }
}
