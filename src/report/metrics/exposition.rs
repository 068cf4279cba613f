//! Prometheus' text format, version 0.0.4.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::host::printable;

/// No label is longer, characters.
const LONGEST_LABEL: usize = 512;

/// Metrics, as they are written.
pub(super) struct Exposition {
    text: String,
    series: BTreeSet<String>,
    room: usize,
    left_out: usize,
}

/// One metric, to which series are added.
pub(super) struct Metric<'a> {
    all: &'a mut Exposition,
    name: &'static str,
    /// What is written before the first series.
    head: Option<String>,
}

impl Exposition {
    /// With room for so many series.
    pub(super) fn new(room: usize) -> Self {
        Self {
            text: String::new(),
            series: BTreeSet::new(),
            // One says what is left out.
            room: room - 1,
            left_out: 0,
        }
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, help, "gauge")
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, help, "counter")
    }

    fn metric(&mut self, name: &'static str, help: &str, kind: &str) -> Metric<'_> {
        Metric {
            head: Some(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")),
            all: self,
            name,
        }
    }

    pub(super) fn finish(mut self) -> String {
        let left_out = self.left_out;
        self.room = usize::MAX;
        self.gauge(
            "kubecertd_series_left_out",
            "How many series are not here because there would be too many.",
        )
        .add(&[], as_float(left_out));
        self.text
    }
}

impl Metric<'_> {
    /// A series; labels without a value are left out, which is the same to Prometheus.
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let series = if labels.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}{{{}}}", self.name, labels.join(","))
        };
        if self.all.series.contains(&series) {
            return;
        }
        if self.all.series.len() >= self.all.room {
            self.all.left_out += 1;
            return;
        }
        if let Some(head) = self.head.take() {
            self.all.text.push_str(&head);
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.all.text, "{series} {value}");
        self.all.series.insert(series);
    }
}

/// What others named is one line, whatever is in it.
fn escaped(value: &str) -> String {
    let short: String = value.chars().take(LONGEST_LABEL).collect();
    printable(&short).replace('\\', "\\\\").replace('"', "\\\"")
}

/// A moment as Prometheus has it.
pub(super) fn seconds(moment: Timestamp) -> f64 {
    moment.as_second() as f64
}

pub(super) fn as_float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
