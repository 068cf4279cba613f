//! What systemd's unit files say of a service, drop-ins included.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Problem;
use super::encoding::Text;
use super::read::{self, Found};
use crate::host::Root;

/// Where units lie, in systemd's order: of two of the same name the first counts (systemd.unit(5)).
const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// One assignment of a unit's section `[Service]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSetting {
    /// The unit's file or drop-in, a real path.
    pub path: PathBuf,
    /// What stands before the equals sign.
    pub key: String,
    /// What stands behind it; empty takes back what was said before it.
    pub value: String,
}

/// The section `[Service]` of a unit's file and its drop-ins, in the order in which they count. Where there is no such unit,
/// drop-ins count all the same. What cannot be read is added to `problems`.
#[must_use]
pub fn service_settings(
    root: &Root,
    unit: &str,
    problems: &mut Vec<Problem>,
) -> Vec<ServiceSetting> {
    let mut settings = Vec::new();
    for path in files(root, unit, problems) {
        let Some(text) = text(root, &path, problems) else {
            continue;
        };
        settings.extend(
            assignments(&text)
                .into_iter()
                .map(|(key, value)| ServiceSetting {
                    path: path.clone(),
                    key,
                    value,
                }),
        );
    }
    settings
}

/// The assignments of the section `[Service]`.
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    let mut in_service = false;
    let mut assignments = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let line = line.trim();
        if line.starts_with('[') {
            in_service = line == "[Service]";
        } else if let Some((key, value)) = line.split_once('=')
            && in_service
            && !line.starts_with(['#', ';'])
        {
            assignments.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    assignments
}

/// The unit's file and its drop-ins, in the order in which they count.
fn files(root: &Root, unit: &str, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let there = |path: &PathBuf| !matches!(read::size(root, path), read::Size::Missing);
    let file = DIRECTORIES
        .iter()
        .map(|directory| root.join(directory).join(unit))
        .find(there);
    let mut names: BTreeSet<OsString> = BTreeSet::new();
    let mut drop_ins: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in DIRECTORIES {
        let directory = root.join(directory).join(format!("{unit}.d"));
        let listing = match root
            .resolve(&directory)
            .and_then(|resolved| read::names(&resolved))
        {
            Ok(listing) => listing,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                problems.push(Problem::new(directory, read::fault(&error)));
                continue;
            }
        };
        for name in listing.names {
            if name.as_encoded_bytes().ends_with(b".conf") && names.insert(name.clone()) {
                drop_ins.insert(name.clone(), directory.join(name));
            }
        }
    }
    file.into_iter().chain(drop_ins.into_values()).collect()
}

/// The text of a unit's file or one that it names; `None` where there is none, and for a link to /dev/null, which masks a unit
/// or a drop-in.
pub(super) fn text(root: &Root, path: &Path, problems: &mut Vec<Problem>) -> Option<String> {
    if root
        .resolve(path)
        .is_ok_and(|resolved| resolved == root.join("/dev/null"))
    {
        return None;
    }
    let found = match read::find(root, path) {
        Found::Missing => return None,
        Found::Unreadable(fault) => Err(fault),
        Found::Content(content) => Text::decode(&content.bytes),
    };
    match found {
        Ok(text) => Some(text.text.to_string()),
        Err(fault) => {
            problems.push(Problem::new(path, fault));
            None
        }
    }
}
