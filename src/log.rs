//! Where log events go: to journald with their fields under systemd, as plain lines to stderr otherwise.

use std::borrow::Cow;
use std::io::IsTerminal;

use nix::sys::stat::fstat;
use tracing::field::{DisplayValue, Field, Value, Visit, display};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::LogFormat;
use crate::host::{is_printable, printable};

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

/// Sends all log events to where `format` says. Colours only on a terminal, and not with `NO_COLOR`.
///
/// # Errors
/// [`LogError`].
pub fn start(level: &str, format: LogFormat) -> Result<Level, LogError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let registry = tracing_subscriber::registry().with(filter);
    send(registry, format).map(|()| Level(handle))
}

fn send<S>(registry: S, format: LogFormat) -> Result<(), LogError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    match format {
        LogFormat::Journald => {
            let layer = journald().map_err(LogError::Journald)?;
            let layer = Printable(layer);
            return registry.with(layer).try_init().map_err(|_| LogError::Twice);
        }
        LogFormat::Auto if stderr_is_the_journal() => {
            if let Ok(layer) = journald() {
                let layer = Printable(layer);
                return registry.with(layer).try_init().map_err(|_| LogError::Twice);
            }
        }
        LogFormat::Auto | LogFormat::Text => {}
    }
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false);
    let lines = Printable(lines);
    registry.with(lines).try_init().map_err(|_| LogError::Twice)
}

/// Passes events on with what is in them of others made printable: names of files, say, must neither steer a terminal nor
/// look like a line of their own.
struct Printable<L>(L);

impl<S, L> Layer<S> for Printable<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        let mut texts = Texts::default();
        event.record(&mut texts);
        if texts.0.iter().all(|(_, text)| is_printable(text)) {
            self.0.on_event(event, context);
            return;
        }
        let shown: Vec<(Field, DisplayValue<Cow<'_, str>>)> = texts
            .0
            .iter()
            .map(|(field, text)| (field.clone(), display(printable(text))))
            .collect();
        let Some((first, _)) = shown.first() else {
            return;
        };
        // tracing's macros have no more fields, and a field without a value is none.
        let mut values: [(&Field, Option<&dyn Value>); 32] = [(first, None); 32];
        for (value, (field, text)) in values.iter_mut().zip(&shown) {
            *value = (field, Some(text));
        }
        let metadata = event.metadata();
        let values = metadata.fields().value_set(&values);
        self.0.on_event(&Event::new(metadata, &values), context);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: LayerContext<'_, S>) {
        self.0.on_record(span, values, context);
    }

    fn on_enter(&self, id: &Id, context: LayerContext<'_, S>) {
        self.0.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: LayerContext<'_, S>) {
        self.0.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: LayerContext<'_, S>) {
        self.0.on_close(id, context);
    }
}

/// The fields of an event as text.
#[derive(Default)]
struct Texts(Vec<(Field, String)>);

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.clone(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push((field.clone(), format!("{value:?}")));
    }
}

/// Fields are written under their own names, so that `journalctl CERTIFICATE=apiserver` works, and levels are mapped
/// to the priorities that administrators filter by.
fn journald() -> std::io::Result<tracing_journald::Layer> {
    Ok(tracing_journald::layer()?
        .with_field_prefix(None)
        .with_priority_mappings(PriorityMappings {
            error: Priority::Error,
            warn: Priority::Warning,
            info: Priority::Informational,
            debug: Priority::Debug,
            trace: Priority::Debug,
        }))
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
