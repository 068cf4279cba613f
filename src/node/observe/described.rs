//! Certificates that are not kubeadm's and that the configuration describes: where each lies, with which key, and whether it may be
//! replaced.
//!
//! The configuration is root's, but what lies at its paths may be anybody's. A certificate of this node's CA is renewed only where it
//! lies with its own key in files that are nobody else's, and in nobody's hands but root's or those of the owner that is named.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::budget::Budget;
use super::entrusted;
use super::findings::Findings;
use super::node::{Node, Wanted};
use super::own_place::{Hands, hands, roots_alone};
use super::pem_files::{self, CertificateFile, TOO_MANY};
use crate::config::Description;
use crate::host::on_all_cores;
use crate::node::{
    Authority, CertificateId, CertificateState, Described, Entry, Fault, KeyState, NamedBy,
    Present, Problem, owners, read,
};

/// Files that one pattern may match; more are no services of one node.
const MATCHES: usize = 64;

/// A certificate that is described.
struct Place<'a> {
    id: CertificateId,
    certificate: PathBuf,
    key: PathBuf,
    table: &'a str,
    description: &'a Arc<Description>,
}

/// The entries for all that the configuration describes, by name. `known`: the others of the node.
pub(super) fn entries(node: &Node<'_>, known: &[Entry], findings: &mut Findings) -> Vec<Entry> {
    let described: Vec<(&String, Arc<Description>)> = node
        .locations
        .described
        .iter()
        .map(|(table, description)| (table, Arc::new(description.clone())))
        .collect();
    let mut places = Vec::new();
    for (table, description) in &described {
        places.extend(places_of(node, table, description, findings));
    }
    let found = on_all_cores(&places, |place| entry(node, place));
    let mut taken = files_of(node, known);
    let mut entries = Vec::new();
    for mut entry in found.into_iter().flatten() {
        if let Some((path, whose)) = shared(node, &entry, &taken) {
            let reason = format!(
                "is also a file of {whose}; give each of the two its own, or take its table out"
            );
            entry.state =
                CertificateState::Unreadable(Problem::new(path, Fault::NotOwn { reason }));
        } else {
            taken.extend(files(node, &entry));
        }
        entries.push(entry);
    }
    entries
}

/// The places that one table describes.
fn places_of<'a>(
    node: &Node<'_>,
    table: &'a str,
    description: &'a Arc<Description>,
    findings: &mut Findings,
) -> Vec<Place<'a>> {
    let place = |name: String, certificate: PathBuf, key: Option<PathBuf>| Place {
        id: CertificateId::Found(name.into()),
        key: key.unwrap_or_else(|| certificate.clone()),
        certificate,
        table,
        description,
    };
    let real = |path: &PathBuf| node.root.join(path);
    let file = real(&description.file);
    if !description.is_pattern() {
        let key = description.key.as_ref().map(real);
        return vec![place(table.to_owned(), file, key)];
    }
    let directory = file.parent().unwrap_or(&file);
    let mut stems = stems(node, directory, description, findings);
    if stems.is_empty() {
        let named_by = NamedBy::Configuration(table.to_owned());
        findings.unseen(Problem::new(&file, Fault::DoesNotExist { named_by }));
    }
    if stems.len() > MATCHES {
        findings.unseen(Problem::new(&file, Fault::TooManyMatches { most: MATCHES }));
        stems.truncate(MATCHES);
    }
    stems
        .into_iter()
        .map(|(stem, name)| {
            let key = description.key_of(OsStr::new(&stem));
            place(
                format!("{table}/{stem}"),
                directory.join(name),
                key.as_ref().map(real),
            )
        })
        .collect()
}

/// What a pattern matches: what its star stands for, and the file's name. A name that is no plain text is never a match: no command
/// could name its certificate.
fn stems(
    node: &Node<'_>,
    directory: &Path,
    description: &Description,
    findings: &mut Findings,
) -> Vec<(String, OsString)> {
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
    let mut stems: Vec<(String, OsString)> = listing
        .names
        .into_iter()
        .filter_map(|name| {
            let stem = description.stem_of(&name)?.to_str()?.to_owned();
            (!stem.contains(char::is_control)).then_some((stem, name))
        })
        .collect();
    stems.sort();
    stems
}

/// The entry of one place; `None` where a pattern matches an authority's certificate, as beside those that it signs.
fn entry(node: &Node<'_>, place: &Place<'_>) -> Option<Entry> {
    let found = pem_files::some_certificates(node.reader, &place.certificate, Budget::of_a_file());
    let found = match found {
        Ok(Some(file)) if file.leaf.is_ca && place.description.is_pattern() => return None,
        Ok(Some(CertificateFile { is_cut: true, .. })) => {
            Err(Problem::new(&place.certificate, TOO_MANY))
        }
        other => other.map_err(pem_files::Unusable::into_problem),
    };
    let mut entry = node.entry_of(
        Wanted {
            id: place.id.clone(),
            certificate: &place.certificate,
            key: Some(&place.key),
            authority: place.description.authority(),
        },
        found,
    );
    let description = place.description;
    let account = |name: &Option<String>, number: fn(&_, &str) -> Option<u32>| {
        name.as_ref().and_then(|name| number(node.root, name))
    };
    let described = Described {
        table: place.table.into(),
        description: Arc::clone(description),
        owner: account(&description.owner, owners::user),
        group: account(&description.group, owners::group),
    };
    if let CertificateState::Present(present) = &mut entry.state {
        let refused = unusable_key(place, present)
            .or_else(|| unknown_account(place, &described))
            .or_else(|| in_wrong_hands(node, place, present, described.owner));
        if let Some(problem) = refused {
            present.key = KeyState::NotOwn(problem);
        }
    }
    entry.described = Some(Box::new(described));
    Some(entry)
}

/// A key that is not the certificate's is somebody else's, whom a new one in its place would rob of it.
fn unusable_key(place: &Place<'_>, present: &Present) -> Option<Problem> {
    let what = match &present.key {
        KeyState::Missing => "is not there",
        KeyState::Mismatched => "is the key of another certificate",
        KeyState::Damaged(_) => "holds no key",
        _ => return None,
    };
    let reason = format!(
        "{what}, and only where the certificate's own is, one is made anew; restore it, or correct key in [certificate.{}]",
        place.table
    );
    Some(Problem::new(&place.key, Fault::NotOwn { reason }))
}

fn unknown_account(place: &Place<'_>, described: &Described) -> Option<Problem> {
    let description = &described.description;
    let unknown = [
        ("owner", &description.owner, described.owner, "/etc/passwd"),
        ("group", &description.group, described.group, "/etc/group"),
    ];
    unknown.into_iter().find_map(|(key, name, number, file)| {
        let name = name.as_ref().filter(|_| number.is_none())?;
        let reason = format!(
            "cannot be given to {name:?}, the {key} in [certificate.{}], since {file} has no such name; write its number",
            place.table
        );
        Some(Problem::new(&place.certificate, Fault::NotOwn { reason }))
    })
}

fn in_wrong_hands(
    node: &Node<'_>,
    place: &Place<'_>,
    present: &Present,
    owner: Option<u32>,
) -> Option<Problem> {
    let table = format!("certificate.{}", place.table);
    let mut owned_by = None;
    for path in [&place.certificate, &place.key] {
        match hands(node.root, path, owner, &table) {
            Ok(Hands::Roots) => {}
            Ok(Hands::Owners(uid)) => owned_by = Some(uid),
            Err(problem) => return Some(problem),
        }
    }
    let description = place.description;
    for path in [&description.ca, &description.ca_key].into_iter().flatten() {
        if let Err(problem) = roots_alone(node.root, &node.root.join(path)) {
            return Some(problem);
        }
    }
    let reason = entrusted::refusal(node, present, owned_by?)?;
    Some(Problem::new(&place.certificate, Fault::NotOwn { reason }))
}

/// A file, by where it really lies, and whose it is.
type Owned = (PathBuf, String);

/// The files of the others.
fn files_of(node: &Node<'_>, known: &[Entry]) -> Vec<Owned> {
    let authorities = node.authorities.iter().flat_map(|authority: &Authority| {
        let whose = format!("the authority {}", authority.name);
        authority
            .files()
            .map(move |path| (resolved(node, path), whose.clone()))
    });
    known
        .iter()
        .flat_map(|entry| files(node, entry))
        .chain(authorities)
        .collect()
}

fn files(node: &Node<'_>, entry: &Entry) -> Vec<Owned> {
    let paths: BTreeSet<&Path> = entry.files().chain([entry.path.as_path()]).collect();
    let owned = |path: &Path| (resolved(node, path), entry.id.to_string());
    paths.into_iter().map(owned).collect()
}

/// The first of its files that is another's.
fn shared(node: &Node<'_>, entry: &Entry, taken: &[Owned]) -> Option<(PathBuf, String)> {
    entry.files().find_map(|path| {
        let real = resolved(node, path);
        let (_, whose) = taken.iter().find(|(taken, _)| *taken == real)?;
        Some((path.to_path_buf(), whose.clone()))
    })
}

fn resolved(node: &Node<'_>, path: &Path) -> PathBuf {
    node.root
        .resolve(path)
        .unwrap_or_else(|_| path.to_path_buf())
}
