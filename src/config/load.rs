//! Finding, reading and merging the files: `/etc/kubecertd/kubecertd.toml` and the drop-ins.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::fragment::Fragment;
use super::keys::{KEYS, SECTIONS};
use super::merge::{Merged, merge};
use super::named::NamedCertificate;
use super::source::{self, Source};
use super::table_section::TableSection;
use super::tables::table_section;
use super::{Config, ConfigError, ConfigWarning};
use crate::host::Root;

/// A configuration with where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// The files that were read, in the order in which later ones win.
    pub files: Vec<PathBuf>,
    /// Every key there is (`renewal.before`) and every one that a named table says, and which file had the last word about it.
    pub origins: Vec<Origin>,
    /// What is valid and probably not meant.
    pub warnings: Vec<ConfigWarning>,
    /// The certificates that the files name.
    pub named: Vec<NamedCertificate>,
}

/// Which file set a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `renewal.before`, `certificate."admin.conf".before`
    pub key: String,
    /// The table it stands in, without brackets: `renewal`, `certificate."admin.conf"`
    pub table: String,
    /// The effective value as TOML.
    pub value: String,
    /// The file, `None` for a default.
    pub path: Option<PathBuf>,
}

/// Reads `file` (by default `/etc/kubecertd/kubecertd.toml`, which may be absent) and the drop-ins `kubecertd.d/*.toml` of
/// /usr/lib/kubecertd, /run/kubecertd and /etc/kubecertd by systemd's rules: sorted by file name, of the same name /etc wins over
/// /run over /usr/lib, later names win, an empty file or a symlink to /dev/null masks. With `file` given (a path of this
/// machine, not of the root), no drop-ins are read and it has to be there.
///
/// # Errors
/// Every mistake found, not only the first.
pub fn load(root: &Root, file: Option<&Path>) -> Result<Loaded, Vec<ConfigError>> {
    let (sources, unreadable) = match file {
        Some(file) => (source::named(file)?, Vec::new()),
        None => source::standard(root),
    };
    let merged = understand(&sources, unreadable, Some(root))?;
    Ok(Loaded::of(merged, &sources))
}

/// [`load`] for commands that only read, or go back to what was: a file with a mistake is left out as a whole, so that
/// nothing of it leads anywhere, and every mistake is returned beside what the other files say.
#[must_use]
pub fn load_what_is_right(root: &Root, file: Option<&Path>) -> (Loaded, Vec<ConfigError>) {
    let (mut sources, unreadable) = match file {
        Some(file) => match source::named(file) {
            Ok(sources) => (sources, Vec::new()),
            Err(errors) => (Vec::new(), errors),
        },
        None => source::standard(root),
    };
    let mut mistakes = match understand(&sources, unreadable, Some(root)) {
        Ok(merged) => return (Loaded::of(merged, &sources), Vec::new()),
        Err(mistakes) => mistakes,
    };
    let mut wrong = mistakes.clone();
    loop {
        let before = sources.len();
        sources.retain(|source| !wrong.iter().any(|mistake| mistake.path() == source.path));
        if sources.len() == before {
            // Mistakes of files that are not among the others.
            wrong.clear();
        }
        match understand(&sources, Vec::new(), Some(root)) {
            Ok(merged) => return (Loaded::of(merged, &sources), mistakes),
            // Two files that are right alone may be wrong together.
            Err(more) => {
                mistakes.extend(
                    more.iter()
                        .filter(|one| !mistakes.contains(one))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                wrong = more;
            }
        }
    }
}

/// The directories in which a change can be one of what [`load`] gives; some may not be there.
#[must_use]
pub fn directories(root: &Root, file: Option<&Path>) -> BTreeSet<PathBuf> {
    source::directories(root, file)
}

/// Reads one text as if it were the only file.
///
/// # Errors
/// Every mistake found.
pub fn parse(path: &Path, text: &str) -> Result<Config, Vec<ConfigError>> {
    let source = Source {
        path: path.to_path_buf(),
        text: text.to_owned(),
    };
    understand(&[source], Vec::new(), None).map(|merged| merged.config)
}

impl Loaded {
    fn of(merged: Merged<'_>, sources: &[Source]) -> Self {
        let origins = SECTIONS
            .iter()
            .flat_map(|section| match table_section(section) {
                Some(tables) => of_tables(&merged, tables),
                None => of_section(&merged, section),
            })
            .collect();
        Self {
            config: merged.config,
            files: sources.iter().map(|source| source.path.clone()).collect(),
            origins,
            warnings: merged.warnings,
            named: merged.named,
        }
    }

    /// The effective configuration as TOML, section by section. A key that a file set names the file in a comment; the
    /// result can be read back.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut table = "";
        for origin in &self.origins {
            if origin.table != table {
                let separator = if text.is_empty() { "" } else { "\n" };
                table = &origin.table;
                text.push_str(&format!("{separator}[{table}]\n"));
            }
            let name = origin.name();
            text.push_str(&format!("{name} = {}{}\n", origin.value, origin.comment()));
        }
        text
    }
}

fn of_section(merged: &Merged<'_>, section: &str) -> Vec<Origin> {
    KEYS.iter()
        .filter(|key| key.section == section)
        .map(|key| {
            let value = (key.show)(&merged.config);
            Origin::new(merged, section.to_owned(), key.name, &value)
        })
        .collect()
}

fn of_tables(merged: &Merged<'_>, section: &TableSection) -> Vec<Origin> {
    let config = &merged.config;
    let mut origins = Vec::new();
    for table in (section.names)(config) {
        for key in section.keys {
            if let Some(value) = (key.show)(config, table) {
                let table = section.full_name(table);
                origins.push(Origin::new(merged, table, key.name, &value));
            }
        }
    }
    origins
}

impl Origin {
    fn new(merged: &Merged<'_>, table: String, name: &str, value: &toml::Value) -> Self {
        let key = format!("{table}.{name}");
        Self {
            path: merged.set_by.get(&key).map(|path| path.to_path_buf()),
            value: value.to_string(),
            key,
            table,
        }
    }

    /// `before`
    fn name(&self) -> &str {
        let name = self.key.strip_prefix(&self.table);
        name.and_then(|name| name.strip_prefix('.'))
            .unwrap_or(&self.key)
    }

    fn comment(&self) -> String {
        match &self.path {
            // A file name may hold anything, a line break too; the comment must stay one.
            Some(path) => format!(" # {}", path.to_string_lossy().escape_debug()),
            None if self.value == "\"\"" => " # found on the node".to_owned(),
            None => String::new(),
        }
    }
}

fn understand<'text>(
    sources: &'text [Source],
    mut errors: Vec<ConfigError>,
    root: Option<&Root>,
) -> Result<Merged<'text>, Vec<ConfigError>> {
    let mut fragments = Vec::new();
    for source in sources {
        let (fragment, mistakes) = Fragment::parse(&source.path, &source.text);
        fragments.push(fragment);
        errors.extend(mistakes);
    }
    merge(&fragments, errors, root).map_err(|errors| sorted(errors, sources))
}

/// File by file in the order of reading, and from top to bottom.
fn sorted(mut errors: Vec<ConfigError>, sources: &[Source]) -> Vec<ConfigError> {
    errors.sort_by_key(|error| {
        let file = sources
            .iter()
            .position(|source| source.path == error.path());
        (file, error.line(), error.column())
    });
    errors
}
