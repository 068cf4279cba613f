//! What the patterns of the configuration match.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::budget::Budget;
use super::findings::Findings;
use super::node::Node;
use super::pem_files::{self, Unusable};
use crate::config::Description;
use crate::node::{Fault, NamedBy, Problem, read};

/// Certificates that one pattern may match; more are no services of one node.
const MATCHES: usize = 64;

/// Files that are looked into for that: each may have its key beside it.
const FILES: usize = 4 * MATCHES;

/// A file that a pattern matches.
pub(super) struct Match {
    /// What its star stands for.
    pub(super) stem: String,
    pub(super) certificate: PathBuf,
    /// Its key, where that is in another file.
    pub(super) key: Option<PathBuf>,
}

/// The certificates that the pattern of a table matches, by name. What is wrong with it is a finding.
pub(super) fn matches(
    node: &Node<'_>,
    table: &str,
    description: &Description,
    findings: &mut Findings,
) -> Vec<Match> {
    let file = node.root.join(&description.file);
    let mut found = named_so(node, description, file.parent().unwrap_or(&file), findings);
    let is_cut = found.len() > FILES;
    found.truncate(FILES);
    let keys: BTreeSet<&Path> = found.iter().filter_map(|one| one.key.as_deref()).collect();
    // Whether it is no more than a key is seen in the file.
    let is_key = |one: &Match| {
        keys.contains(one.certificate.as_path()) && !holds_certificate(node, &one.certificate)
    };
    let some = found.iter().filter(|one| !is_key(one)).take(MATCHES + 1);
    let mut stems: BTreeSet<String> = some.map(|one| one.stem.clone()).collect();
    if stems.is_empty() {
        let named_by = NamedBy::Configuration(table.to_owned());
        findings.unseen(Problem::new(&file, Fault::DoesNotExist { named_by }));
    }
    if stems.len() > MATCHES || is_cut {
        findings.unseen(Problem::new(&file, Fault::TooManyMatches { most: MATCHES }));
    }
    if stems.len() > MATCHES {
        stems.pop_last();
    }
    found
        .into_iter()
        .filter(|one| stems.contains(&one.stem))
        .collect()
}

/// The files whose names fit, in their order. A name that is no plain text is never a match: no command could name its
/// certificate.
fn named_so(
    node: &Node<'_>,
    description: &Description,
    directory: &Path,
    findings: &mut Findings,
) -> Vec<Match> {
    let listing = node
        .root
        .resolve(directory)
        .and_then(|directory| read::names(&directory));
    let listing = match listing {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            findings.unseen(Problem::new(directory, read::fault(&error)));
            return Vec::new();
        }
    };
    if listing.is_cut {
        findings.unseen(Problem::new(directory, read::CUT));
    }
    let mut found: Vec<Match> = listing
        .names
        .into_iter()
        .filter_map(|name| {
            let stem = description.stem_of(&name)?.to_str()?.to_owned();
            let key = description.key_of(OsStr::new(&stem));
            (!stem.contains(char::is_control)).then(|| Match {
                certificate: directory.join(name),
                key: key.map(|key| node.root.join(key)),
                stem,
            })
        })
        .collect();
    found.sort_by(|one, other| one.stem.cmp(&other.stem));
    found
}

/// Whether there is a certificate in a file, sound or not.
fn holds_certificate(node: &Node<'_>, path: &Path) -> bool {
    matches!(
        pem_files::some_certificates(node.reader, path, Budget::of_a_file()),
        Ok(Some(_)) | Err(Unusable::Damaged(_))
    )
}
