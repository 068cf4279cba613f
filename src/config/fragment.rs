//! What one file says: known keys with their values and places, nothing decided yet.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, SECTIONS};
use super::table_section::{TableKey, TableSection};
use super::tables::table_section;
use super::unknown::{unknown_key, unknown_section, unknown_table_key};
use super::value::{Wrong, describe};
use super::{Config, ConfigError, ConfigWarning, Mistake, Oddity};

/// One file's text, taken apart.
pub(super) struct Fragment<'text> {
    path: &'text Path,
    text: &'text str,
    line_starts: Vec<usize>,
    /// In the order of the keys' names.
    pub(super) settings: Vec<Setting<'text>>,
    /// The named tables, in the order of their names.
    pub(super) tables: Vec<NamedTable>,
}

/// One key with the value that a file gives it.
pub(super) struct Setting<'text> {
    pub(super) key: SetKey,
    pub(super) value: Spanned<DeValue<'text>>,
}

/// The key that is set.
pub(super) enum SetKey {
    /// Of a section.
    Plain(&'static Key),
    /// Of a named table.
    InTable {
        section: &'static TableSection,
        table: String,
        key: &'static TableKey,
    },
}

/// A named table, and where its name stands.
pub(super) struct NamedTable {
    pub(super) section: &'static TableSection,
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

impl SetKey {
    /// `renewal.before`, `certificate."admin.conf".before`
    pub(super) fn full_name(&self) -> String {
        match self {
            Self::Plain(key) => key.full_name(),
            Self::InTable {
                section,
                table,
                key,
            } => format!("{}.{}", section.full_name(table), key.name),
        }
    }

    /// Puts what is written into the configuration.
    pub(super) fn set(
        &self,
        config: &mut Config,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), Vec<Wrong>> {
        match self {
            Self::Plain(key) => (key.set)(config, value),
            Self::InTable { table, key, .. } => (key.set)(config, table, value),
        }
    }
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
            tables: Vec::new(),
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
        let mut tables = std::mem::take(&mut fragment.tables);
        tables.retain(|table| !damaged.contains(&fragment.position(&table.span).0));
        fragment.tables = tables;
        errors.extend(syntax.iter().map(|error| {
            let message = error.message().trim().replace('\n', ", ");
            fragment.wrong(error.span().unwrap_or_default(), Mistake::NotToml, message)
        }));
        (fragment, errors)
    }

    /// The file.
    pub(super) fn path(&self) -> &'text Path {
        self.path
    }

    /// An error at a place of this file.
    pub(super) fn wrong(
        &self,
        span: Range<usize>,
        mistake: Mistake,
        message: String,
    ) -> ConfigError {
        let (line, column) = self.position(&span);
        ConfigError::Wrong {
            path: self.path.to_path_buf(),
            line,
            column,
            mistake,
            message,
        }
    }

    /// What is valid and probably not meant, at a place of this file.
    pub(super) fn odd(
        &self,
        span: &Range<usize>,
        oddity: Oddity,
        message: String,
    ) -> ConfigWarning {
        let (line, column) = self.position(span);
        ConfigWarning {
            path: self.path.to_path_buf(),
            line,
            column,
            oddity,
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
                Mistake::UnknownSection,
                unknown_section(name.get_ref(), value.get_ref()),
            ));
            return;
        };
        if let Some(tables) = table_section(section) {
            self.tables(tables, name, value, errors);
            return;
        }
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => {
                for (name, value) in table {
                    self.key(section, &name, value, errors);
                }
            }
            DeValue::Array(array) if array.iter().all(|element| element.get_ref().is_table()) => {
                let message = format!("[[{section}]] makes a list; write [{section}], once");
                errors.push(self.wrong(name.span(), Mistake::WrongShape, message));
            }
            other => {
                let found = describe(&other);
                let message =
                    format!("{section} is a section [{section}] with keys, found {found}");
                errors.push(self.wrong(span, Mistake::WrongShape, message));
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
            errors.push(self.wrong(
                name.span(),
                Mistake::UnknownKey,
                unknown_key(section, name.get_ref()),
            ));
            return;
        };
        self.settings.push(Setting {
            key: SetKey::Plain(key),
            value,
        });
    }

    /// A section whose tables have names.
    fn tables(
        &mut self,
        section: &'static TableSection,
        name: &Name<'_>,
        value: Spanned<DeValue<'text>>,
        errors: &mut Vec<ConfigError>,
    ) {
        let TableSection {
            section: title,
            example,
            ..
        } = *section;
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(tables) => {
                for (name, value) in tables {
                    self.table(section, &name, value, errors);
                }
            }
            DeValue::Array(array) if array.iter().all(|element| element.get_ref().is_table()) => {
                let message =
                    format!("[[{title}]] makes a list; give each table its name, as in {example}");
                errors.push(self.wrong(name.span(), Mistake::WrongShape, message));
            }
            other => {
                let found = describe(&other);
                let message = format!("{title} has named tables, as in {example}, found {found}");
                errors.push(self.wrong(span, Mistake::WrongShape, message));
            }
        }
    }

    /// One named table.
    fn table(
        &mut self,
        section: &'static TableSection,
        name: &Name<'_>,
        value: Spanned<DeValue<'text>>,
        errors: &mut Vec<ConfigError>,
    ) {
        let full_name = section.full_name(name.get_ref());
        let example = section.example;
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(keys) => {
                // A dot in a name without quotes makes a table in a table.
                let inner = keys.iter().find(|(_, value)| value.get_ref().is_table());
                if let Some((inner, _)) = inner {
                    let meant =
                        section.full_name(&format!("{}.{}", name.get_ref(), inner.get_ref()));
                    let message = format!(
                        "{full_name} has a table {:?} in it; a name with a dot needs quotes: [{meant}]",
                        inner.get_ref()
                    );
                    errors.push(self.wrong(inner.span(), Mistake::WrongTableName, message));
                    return;
                }
                if let Err(reason) = (section.check_name)(name.get_ref()) {
                    errors.push(self.wrong(
                        name.span(),
                        Mistake::WrongTableName,
                        format!("[{full_name}]: {reason}"),
                    ));
                    return;
                }
                let table = name.get_ref().to_string();
                for (name, value) in keys {
                    match section.keys.iter().find(|key| key.name == name.get_ref()) {
                        Some(key) => self.settings.push(Setting {
                            key: SetKey::InTable {
                                section,
                                table: table.clone(),
                                key,
                            },
                            value,
                        }),
                        None => errors.push(self.wrong(
                            name.span(),
                            Mistake::UnknownKey,
                            unknown_table_key(section, &table, name.get_ref()),
                        )),
                    }
                }
                self.tables.push(NamedTable {
                    section,
                    name: table,
                    span: name.span(),
                });
            }
            DeValue::Array(array) if array.iter().all(|element| element.get_ref().is_table()) => {
                let message = format!("[[{full_name}]] makes a list; write [{full_name}], once");
                errors.push(self.wrong(name.span(), Mistake::WrongShape, message));
            }
            other => {
                let found = describe(&other);
                let message = if section.keys.iter().any(|key| key.name == name.get_ref()) {
                    format!("{full_name} belongs into a named table, as in {example}")
                } else {
                    format!("{full_name} is a table [{full_name}] with keys, found {found}")
                };
                errors.push(self.wrong(span, Mistake::WrongShape, message));
            }
        }
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
