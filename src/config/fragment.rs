//! What one file says: known keys with their values and places, nothing decided yet.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, SECTIONS};
use super::nearest::nearest;
use super::value::describe;
use super::{ConfigError, ConfigWarning};

/// One file's text, taken apart.
pub(super) struct Fragment<'text> {
    path: &'text Path,
    text: &'text str,
    line_starts: Vec<usize>,
    /// In the order of the keys' names.
    pub(super) settings: Vec<Setting<'text>>,
}

/// One key with the value that a file gives it.
pub(super) struct Setting<'text> {
    pub(super) key: &'static Key,
    pub(super) value: Spanned<DeValue<'text>>,
}

type Name<'text> = Spanned<Cow<'text, str>>;

impl<'text> Fragment<'text> {
    /// Takes a text apart. What cannot be understood is reported, the rest is kept, so that one run shows every mistake.
    pub(super) fn parse(path: &'text Path, text: &'text str) -> (Self, Vec<ConfigError>) {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(newlines.map(|(at, _)| at + 1))
            .collect();
        let mut fragment = Self {
            path,
            text,
            line_starts,
            settings: Vec::new(),
        };
        let (document, syntax) = DeTable::parse_recoverable(text);
        let mut errors = Vec::new();
        for (name, value) in document.into_inner() {
            fragment.section(&name, value, &mut errors);
        }
        // What the parser makes of a damaged line is guesswork: neither used nor reported a second time.
        let damaged: BTreeSet<usize> = syntax
            .iter()
            .map(|error| fragment.position(&error.span().unwrap_or_default()).0)
            .collect();
        errors.retain(|error| !damaged.contains(&error.line()));
        let mut settings = std::mem::take(&mut fragment.settings);
        settings.retain(|setting| !damaged.contains(&fragment.position(&setting.value.span()).0));
        fragment.settings = settings;
        errors.extend(syntax.iter().map(|error| {
            let message = error.message().trim().replace('\n', ", ");
            fragment.wrong(error.span().unwrap_or_default(), message)
        }));
        (fragment, errors)
    }

    /// The file.
    pub(super) fn path(&self) -> &'text Path {
        self.path
    }

    /// An error at a place of this file.
    pub(super) fn wrong(&self, span: Range<usize>, message: String) -> ConfigError {
        let (line, column) = self.position(&span);
        ConfigError::Wrong {
            path: self.path.to_path_buf(),
            line,
            column,
            message,
        }
    }

    /// What is valid and probably not meant, at a place of this file.
    pub(super) fn odd(&self, span: &Range<usize>, message: String) -> ConfigWarning {
        let (line, column) = self.position(span);
        ConfigWarning {
            path: self.path.to_path_buf(),
            line,
            column,
            message,
        }
    }

    fn section(
        &mut self,
        name: &Name<'_>,
        value: Spanned<DeValue<'text>>,
        errors: &mut Vec<ConfigError>,
    ) {
        let Some(section) = SECTIONS.into_iter().find(|known| known == name.get_ref()) else {
            errors.push(self.wrong(
                name.span(),
                unknown_section(name.get_ref(), value.get_ref()),
            ));
            return;
        };
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => {
                for (name, value) in table {
                    self.key(section, &name, value, errors);
                }
            }
            DeValue::Array(array) if array.iter().all(|element| element.get_ref().is_table()) => {
                let message = format!("[[{section}]] makes a list; write [{section}], once");
                errors.push(self.wrong(name.span(), message));
            }
            other => {
                let found = describe(&other);
                let message =
                    format!("{section} is a section [{section}] with keys, found {found}");
                errors.push(self.wrong(span, message));
            }
        }
    }

    fn key(
        &mut self,
        section: &'static str,
        name: &Name<'_>,
        value: Spanned<DeValue<'text>>,
        errors: &mut Vec<ConfigError>,
    ) {
        let known = KEYS
            .iter()
            .find(|key| key.section == section && key.name == name.get_ref());
        let Some(key) = known else {
            errors.push(self.wrong(name.span(), unknown_key(section, name.get_ref())));
            return;
        };
        self.settings.push(Setting { key, value });
    }

    /// 1-based line and column (in characters) of the beginning of a span.
    fn position(&self, span: &Range<usize>) -> (usize, usize) {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let line = self
            .line_starts
            .partition_point(|line_start| *line_start <= start);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        (line, self.text[line_start..start].chars().count() + 1)
    }
}

fn unknown_section(name: &str, value: &DeValue<'_>) -> String {
    if !value.is_table() {
        // A key outside of any section: say where it belongs.
        return match KEYS.iter().find(|key| key.name == name) {
            Some(key) => format!("{name} belongs into the section [{}]", key.section),
            None => match nearest_key(name, KEYS.iter()) {
                Some(key) => format!(
                    "unknown key {name}; did you mean {:?} in the section [{}]?",
                    key.name, key.section
                ),
                None => format!(
                    "unknown key {name}; the sections are {}",
                    bracketed(&SECTIONS)
                ),
            },
        };
    }
    match nearest(name, SECTIONS) {
        Some(near) => format!("unknown section [{name}]; did you mean [{near}]?"),
        None => format!(
            "unknown section [{name}]; there are {}",
            bracketed(&SECTIONS)
        ),
    }
}

fn unknown_key(section: &str, name: &str) -> String {
    let wrong = format!("unknown key {section}.{name}");
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!("{wrong}; it belongs into the section [{}]", key.section);
    }
    if let Some(key) = nearest_key(name, KEYS.iter().filter(|key| key.section == section)) {
        return format!("{wrong}; did you mean {:?}?", key.name);
    }
    if let Some(key) = nearest_key(name, KEYS.iter()) {
        return format!(
            "{wrong}; did you mean {:?} in the section [{}]?",
            key.name, key.section
        );
    }
    let keys: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.section == section)
        .map(|key| key.name)
        .collect();
    format!("{wrong}; [{section}] has {}", keys.join(", "))
}

fn nearest_key(
    name: &str,
    keys: impl Iterator<Item = &'static Key> + Clone,
) -> Option<&'static Key> {
    let near = nearest(name, keys.clone().map(|key| key.name))?;
    keys.into_iter().find(|key| key.name == near)
}

fn bracketed(sections: &[&str]) -> String {
    sections
        .iter()
        .map(|section| format!("[{section}]"))
        .collect::<Vec<_>>()
        .join(", ")
}
