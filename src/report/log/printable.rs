//! What is of others in an event is made printable before any layer sees it.

use std::borrow::Cow;

use tracing::field::{DisplayValue, Field, Value, Visit, display};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::host::{is_printable, printable};

/// Passes events on with what is in them of others made printable: names of files, say, must neither steer a terminal nor
/// look like a line of their own.
pub(crate) struct Printable<L>(pub(super) L);

impl<S, L> Layer<S> for Printable<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
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

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(span, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.0.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.0.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
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
