//! Where log events go: to journald with their fields under systemd, as plain lines to stderr otherwise.

mod printable;

use std::io::IsTerminal;

use nix::sys::stat::fstat;
use tracing::Subscriber;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::LogFormat;
use printable::Printable;

/// The journal's layer.
type ToJournal = Printable<tracing_journald::Layer>;

/// The target of what operations log: commands send it to the journal, and not to the terminal, which shows the events itself.
pub(crate) const EVENTS: &str = "kubecertd::event";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter of `--log-level` or `log.level` is not one.
    #[error("log level {0:?} is not understood; use error, warn, info, debug or trace")]
    Level(String),
    /// Somebody asked for journald and it is not there.
    #[error("journald does not answer ({0}); set log.format = \"text\"")]
    Journald(std::io::Error),
    /// Logging is set up already.
    #[error("logging is set up already")]
    Twice,
}

/// How much is logged, which can be changed later.
#[derive(Debug, Clone)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Logs as much as this says from now on.
    ///
    /// # Errors
    /// [`LogError::Level`].
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        self.0
            .reload(filter(level)?)
            .map_err(|_| LogError::Level(level.to_owned()))
    }
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(level).map_err(|_| LogError::Level(level.to_owned()))
}

/// Sends all log events to where `format` says. Colours only on a terminal, and not with `NO_COLOR`. `journal`: to the
/// journal as well, where that does not get them already.
///
/// # Errors
/// [`LogError`].
pub fn start(level: &str, format: LogFormat, journal: bool) -> Result<Level, LogError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match layer_to_journal(format)? {
        Some(layer) => registry.with(layer).try_init(),
        None => registry
            .with(lines())
            .with(second_journal(journal))
            .try_init(),
    };
    started.map(|()| Level(handle)).map_err(|_| LogError::Twice)
}

/// The same for a command, which shows the events of operations itself: they are not logged where it does. `journal`: how
/// much goes to the journal, events included; `None` for a command that changes nothing.
///
/// # Errors
/// [`LogError`].
pub fn start_for_command(
    level: &str,
    format: LogFormat,
    journal: Option<&str>,
) -> Result<(), LogError> {
    let no_events = || filter_fn(|line| line.target() != EVENTS);
    let registry = tracing_subscriber::registry();
    let started = match (layer_to_journal(format)?, journal) {
        (Some(layer), Some(more)) => registry.with(layer.with_filter(filter(more)?)).try_init(),
        (Some(layer), None) => registry
            .with(layer.with_filter(filter(level)?.and(no_events())))
            .try_init(),
        (None, journal) => {
            let lines = lines().with_filter(filter(level)?.and(no_events()));
            let more = filter(journal.unwrap_or("off"))?;
            let second = second_journal(journal.is_some()).map(|layer| layer.with_filter(more));
            registry.with(lines).with(second).try_init()
        }
    };
    started.map_err(|_| LogError::Twice)
}

/// The journal's layer, if that is what `format` means here.
fn layer_to_journal(format: LogFormat) -> Result<Option<ToJournal>, LogError> {
    match format {
        LogFormat::Journald => journald().map(Some).map_err(LogError::Journald),
        LogFormat::Auto if stderr_is_the_journal() => Ok(journald().ok()),
        LogFormat::Auto | LogFormat::Text => Ok(None),
    }
}

/// The journal's layer beside lines on standard error, unless those are read by the journal anyway.
fn second_journal(wanted: bool) -> Option<ToJournal> {
    if !wanted || stderr_is_the_journal() {
        return None;
    }
    journald().ok()
}

/// Plain lines on standard error.
fn lines<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false);
    Printable(lines)
}

/// Fields are written under their own names, so that `journalctl CERTIFICATE=apiserver` works, and levels are mapped
/// to the priorities that administrators filter by.
fn journald() -> std::io::Result<ToJournal> {
    let layer = tracing_journald::layer()?
        .with_field_prefix(None)
        .with_syslog_identifier("kubecertd".to_owned())
        .with_priority_mappings(PriorityMappings {
            error: Priority::Error,
            warn: Priority::Warning,
            info: Priority::Informational,
            debug: Priority::Debug,
            trace: Priority::Debug,
        });
    Ok(Printable(layer))
}

/// systemd names device and inode of the journal's stream in `JOURNAL_STREAM` (systemd.exec(5)); only when stderr is
/// still that stream is nobody else reading it.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stat) = fstat(std::io::stderr()) else {
        return false;
    };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}
