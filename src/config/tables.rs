//! Sections of named tables: which there are, and the keys of each.

use toml::Spanned;
use toml::de::DeValue;

use super::quantity::show_duration;
use super::value::{
    ALGORITHMS, Wrong, before, boolean, check_certificate_name, key_algorithm, name_of, validity,
};
use super::written_name::written_name;
use super::{Config, OwnRenewal};

/// A section whose tables have names that an administrator chooses: `[certificate.NAME]`.
pub(super) struct TableSection {
    /// `certificate`
    pub(super) section: &'static str,
    /// What such a table is written like.
    pub(super) example: &'static str,
    /// Whether a table may be called so; if not, why.
    pub(super) check_name: fn(&str) -> Result<(), String>,
    /// Makes the table known, whether it has keys or not.
    pub(super) declare: fn(&mut Config, &str),
    /// The tables that the configuration has.
    pub(super) names: fn(&Config) -> Vec<&str>,
    /// The keys of each table, in the order in which they are shown.
    pub(super) keys: &'static [TableKey],
}

/// Puts what is written into the table of that name.
type Set = fn(&mut Config, &str, &Spanned<DeValue<'_>>) -> Result<(), Vec<Wrong>>;

/// One key of the tables of a section.
pub(super) struct TableKey {
    /// `before`
    pub(super) name: &'static str,
    /// Puts what is written into the table of that name.
    pub(super) set: Set,
    /// What the table of that name has, as TOML; nothing where it says nothing.
    pub(super) show: fn(&Config, &str) -> Option<toml::Value>,
}

impl TableSection {
    /// `certificate."admin.conf"`
    pub(super) fn full_name(&self, table: &str) -> String {
        format!("{}.{}", self.section, written_name(table))
    }
}

/// The section of that name, if it holds named tables.
pub(super) fn table_section(section: &str) -> Option<&'static TableSection> {
    TABLES.iter().find(|tables| tables.section == section)
}

/// All of them.
pub(super) static TABLES: [TableSection; 1] = [TableSection {
    section: "certificate",
    example: "[certificate.\"admin.conf\"]",
    check_name: check_certificate_name,
    declare: |config, name| {
        own(config, name);
    },
    names: |config| {
        let names = config.renewal.certificates.keys();
        names.map(String::as_str).collect()
    },
    keys: &[
        TableKey {
            name: "before",
            set: |config, name, value| before(value).map(|v| own(config, name).before = Some(v)),
            show: |config, name| shown(config, name)?.before.map(|v| text(&show_duration(v))),
        },
        TableKey {
            name: "validity",
            set: |config, name, value| {
                validity(value).map(|v| own(config, name).validity = Some(v))
            },
            show: |config, name| {
                let validity = shown(config, name)?.validity;
                validity.map(|v| text(&show_duration(v)))
            },
        },
        TableKey {
            name: "key-algorithm",
            set: |config, name, value| {
                key_algorithm(value).map(|v| own(config, name).key_algorithm = Some(v))
            },
            show: |config, name| {
                let algorithm = shown(config, name)?.key_algorithm;
                algorithm.map(|v| text(name_of(&ALGORITHMS, v)))
            },
        },
        TableKey {
            name: "reuse-key",
            set: |config, name, value| {
                boolean(value).map(|v| own(config, name).reuse_key = Some(v))
            },
            show: |config, name| shown(config, name)?.reuse_key.map(toml::Value::Boolean),
        },
        TableKey {
            name: "skip",
            set: |config, name, value| boolean(value).map(|v| own(config, name).skip = Some(v)),
            show: |config, name| shown(config, name)?.skip.map(toml::Value::Boolean),
        },
    ],
}];

fn own<'config>(config: &'config mut Config, name: &str) -> &'config mut OwnRenewal {
    let certificates = &mut config.renewal.certificates;
    certificates.entry(name.to_owned()).or_default()
}

fn shown<'config>(config: &'config Config, name: &str) -> Option<&'config OwnRenewal> {
    config.renewal.certificates.get(name)
}

fn text(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}
