//! Timers and services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::renewer::Renewer;
use super::scan::Scan;

/// Where units lie, in systemd's order: of two of the same name the first counts (systemd.unit(5)).
const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Units by name, each with the text of its file and drop-ins.
#[derive(Default)]
struct Units {
    files: BTreeMap<String, PathBuf>,
    drop_ins: BTreeMap<String, Vec<PathBuf>>,
    enabled: BTreeSet<String>,
}

/// Enabled timers, or services, that renew. What is installed and not enabled does nothing by itself.
pub(crate) fn renewers(scan: &mut Scan<'_>) -> Vec<Renewer> {
    let units = Units::read(scan);
    let services: Vec<String> = units.named(".service");
    let mut starters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for timer in units.named(".timer") {
        if units.enabled.contains(&timer) {
            let service = units.started_by(scan, &timer);
            starters.entry(service).or_default().push(timer);
        }
    }
    let mut found = Vec::new();
    for service in services {
        let mut by = starters.remove(&service).unwrap_or_default();
        if units.enabled.contains(&service) {
            by.push(service.clone());
        }
        if by.is_empty() {
            continue;
        }
        let text = units.text(scan, &service);
        let Some(script) = commands(&text).find_map(|command| scan.renews(command)) else {
            continue;
        };
        let script = scan.in_brackets(&script);
        found.extend(by.into_iter().map(|unit| Renewer {
            take_over: format!("`systemctl disable --now {unit}`"),
            who: format!("{unit}{script}"),
        }));
    }
    found
}

impl Units {
    fn read(scan: &mut Scan<'_>) -> Self {
        let mut units = Self::default();
        for directory in DIRECTORIES {
            let directory = scan.root.join(directory);
            for path in scan.list(&directory) {
                let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                    continue;
                };
                let name = name.to_owned();
                if name.ends_with(".wants") || name.ends_with(".requires") {
                    let wanted = scan.list(&path);
                    units.enabled.extend(
                        wanted
                            .iter()
                            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())),
                    );
                } else if let Some(unit) = name.strip_suffix(".d") {
                    let drop_ins = scan.list(&path);
                    units
                        .drop_ins
                        .entry(unit.to_owned())
                        .or_default()
                        .extend(drop_ins);
                } else {
                    units.files.entry(name).or_insert(path);
                }
            }
        }
        units
    }

    fn named(&self, ending: &str) -> Vec<String> {
        self.files
            .keys()
            .filter(|name| name.ends_with(ending))
            .cloned()
            .collect()
    }

    /// A masked unit has no text: its file is a link to /dev/null, or empty.
    fn text(&self, scan: &mut Scan<'_>, unit: &str) -> String {
        let file = self.files.get(unit);
        let Some(mut text) = file.and_then(|path| scan.text(path)) else {
            return String::new();
        };
        for path in self.drop_ins.get(unit).into_iter().flatten() {
            if path.extension().is_some_and(|ending| ending == "conf") {
                text.push('\n');
                text.push_str(&scan.text(path).unwrap_or_default());
            }
        }
        text.replace("\\\n", " ")
    }

    fn started_by(&self, scan: &mut Scan<'_>, timer: &str) -> String {
        let text = self.text(scan, timer);
        let named = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Unit="))
            .next_back();
        named.map_or_else(
            || {
                Path::new(timer)
                    .with_extension("service")
                    .display()
                    .to_string()
            },
            |unit| unit.trim().to_owned(),
        )
    }
}

fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (key, command) = line.trim().split_once('=')?;
        matches!(
            key.trim(),
            "ExecStart" | "ExecStartPre" | "ExecStartPost" | "ExecCondition"
        )
        .then(|| {
            command
                .trim()
                .trim_start_matches(['-', '@', ':', '+', '!', '|'])
        })
    })
}
