//! Which files there are, and reading each within bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{ConfigError, Mistake};
use crate::host::{self, Place, Root};

/// The largest file read: a thousand times what anybody writes by hand.
const LIMIT: u64 = 1024 * 1024;

/// Where the main file lies.
const DIRECTORY: &str = "/etc/kubecertd";

const MAIN: &str = "/etc/kubecertd/kubecertd.toml";

/// Where drop-ins lie; of the same name, the later directory wins.
const DROP_INS: [&str; 3] = [
    "/usr/lib/kubecertd/kubecertd.d",
    "/run/kubecertd/kubecertd.d",
    "/etc/kubecertd/kubecertd.d",
];

/// A file with its text.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The one file that was named; it has to be there.
pub(super) fn named(file: &Path) -> Result<Vec<Source>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    // It is one of this machine, whose links are followed as the machine does.
    let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let text = read_text(file, &real, &mut errors);
    if errors.is_empty() {
        Ok(text
            .map(|text| Source {
                path: file.to_path_buf(),
                text,
            })
            .into_iter()
            .collect())
    } else {
        Err(errors)
    }
}

/// The main file, if there is one, and the drop-ins, in the order in which later ones win. What could be read is returned
/// beside the mistakes, so that those in the other files can be shown with them.
pub(super) fn standard(root: &Root) -> (Vec<Source>, Vec<ConfigError>) {
    let mut errors = Vec::new();
    let mut paths = vec![root.join(MAIN)];
    paths.extend(drop_ins(root, &mut errors));
    let mut sources = Vec::new();
    for path in paths {
        if matches!(root.look(&path), Ok(None)) {
            continue;
        }
        let resolved = match root.resolve(&path) {
            Ok(resolved) => resolved,
            Err(error) => {
                errors.push(unreadable(&path, &error));
                continue;
            }
        };
        if is_mask(root, &resolved) {
            continue;
        }
        if let Some(text) = read_text(&path, &resolved, &mut errors) {
            sources.push(Source { path, text });
        }
    }
    (sources, errors)
}

/// The directories in which a change can be one of the configuration: of the files, of what links lead to, and where more
/// files may appear.
pub(super) fn directories(root: &Root, file: Option<&Path>) -> BTreeSet<PathBuf> {
    let (places, files) = match file {
        Some(file) => (Vec::new(), vec![file.to_path_buf()]),
        None => {
            let mut places = vec![root.join(DIRECTORY)];
            places.extend(DROP_INS.map(|directory| root.join(directory)));
            let mut files = vec![root.join(MAIN)];
            files.extend(drop_ins(root, &mut Vec::new()));
            (places, files)
        }
    };
    let resolved = |path: &Path| match file {
        Some(_) => std::fs::canonicalize(path),
        None => root.resolve(path),
    };
    let mut directories: BTreeSet<PathBuf> = places.iter().cloned().collect();
    directories.extend(places.iter().filter_map(|place| resolved(place).ok()));
    for file in &files {
        // Everybody writes to /dev/null.
        let target = resolved(file).ok().filter(|target| !is_mask(root, target));
        directories.extend(
            [Some(file), target.as_ref()]
                .into_iter()
                .flatten()
                .filter_map(|path| {
                    let parent = path.parent()?;
                    // Of a bare file name.
                    std::path::absolute(if parent == Path::new("") {
                        Path::new(".")
                    } else {
                        parent
                    })
                    .ok()
                }),
        );
    }
    directories
}

fn is_mask(root: &Root, target: &Path) -> bool {
    root.node_path(target) == Path::new("/dev/null")
}

fn drop_ins(root: &Root, errors: &mut Vec<ConfigError>) -> Vec<PathBuf> {
    let mut by_name: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in DROP_INS {
        let directory = root.join(directory);
        let listing = root
            .resolve(&directory)
            .and_then(|resolved| host::names(&resolved));
        match listing {
            Ok(names) => {
                for name in names.into_iter().filter(is_drop_in) {
                    let path = directory.join(&name);
                    by_name.insert(name, path);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => errors.push(unreadable(&directory, &error)),
        }
    }
    by_name.into_values().collect()
}

fn is_drop_in(name: &OsString) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".toml") && !name.starts_with(b".")
}

/// The text of `real`, which `path` leads to. Nothing, with a mistake noted, where it cannot be had.
fn read_text(path: &Path, real: &Path, errors: &mut Vec<ConfigError>) -> Option<String> {
    let bytes = match read_bytes(real) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound && path != real => {
            errors.push(ConfigError::Read {
                path: path.to_path_buf(),
                reason: format!(
                    "it is a symbolic link to {}, which is not there; to mask a file, link it to /dev/null",
                    real.display()
                ),
            });
            return None;
        }
        Err(error) => {
            errors.push(unreadable(path, &error));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            errors.push(not_utf8(path, &error));
            None
        }
    }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a FIFO so does not wait for its writer.
    let file = Place::at(path)?.open(OFlags::RDONLY | OFlags::NONBLOCK)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::other(
            "it is a directory; a file is expected here",
        ));
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::other(
            "it is larger than 1 MiB, so it is no configuration of kubecertd",
        ));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::Read {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> ConfigError {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line_start = valid
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let byte = error
        .as_bytes()
        .get(valid.len())
        .copied()
        .unwrap_or_default();
    ConfigError::Wrong {
        path: path.to_path_buf(),
        line: valid.iter().filter(|byte| **byte == b'\n').count() + 1,
        column: String::from_utf8_lossy(&valid[line_start..])
            .chars()
            .count()
            + 1,
        mistake: Mistake::NotUtf8,
        message: format!("the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8 text"),
    }
}
