//! Certificates that are not kubeadm's and that the configuration describes: where each lies, with which key, and whether it may be
//! replaced.
//!
//! The configuration is root's, but what lies at its paths may be anybody's. A certificate of this node's CA is renewed only where it
//! lies with its own key in files that are nobody else's, and in nobody's hands but root's or those of the owner that is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::budget::Budget;
use super::entrusted;
use super::findings::Findings;
use super::node::{Node, Wanted};
use super::own_place::{Hands, hands, roots_alone};
use super::pattern;
use super::pem_files::{self, CertificateFile, TOO_MANY};
use crate::config::Description;
use crate::host::on_all_cores;
use crate::node::owners::{GROUPS, USERS, number_of};
use crate::node::{
    Authority, CertificateId, CertificateState, Described, Entry, Fault, KeyState, Present, Problem,
};

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
    pattern::matches(node, table, description, findings)
        .into_iter()
        .map(|one| place(format!("{table}/{}", one.stem), one.certificate, one.key))
        .collect()
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
    let owner = account(node, place, "owner", &description.owner);
    let group = account(node, place, "group", &description.group);
    let described = Described {
        table: place.table.into(),
        description: Arc::clone(description),
        owner: owner.clone().ok().flatten(),
        group: group.clone().ok().flatten(),
    };
    if let CertificateState::Present(present) = &mut entry.state {
        let refused = unusable_key(place, present)
            .or_else(|| owner.err().or(group.err()))
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

/// The number of the user or group that the key of that name gives, if it does; or why nothing can be given to it.
fn account(
    node: &Node<'_>,
    place: &Place<'_>,
    key: &str,
    name: &Option<String>,
) -> Result<Option<u32>, Problem> {
    let Some(name) = name else { return Ok(None) };
    let file = if key == "owner" { USERS } else { GROUPS };
    let why = match number_of(node.root, file, name) {
        Ok(Some(number)) => return Ok(Some(number)),
        Ok(None) => format!("{file} has no such name"),
        Err(error) => format!("{file} cannot be read ({error})"),
    };
    let reason = format!(
        "cannot be given to {name:?}, the {key} in [certificate.{}], since {why}; write its number",
        place.table
    );
    Err(Problem::new(&place.certificate, Fault::NotOwn { reason }))
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
