//! Sections of named tables: which there are, and the keys of each.

use super::issuer_table::ISSUER;
use super::lists::days;
use super::quantity::show_duration;
use super::table_section::{TableKey, TableSection};
use super::value::{
    ALGORITHMS, Bounds, before, boolean, check_certificate_name, check_table_name, duration,
    key_algorithm, name_of, time_of_day, time_zone, validity,
};
use super::window::{DAYS, Window};
use super::{Config, OwnRenewal};

/// The section of that name, if it holds named tables.
pub(super) fn table_section(section: &str) -> Option<&'static TableSection> {
    TABLES.iter().find(|tables| tables.section == section)
}

/// All of them.
pub(super) static TABLES: [TableSection; 3] = [CERTIFICATE, ISSUER, WINDOW];

const CERTIFICATE: TableSection = TableSection {
    section: "certificate",
    example: "[certificate.\"admin.conf\"]",
    required: |_| &[],
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
};

const WINDOW: TableSection = TableSection {
    section: "window",
    example: "[window.night]",
    required: |_| &["start", "length"],
    check_name: check_table_name,
    declare: |config, name| {
        window(config, name);
    },
    names: |config| config.windows.keys().map(String::as_str).collect(),
    keys: &[
        TableKey {
            name: "days",
            set: |config, name, value| days(value).map(|v| window(config, name).days = v),
            show: |config, name| {
                let days = config.windows.get(name)?.days.iter();
                let words = days.map(|day| text(name_of(&DAYS, *day))).collect();
                Some(toml::Value::Array(words))
            },
        },
        TableKey {
            name: "start",
            set: |config, name, value| time_of_day(value).map(|v| window(config, name).start = v),
            show: |config, name| {
                let start = config.windows.get(name)?.start;
                Some(text(&start.strftime("%H:%M").to_string()))
            },
        },
        TableKey {
            name: "length",
            set: |config, name, value| {
                let bounds = Bounds {
                    least: 60,
                    most: 7 * 86_400,
                };
                duration(value, "3h", bounds).map(|v| window(config, name).length = v)
            },
            show: |config, name| {
                let length = config.windows.get(name)?.length;
                Some(text(&show_duration(length)))
            },
        },
        TableKey {
            name: "time-zone",
            set: |config, name, value| time_zone(value).map(|v| window(config, name).time_zone = v),
            show: |config, name| {
                let zone = &config.windows.get(name)?.time_zone;
                Some(text(zone.iana_name().unwrap_or("UTC")))
            },
        },
    ],
};

fn window<'config>(config: &'config mut Config, name: &str) -> &'config mut Window {
    config.windows.entry(name.to_owned()).or_default()
}

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
