//! The keys of `[issuer.NAME]`.

use super::issuer::IssuerCommand;
use super::lists::{authorities, command};
use super::nearest::nearest;
use super::quantity::show_duration;
use super::table_section::{TableKey, TableSection};
use super::value::{Bounds, Written, Wrong, boolean, check_table_name, duration};
use super::{Config, Mistake};

/// The table that is about request files and no program.
const FILES: &str = "files";

const DAY: u64 = 86_400;

pub(super) const ISSUER: TableSection = TableSection {
    section: "issuer",
    example: "[issuer.files]",
    required: |name| if name == FILES { &[] } else { &["command"] },
    check_name,
    declare: |config, name| {
        if name != FILES {
            own(config, name);
        }
    },
    names: |config| {
        let commands = config.issuers.commands.keys();
        std::iter::once(FILES)
            .chain(commands.map(String::as_str))
            .collect()
    },
    keys: &[
        TableKey {
            name: "enabled",
            set: |config, name, value| {
                only_of_files(name, value)?;
                boolean(value).map(|v| config.issuers.files.enabled = v)
            },
            show: |config, name| {
                let enabled = config.issuers.files.enabled;
                (name == FILES).then_some(toml::Value::Boolean(enabled))
            },
        },
        TableKey {
            name: "lead",
            set: |config, name, value| {
                only_of_files(name, value)?;
                let bounds = Bounds {
                    least: 3600,
                    most: 3650 * DAY,
                };
                duration(value, "45d", bounds).map(|v| config.issuers.files.lead = v)
            },
            show: |config, name| {
                let lead = show_duration(config.issuers.files.lead);
                (name == FILES).then_some(toml::Value::String(lead))
            },
        },
        TableKey {
            name: "command",
            set: |config, name, value| {
                not_of_files(name, value)?;
                command(value).map(|v| own(config, name).command = v)
            },
            show: |config, name| Some(list(&config.issuers.commands.get(name)?.command)),
        },
        TableKey {
            name: "authorities",
            set: |config, name, value| {
                not_of_files(name, value)?;
                authorities(value).map(|v| own(config, name).authorities = v)
            },
            show: |config, name| {
                let authorities = &config.issuers.commands.get(name)?.authorities;
                let names: Vec<&str> = authorities.iter().map(|one| one.name()).collect();
                Some(list(&names))
            },
        },
        TableKey {
            name: "time-limit",
            set: |config, name, value| {
                not_of_files(name, value)?;
                let bounds = Bounds {
                    least: 1,
                    most: 600,
                };
                duration(value, "60s", bounds).map(|v| own(config, name).time_limit = v)
            },
            show: |config, name| {
                let limit = config.issuers.commands.get(name)?.time_limit;
                Some(toml::Value::String(show_duration(limit)))
            },
        },
    ],
};

fn own<'config>(config: &'config mut Config, name: &str) -> &'config mut IssuerCommand {
    let commands = &mut config.issuers.commands;
    commands.entry(name.to_owned()).or_default()
}

fn check_name(name: &str) -> Result<(), String> {
    check_table_name(name)?;
    // `file` and `fiels` are no names of programs.
    match nearest(name, std::iter::once(FILES)) {
        Some(near) if near != name => Err(format!("did you mean {near:?}?")),
        _ => Ok(()),
    }
}

fn only_of_files(table: &str, value: &Written<'_>) -> Result<(), Vec<Wrong>> {
    let belongs = table == FILES;
    belongs.then_some(()).ok_or_else(|| {
        misplaced(
            value,
            " is a key of [issuer.files]; a program's has command, authorities and time-limit",
        )
    })
}

fn not_of_files(table: &str, value: &Written<'_>) -> Result<(), Vec<Wrong>> {
    let belongs = table != FILES;
    belongs.then_some(()).ok_or_else(|| {
        misplaced(
            value,
            " belongs to a program, and [issuer.files] is about files; give the program a name of its own: [issuer.NAME]",
        )
    })
}

fn misplaced(value: &Written<'_>, message: &str) -> Vec<Wrong> {
    vec![Wrong {
        span: value.span(),
        mistake: Mistake::UnknownKey,
        message: message.to_owned(),
    }]
}

fn list<T: AsRef<str>>(words: &[T]) -> toml::Value {
    let words = words.iter().map(|word| word.as_ref().to_owned());
    toml::Value::Array(words.map(toml::Value::String).collect())
}
