//! The three authorities and the service account's key pair.

use super::closed::Reader;
use std::path::{Path, PathBuf};

use super::pem_files;
use crate::config::Locations;
use crate::host::{Root, on_all_cores};
use crate::node::{
    Authority, AuthorityState, Directories, Document, Fault, KeyFile, KeyState, KnownKey, NamedBy,
    Problem, ServiceAccountKeys, known_keys,
    read::{self, Found, Seen},
};
use crate::pki::{AuthorityId, Certificate};

/// Reads the authorities, kubeadm's in the order of their names, then others.
pub(super) fn read(
    reader: &Reader<'_>,
    directories: &Directories,
    locations: &Locations,
    external_etcd: bool,
) -> Vec<Authority> {
    let known = known_keys(reader.root);
    let mut places: Vec<Place> = AuthorityId::ALL
        .into_iter()
        .filter(|name| !(external_etcd && *name == AuthorityId::Etcd))
        .map(|name| {
            let base = directories.certificates.join(name.base());
            Place {
                name,
                certificate: base.with_extension("crt"),
                key: Some(base.with_extension("key")),
                table: None,
            }
        })
        .collect();
    for place in others(reader.root, locations) {
        if !places.iter().any(|known| known.name == place.name) {
            places.push(place);
        }
    }
    on_all_cores(&places, |place| authority(reader, &known, place))
}

/// Where an authority lies.
struct Place {
    name: AuthorityId,
    certificate: PathBuf,
    /// Absent where the configuration says that it is elsewhere.
    key: Option<PathBuf>,
    /// The table of the configuration that names the files.
    table: Option<String>,
}

/// Those that are not kubeadm's, as the configuration describes them.
fn others<'a>(root: &'a Root, locations: &'a Locations) -> impl Iterator<Item = Place> + 'a {
    locations.described.iter().filter_map(|(table, described)| {
        Some(Place {
            name: described.authority().filter(|name| !name.is_kubeadms())?,
            certificate: root.join(described.ca.as_ref()?),
            key: described.ca_key.as_ref().map(|key| root.join(key)),
            table: Some(table.clone()),
        })
    })
}

fn authority(reader: &Reader<'_>, known: &[KnownKey], place: &Place) -> Authority {
    let name = place.name;
    let (certificate_path, key_path) = (place.certificate.clone(), place.key.clone());
    let state = match pem_files::certificates(reader, &certificate_path) {
        Ok(None) => AuthorityState::Missing,
        Err(unusable) => AuthorityState::Unreadable(unusable.into_problem()),
        Ok(Some(file)) if !file.leaf.is_ca => AuthorityState::Unreadable(Problem::new(
            &certificate_path,
            Fault::NotAuthority {
                subject: file.leaf.subject,
            },
        )),
        Ok(Some(file)) => {
            let mut certificates = vec![file.leaf];
            certificates.extend(file.chain);
            let (key, signing) = match &key_path {
                None => (KeyState::Missing, Vec::new()),
                Some(path) => key(reader, known, place, path, &certificates),
            };
            AuthorityState::Present {
                certificates,
                key,
                signing,
            }
        }
    };
    Authority {
        name,
        certificate_path,
        key_path,
        state,
    }
}

/// What is known of its key.
fn key(
    reader: &Reader<'_>,
    known: &[KnownKey],
    place: &Place,
    path: &Path,
    certificates: &[Certificate],
) -> (KeyState, Vec<Certificate>) {
    match (unread(reader, path), &place.table) {
        (KeyState::Unread, _) => whose(reader, known, path, certificates),
        // Who names a file means that it is here.
        (KeyState::Missing, Some(table)) => {
            let named_by = NamedBy::ConfigurationAsKey(table.clone());
            let problem = Problem::new(path, Fault::DoesNotExist { named_by });
            (KeyState::OutOfReach(problem), Vec::new())
        }
        (key, _) => (key, Vec::new()),
    }
}

/// Whose a key is, as far as that is known from when it was opened last; all of the certificates may be meant otherwise.
fn whose(
    reader: &Reader<'_>,
    known: &[KnownKey],
    path: &Path,
    certificates: &[Certificate],
) -> (KeyState, Vec<Certificate>) {
    let node_path = reader.root.node_path(path);
    let resolved = reader.root.resolve(path).ok();
    let file = resolved.and_then(|resolved| KeyFile::at(&resolved));
    let known = known
        .iter()
        .find(|known| known.path == node_path && Some(known.file) == file);
    let compared: Option<Vec<bool>> = known.and_then(|known| {
        let compared = certificates.iter();
        compared
            .map(|certificate| known.is_of(certificate))
            .collect()
    });
    let Some(compared) = compared else {
        return (KeyState::Unread, certificates.to_vec());
    };
    let own: Vec<Certificate> = certificates
        .iter()
        .zip(compared)
        .filter(|(_, is_own)| *is_own)
        .map(|(certificate, _)| certificate.clone())
        .collect();
    let key = match own.first() {
        Some(certificate) => KeyState::Matching(certificate.key_kind().made()),
        None => KeyState::Mismatched,
    };
    (key, own)
}

/// What can be said of a key without opening it.
fn unread(reader: &Reader<'_>, path: &Path) -> KeyState {
    match read::look_at(reader.root, path) {
        Seen::Missing => KeyState::Missing,
        Seen::Unreadable(fault) => KeyState::OutOfReach(Problem::new(path, fault)),
        Seen::Empty => KeyState::Damaged(Problem::new(
            path,
            Fault::Empty {
                kubeadm_makes_it: true,
            },
        )),
        Seen::File => KeyState::Unread,
    }
}

/// Looks at `sa.key`, and reads `sa.pub`.
pub(super) fn service_account(
    reader: &Reader<'_>,
    directories: &Directories,
) -> ServiceAccountKeys {
    let key_path = directories.certificates.join("sa.key");
    let public_key_path = directories.certificates.join("sa.pub");
    let public = reader.find(&public_key_path, pem_files::KEY_FILE);
    let key = match (unread(reader, &key_path), &public) {
        (KeyState::Unread, Found::Unreadable(fault)) => {
            KeyState::OutOfReach(Problem::new(&public_key_path, fault.clone()))
        }
        (KeyState::Unread, Found::Content(content)) => match public_keys(&content.bytes) {
            Ok(()) => KeyState::Unread,
            Err(reason) => KeyState::Damaged(Problem::new(
                &public_key_path,
                Fault::Malformed {
                    what: Document::PublicKey,
                    reason: reason.to_owned(),
                },
            )),
        },
        (key, _) => key,
    };
    ServiceAccountKeys {
        key,
        public_key_present: !matches!(public, Found::Missing),
        key_path,
        public_key_path,
    }
}

/// Whether there is a public key in the file (several while the key is being changed).
fn public_keys(text: &[u8]) -> Result<(), &'static str> {
    let blocks =
        pem::parse_many(text).map_err(|_| "holds damaged PEM; restore it from a backup")?;
    if blocks
        .iter()
        .any(|block| matches!(block.tag(), "PUBLIC KEY" | "RSA PUBLIC KEY"))
    {
        Ok(())
    } else {
        Err("holds no PEM block PUBLIC KEY; restore it from a backup")
    }
}
