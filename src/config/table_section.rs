//! What a section of named tables is.

use toml::Spanned;
use toml::de::DeValue;

use super::Config;
use super::value::Wrong;
use super::written_name::written_name;

/// A section whose tables have names that an administrator chooses: `[certificate.NAME]`.
pub(super) struct TableSection {
    /// `certificate`
    pub(super) section: &'static str,
    /// What such a table is written like.
    pub(super) example: &'static str,
    /// Whether a table may be called so; if not, why.
    pub(super) check_name: fn(&str) -> Result<(), String>,
    /// Keys that the table of that name has to have.
    pub(super) required: fn(&str) -> &'static [&'static str],
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
