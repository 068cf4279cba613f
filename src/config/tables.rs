//! Sections of named tables: which there are, and the keys of each.

use super::Config;
use super::certificate_table::CERTIFICATE;
use super::issuer_table::ISSUER;
use super::lists::days;
use super::quantity::show_duration;
use super::table_section::{TableKey, TableSection};
use super::value::{Bounds, check_table_name, duration, name_of, time_of_day, time_zone};
use super::window::{DAYS, Window};

/// The section of that name, if it holds named tables.
pub(super) fn table_section(section: &str) -> Option<&'static TableSection> {
    TABLES.iter().find(|tables| tables.section == section)
}

/// All of them.
pub(super) static TABLES: [TableSection; 3] = [CERTIFICATE, ISSUER, WINDOW];

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

fn text(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}
