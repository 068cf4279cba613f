//! Which files may be replaced for which certificate.
//!
//! The directories of certificates are written by others as well: the etcd pod has its own mounted writable, and so have
//! backup jobs. Whoever is root there can make a link of a name. Therefore a link is followed to a file that is to be
//! replaced only where root alone can have it lead elsewhere and it leads to a directory in which this node's certificates
//! live; and what is an authority's, the service account's, a manifest's or another certificate's is never replaced.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{CertificateId, CertificateState, Entry, Fault, Inventory, KeyState, Problem};
use crate::host::{Found, Root, Sight, Way};

/// Where manifests are while they are out, beside their directory.
const PARKED: &str = ".kubecertd";

/// The flags of kubeadm's static pods that name files with a leaf certificate or its key.
const LEAF_FLAGS: [&str; 15] = [
    "tls-cert-file",
    "tls-private-key-file",
    "etcd-certfile",
    "etcd-keyfile",
    "kubelet-client-certificate",
    "kubelet-client-key",
    "proxy-client-cert-file",
    "proxy-client-key-file",
    "cert-file",
    "key-file",
    "peer-cert-file",
    "peer-key-file",
    "kubeconfig",
    "authentication-kubeconfig",
    "authorization-kubeconfig",
];

/// Which files may be replaced for which certificate, as things were when a node was observed.
#[derive(Debug, Clone, Default)]
pub struct Replaceable {
    /// Directories in which this node's certificates live, without links.
    directories: BTreeSet<PathBuf>,
    /// The directory of each file of a certificate that the configuration describes. It may be any, so it is that one's alone: a
    /// link of another certificate's never leads there.
    described: BTreeSet<(CertificateId, PathBuf)>,
    /// Files that are replaced for nothing.
    kept: Vec<Owned<Kept>>,
    /// Directories of which no file is replaced, and what they are.
    kept_directories: Vec<(PathBuf, &'static str)>,
    /// The files of each certificate.
    certificates: Vec<Owned<CertificateId>>,
}

/// A file, and what or whose it is.
#[derive(Debug, Clone)]
struct Owned<W> {
    real: PathBuf,
    /// Device and number: another name of the same file is the same file.
    identity: Option<(u64, u64)>,
    /// `the key of the authority ca`, or a certificate.
    whose: W,
}

/// What a file is that is replaced for no certificate.
#[derive(Debug, Clone)]
struct Kept {
    /// `the key of the authority ca`
    what: String,
    /// Whether it is not replaced for an authority either.
    is_always: bool,
}

/// Why a file is not replaced, as a sentence without its path.
type Reason = String;

impl Replaceable {
    /// What may be replaced on a node.
    #[must_use]
    pub fn of(root: &Root, inventory: &Inventory) -> Self {
        Self::seen(&Sight::new(root), inventory)
    }

    /// The same where certificates of authorities are to be changed, which lie in these files: those may be replaced as well, by the same
    /// rules. Keys and manifests may not.
    #[must_use]
    pub fn with_authorities_in<'file>(
        root: &Root,
        inventory: &Inventory,
        files: impl IntoIterator<Item = &'file Path>,
    ) -> Self {
        let sight = Sight::new(root);
        let mut replaceable = Self::seen(&sight, inventory);
        let files: BTreeSet<PathBuf> = files.into_iter().map(|file| sight.real(file)).collect();
        let kept = &mut replaceable.kept;
        kept.retain(|kept| kept.whose.is_always || !files.contains(&kept.real));
        replaceable
    }

    /// The same with what was seen already.
    pub(super) fn seen(sight: &Sight, inventory: &Inventory) -> Self {
        let places = &inventory.directories;
        let mut directories = vec![
            places.certificates.clone(),
            places.certificates.join("etcd"),
            places.kubernetes.clone(),
            places.kubelet_pki.clone(),
        ];
        let (described, own): (Vec<&Entry>, Vec<&Entry>) = inventory
            .entries
            .iter()
            .filter(|entry| entry.is_renewed_here())
            .partition(|entry| entry.described.is_some());
        let described = described
            .into_iter()
            .flat_map(|entry| entry.files().map(|file| (&entry.id, file)))
            .filter_map(|(id, file)| Some((id.clone(), sight.real(file.parent()?))));
        // Also those of the files that flags name.
        directories.extend(
            own.into_iter()
                .flat_map(Entry::files)
                .map(Path::to_path_buf)
                .chain(named_leaves(inventory))
                .filter_map(|file| file.parent().map(Path::to_path_buf)),
        );
        let manifests = sight.real(&places.manifests);
        let parked = manifests.parent().map(|beside| beside.join(PARKED));
        let mut kept_directories = vec![(manifests, "a static pod's manifest")];
        kept_directories.extend(parked.map(|parked| (parked, "a static pod's manifest")));
        Self {
            directories: directories
                .iter()
                .map(|directory| sight.real(directory))
                .collect(),
            described: described.collect(),
            kept: kept(sight, inventory),
            kept_directories,
            certificates: certificates(sight, inventory),
        }
    }

    /// Whether the file that a path leads to may be replaced for a certificate. `found` is what is there.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn check(
        &self,
        id: &CertificateId,
        way: &Way,
        found: Option<&Found>,
    ) -> Result<(), Reason> {
        let identity = found.map(|found| found.identity);
        let kept = self.kept.iter().find(|kept| kept.is(&way.real, identity));
        if let Some(kept) = kept {
            return Err(is_kept(way, &kept.real, &kept.whose.what));
        }
        let directory = way.real.parent().unwrap_or(&way.real);
        if let Some((_, what)) = self
            .kept_directories
            .iter()
            .find(|(one, _)| one == directory)
        {
            return Err(is_kept(way, &way.real, what));
        }
        if way.links.is_empty() {
            return Ok(());
        }
        trusted(way)?;
        let of_its_own = (id.clone(), directory.to_path_buf());
        if !self.directories.contains(directory) && !self.described.contains(&of_its_own) {
            return Err(format!(
                "is a symbolic link to {}, outside of the directories of this node's certificates, so nothing is written \
                 there; put the file itself in the link's place, or name its directory as paths.certificates",
                way.real.display()
            ));
        }
        match self.shared_with(id, &way.real) {
            Some(other) => Err(format!(
                "leads to {}, which is also a file of {other}; give each of the two its own files",
                way.real.display()
            )),
            None => Ok(()),
        }
    }

    /// Whose file it is besides, if that certificate does not lie in the very same files.
    fn shared_with(&self, id: &CertificateId, real: &Path) -> Option<&CertificateId> {
        let files = |id: &CertificateId| -> BTreeSet<&Path> {
            self.certificates
                .iter()
                .filter(|file| file.whose == *id)
                .map(|file| file.real.as_path())
                .collect()
        };
        self.certificates
            .iter()
            .filter(|file| file.whose != *id && file.real == real)
            .map(|file| &file.whose)
            .find(|other| files(other) != files(id))
    }

    /// Why a key file that does not hold this certificate's key may be another's, if it may.
    fn not_own_key(&self, id: &CertificateId, way: &Way, found: Option<&Found>) -> Option<Reason> {
        if way.ends_in_link {
            return Some(format!(
                "is a symbolic link to {}, which holds no key of this certificate and may be another's; restore the key there, \
                 or put one in the link's place",
                way.real.display()
            ));
        }
        let identity = Some(found?.identity);
        let other = self
            .certificates
            .iter()
            .find(|file| file.whose != *id && file.real != way.real && file.identity == identity)?;
        Some(format!(
            "is, by a hard link, {}, a file of {}, and holds no key of this certificate; remove it here and restore this \
             certificate's own key",
            other.real.display(),
            other.whose
        ))
    }
}

impl<W> Owned<W> {
    fn new(sight: &Sight, file: &Path, whose: W) -> Option<Self> {
        let seen = sight.of(file)?;
        Some(Self {
            real: seen.way.real.clone(),
            identity: seen.found.map(|found| found.identity),
            whose,
        })
    }

    fn is(&self, real: &Path, identity: Option<(u64, u64)>) -> bool {
        self.real == real || (identity.is_some() && self.identity == identity)
    }
}

/// Whether no other than root can have the way lead elsewhere.
///
/// # Errors
/// What others could change, and what to do.
pub fn trusted(way: &Way) -> Result<(), Reason> {
    match led_by_others(way) {
        None => Ok(()),
        Some(how) => Err(format!(
            "{how}, so nothing is written there; make that root's alone, or put the file itself in the link's place"
        )),
    }
}

/// Where a way with a link leads, and through what that others than root can change.
pub(super) fn led_by_others(way: &Way) -> Option<String> {
    let step = way.loose().filter(|_| !way.links.is_empty())?;
    let others = if crate::host::is_trusted_owner(step.found.uid) {
        format!(
            "others than root can write to (mode {:04o}; chmod go-w)",
            step.found.mode
        )
    } else {
        format!("belongs to user {} (chown root)", step.found.uid)
    };
    Some(format!(
        "leads to {} through {}, which {others}",
        way.real.display(),
        step.path.display()
    ))
}

/// Finds the certificates whose files must not be replaced, and says so in the state of their keys. Of a file that is
/// behind a link, or another's by another name, a key that is of no use is no reason to write there: it may be another's.
pub(super) fn mark(sight: &Sight, inventory: &mut Inventory) {
    let replaceable = Replaceable::seen(sight, inventory);
    for entry in &mut inventory.entries {
        if !entry.is_renewed_here() {
            continue;
        }
        let problem = entry
            .files()
            .find_map(|file| problem(sight, &replaceable, entry, file));
        if let (Some(problem), CertificateState::Present(present)) = (problem, &mut entry.state) {
            present.key = KeyState::NotOwn(problem);
        }
    }
}

/// What speaks against replacing one of its files.
fn problem(
    sight: &Sight,
    replaceable: &Replaceable,
    entry: &Entry,
    file: &Path,
) -> Option<Problem> {
    // What cannot be reached is said by whoever reads it.
    let seen = sight.of(file)?;
    let (way, found) = (&seen.way, seen.found);
    if found.is_none() && way.ends_in_link {
        return None;
    }
    let reason = match replaceable.check(&entry.id, way, found.as_ref()) {
        Err(reason) => reason,
        Ok(()) if entry.key_path.as_deref() == Some(file) && has_unusable_key(entry) => {
            replaceable.not_own_key(&entry.id, way, found.as_ref())?
        }
        Ok(()) => return None,
    };
    Some(Problem::new(file, Fault::NotOwn { reason }))
}

fn has_unusable_key(entry: &Entry) -> bool {
    entry.present().is_some_and(|present| {
        matches!(
            present.key,
            KeyState::Missing | KeyState::Mismatched | KeyState::Damaged(_)
        )
    })
}

fn is_kept(way: &Way, kept: &Path, what: &str) -> Reason {
    let how = if way.real != kept {
        "is, by a hard link,"
    } else if way.links.is_empty() {
        "is"
    } else {
        "is a symbolic link to"
    };
    format!(
        "{how} {}, {what}, which is never replaced; remove it here and restore this certificate's own file",
        kept.display()
    )
}

fn kept(sight: &Sight, inventory: &Inventory) -> Vec<Owned<Kept>> {
    let mut kept = Vec::new();
    let mut keep_as = |file: &Path, what: &str, is_always: bool| {
        let what = what.to_owned();
        kept.extend(Owned::new(sight, file, Kept { what, is_always }));
    };
    for authority in &inventory.authorities {
        keep_as(
            &authority.certificate_path,
            &format!("the certificate of the authority {}", authority.name),
            false,
        );
    }
    let mut keep = |file: &Path, what: &str| keep_as(file, what, true);
    for authority in &inventory.authorities {
        let name = authority.name;
        if let Some(key) = &authority.key_path {
            keep(key, &format!("the key of the authority {name}"));
        }
    }
    keep(
        &inventory.service_account.key_path,
        "the key of the service account",
    );
    keep(
        &inventory.service_account.public_key_path,
        "the public key of the service account",
    );
    for pod in &inventory.static_pods {
        keep(&pod.path, "a static pod's manifest");
    }
    for entry in &inventory.entries {
        let is_leaf_to_be = entry.is_renewed_here() && entry.described.is_none();
        if entry.present().is_some_and(|present| present.leaf.is_ca) && !is_leaf_to_be {
            let what = format!("a file of the authority {}", entry.id);
            for file in entry.files() {
                let is_key = entry.key_path.as_deref() == Some(file);
                keep_as(file, &what, is_key);
            }
        }
    }
    let mut own: BTreeSet<PathBuf> = named_leaves(inventory).collect();
    let entries = inventory.entries.iter();
    own.extend(
        entries
            .clone()
            .flat_map(Entry::files)
            .map(Path::to_path_buf),
    );
    // By another way through a linked directory they are the same files.
    own.extend(
        entries
            .filter(|entry| entry.is_renewed_here())
            .flat_map(Entry::files)
            .filter_map(|file| sight.of(file).filter(|seen| !seen.way.ends_in_link))
            .map(|seen| seen.way.real.clone()),
    );
    let is_own = |file: &Path| own.contains(file) || own.contains(&sight.real(file));
    for pod in &inventory.static_pods {
        for file in pod.files().iter().filter(|file| !is_own(file)) {
            keep_as(
                file,
                &format!("a file that {} uses", pod.component()),
                false,
            );
        }
    }
    kept
}

/// The files of leaf certificates that the static pods' flags name.
fn named_leaves(inventory: &Inventory) -> impl Iterator<Item = PathBuf> {
    inventory
        .static_pods
        .iter()
        .flat_map(|pod| LEAF_FLAGS.iter().filter_map(|flag| pod.file_flag(flag)))
}

fn certificates(sight: &Sight, inventory: &Inventory) -> Vec<Owned<CertificateId>> {
    inventory
        .entries
        .iter()
        .filter(|entry| entry.present().is_some())
        .flat_map(|entry| entry.files().map(|file| (&entry.id, file)))
        .filter_map(|(id, file)| Owned::new(sight, file, id.clone()))
        .collect()
}
