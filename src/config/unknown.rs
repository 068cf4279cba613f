//! What to say of a section or key that there is not.

use toml::de::DeValue;

use super::keys::{KEYS, Key, SECTIONS};
use super::nearest::nearest;
use super::table_section::TableSection;
use super::tables::table_section;

/// Of a section, or of a key outside of any.
pub(super) fn unknown_section(name: &str, value: &DeValue<'_>) -> String {
    if !value.is_table() {
        // A key outside of any section: say where it belongs.
        return match KEYS.iter().find(|key| key.name == name) {
            Some(key) => format!("{name} belongs into the section [{}]", key.section),
            None => match nearest_key(name, KEYS.iter()) {
                Some(key) => format!(
                    "unknown key {name}; did you mean {:?} in the section [{}]?",
                    key.name, key.section
                ),
                None => format!("unknown key {name}; the sections are {}", sections()),
            },
        };
    }
    match nearest(name, SECTIONS) {
        Some(near) => format!("unknown section [{name}]; did you mean {}?", shown(near)),
        None => format!("unknown section [{name}]; there are {}", sections()),
    }
}

/// Of a key of a section.
pub(super) fn unknown_key(section: &str, name: &str) -> String {
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

/// Of a key of a named table.
pub(super) fn unknown_table_key(section: &TableSection, table: &str, name: &str) -> String {
    let table = section.full_name(table);
    let wrong = format!("unknown key {table}.{name}");
    let own = || section.keys.iter().map(|key| key.name);
    if let Some(near) = nearest(name, own()) {
        return format!("{wrong}; did you mean {near:?}?");
    }
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!(
            "{wrong}; it is only in the section [{}], for all",
            key.section
        );
    }
    let keys: Vec<&str> = own().collect();
    format!("{wrong}; [{table}] has {}", keys.join(", "))
}

fn nearest_key(
    name: &str,
    keys: impl Iterator<Item = &'static Key> + Clone,
) -> Option<&'static Key> {
    let near = nearest(name, keys.clone().map(|key| key.name))?;
    keys.into_iter().find(|key| key.name == near)
}

fn sections() -> String {
    SECTIONS.map(shown).join(", ")
}

fn shown(section: &str) -> String {
    match table_section(section) {
        Some(tables) => format!("[{}.NAME]", tables.section),
        None => format!("[{section}]"),
    }
}
