//! Reading the disk into an [`Inventory`].

mod authorities;
mod budget;
mod closed;
mod directories;
mod extras;
mod findings;
mod kubeconfigs;
mod kubelets;
mod leaves;
mod manifests;
mod name;
mod named;
mod pem_files;
mod trust;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{
    Authority, CertificateState, Directories, Entry, EntryKind, Inventory, KubeletConfiguration,
    Present, Problem, Signer, StaticPod, Trust, replaceable,
};
use crate::config::Locations;
use crate::host::{Root, Sight};
use crate::pki::{AuthorityName, Catalogued, Certificate, SignedBy};
use closed::Reader;
use findings::Findings;
use manifests::Manifests;
use pem_files::{CertificateFile, Unusable};

/// Reads the node. Never fails as a whole.
#[must_use]
pub fn observe(root: &Root, locations: &Locations) -> Inventory {
    read_node(root, locations, Purpose::Renewal)
}

/// The same for a report, which does not try whether new credentials could be put into the kubeconfigs: no plan follows from it.
#[must_use]
pub fn observe_to_report(root: &Root, locations: &Locations) -> Inventory {
    read_node(root, locations, Purpose::Report)
}

/// What a node is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Report,
    Renewal,
}

fn read_node(root: &Root, locations: &Locations, purpose: Purpose) -> Inventory {
    let mut findings = Findings::default();
    let kubelet = KubeletConfiguration::read(root, &locations.kubelet_configuration);
    for problem in &kubelet.problems {
        findings.unseen(problem.clone());
    }
    let manifests = directories::manifests(root, locations, &kubelet);
    let parked = directories::parked(root, &manifests);
    let Manifests {
        running: static_pods,
        shadowed,
        unread: unread_manifests,
    } = Manifests::read(root, &manifests, &parked, &mut findings);
    let directories = directories::find(root, locations, manifests, &kubelet, &static_pods);
    let external_etcd = directories::is_etcd_external(root, &directories, &static_pods, &parked);
    let reader = Reader::new(root, &directories, &static_pods);
    let authorities = authorities::read(&reader, &directories, external_etcd);
    let node = Node {
        root,
        purpose,
        reader: &reader,
        locations,
        directories: &directories,
        kubelet: &kubelet,
        static_pods: &static_pods,
        authorities: &authorities,
        external_etcd,
    };
    // Checking an RSA key takes longer than all else together.
    let mut entries = Vec::new();
    let mut uneditable = BTreeMap::new();
    for found in on_all_cores(&Catalogued::all(), |catalogued| match *catalogued {
        Catalogued::Leaf(leaf) => leaves::entry(&node, leaf).map(Found::from),
        Catalogued::Kubeconfig(name) => Some(kubeconfigs::catalogued(&node, name)),
    })
    .into_iter()
    .flatten()
    {
        if let Some(reason) = found.uneditable {
            uneditable.insert(found.entry.name.clone(), reason);
        }
        entries.push(found.entry);
        findings.trust(found.trust);
    }
    entries.extend(kubelets::entries(&node, &mut findings));
    let extras = extras::entries(&node, &entries, &mut findings);
    entries.extend(extras);
    let service_account = authorities::service_account(&reader, &directories);
    let known = entries
        .iter()
        .flat_map(|entry| entry.files().chain([entry.path.as_path()]))
        .chain(authorities.iter().flat_map(Authority::files))
        .chain([
            service_account.key_path.as_path(),
            service_account.public_key_path.as_path(),
        ])
        .chain(static_pods.iter().map(|pod| pod.path.as_path()));
    let sight = Sight::new(root);
    let links = links(&sight, known, &static_pods);
    findings.trusts.extend(trust::by_flags(&node));
    let mut inventory = Inventory {
        node_name: name::node_name(root, &kubelet, &entries),
        service_account,
        directories,
        kubelet,
        authorities,
        entries,
        static_pods,
        shadowed,
        unread_manifests,
        uneditable,
        problems: findings.problems,
        trusts: findings.trusts,
        external_etcd,
        links,
    };
    replaceable::mark(&sight, &mut inventory);
    inventory
}

/// Where the files of these really lie, as far as that is elsewhere than their paths say.
fn links<'path>(
    sight: &Sight<'_>,
    known: impl Iterator<Item = &'path Path>,
    static_pods: &[StaticPod],
) -> BTreeMap<PathBuf, PathBuf> {
    known
        .map(Path::to_path_buf)
        .chain(static_pods.iter().flat_map(StaticPod::used_paths))
        .filter_map(|path| {
            let real = &sight.of(&path)?.way.real;
            (*real != path).then(|| (path, real.clone()))
        })
        .collect()
}

/// What is known of the node while its certificates are read.
struct Node<'a> {
    root: &'a Root,
    purpose: Purpose,
    reader: &'a Reader<'a>,
    locations: &'a Locations,
    directories: &'a Directories,
    kubelet: &'a KubeletConfiguration,
    static_pods: &'a [StaticPod],
    authorities: &'a [Authority],
    external_etcd: bool,
}

/// An entry, and what else is in its file.
struct Found {
    entry: Entry,
    trust: Option<Trust>,
    /// Why new credentials could not be put into it.
    uneditable: Option<String>,
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Self {
        Self {
            entry,
            trust: None,
            uneditable: None,
        }
    }
}

/// A certificate file and its key, as an entry is to be made of them.
struct Wanted<'a> {
    name: String,
    kind: EntryKind,
    certificate: &'a Path,
    key: Option<&'a Path>,
    authority: Option<AuthorityName>,
}

impl Node<'_> {
    fn pod(&self, component: &str) -> Option<&StaticPod> {
        StaticPod::of_name(self.static_pods, component)
    }

    /// The entry of a certificate file with its key in another file or the same.
    fn entry(&self, wanted: Wanted<'_>) -> Entry {
        let found = pem_files::certificates(self.reader, wanted.certificate);
        self.entry_of(wanted, found.map_err(Unusable::into_problem))
    }

    /// The same of what was found in it.
    fn entry_of(
        &self,
        wanted: Wanted<'_>,
        found: Result<Option<CertificateFile>, Problem>,
    ) -> Entry {
        let mut authority = wanted.authority;
        let state = match found {
            Ok(None) => CertificateState::Missing,
            Ok(Some(file)) => {
                let key = pem_files::key(self.reader, wanted.key, &file);
                let present;
                (present, authority) = self.present(file, key, authority);
                CertificateState::Present(Box::new(present))
            }
            Err(problem) => CertificateState::Unreadable(problem),
        };
        Entry {
            name: wanted.name,
            kind: wanted.kind,
            path: wanted.certificate.to_path_buf(),
            certificate_path: wanted.certificate.to_path_buf(),
            key_path: wanted.key.map(Path::to_path_buf),
            authority,
            state,
        }
    }

    /// A certificate that could be read, with the authority that is to sign it or, where none is, the one that did.
    fn present(
        &self,
        file: CertificateFile,
        key: super::KeyState,
        authority: Option<AuthorityName>,
    ) -> (Present, Option<AuthorityName>) {
        let CertificateFile {
            leaf,
            chain,
            modified,
            ..
        } = file;
        let authority = authority.or_else(|| self.signing_authority(&leaf));
        let signer = self.signer(&leaf, authority);
        let present = Present {
            leaf,
            chain,
            key,
            signer,
            modified,
        };
        (present, authority)
    }

    fn signer(&self, leaf: &Certificate, authority: Option<AuthorityName>) -> Signer {
        // Where it cannot be checked, it is left alone rather than replaced.
        if leaf.signed_by(leaf) != SignedBy::No {
            return Signer::SelfSigned;
        }
        let Some(authority) = authority else {
            return Signer::Foreign(leaf.issuer.clone());
        };
        match self.certificates_of(authority) {
            None => Signer::Unknown,
            Some(certificates) => match signed_by_any(leaf, certificates) {
                SignedBy::Yes => Signer::Expected,
                SignedBy::Unchecked(what) => Signer::Unchecked(what),
                SignedBy::No => Signer::Foreign(leaf.issuer.clone()),
            },
        }
    }

    fn signing_authority(&self, leaf: &Certificate) -> Option<AuthorityName> {
        let mut likely = None;
        for authority in self.authorities {
            match signed_by_any(leaf, authority.certificates().unwrap_or_default()) {
                SignedBy::Yes => return Some(authority.name),
                SignedBy::Unchecked(_) => likely = likely.or(Some(authority.name)),
                SignedBy::No => {}
            }
        }
        likely
    }

    fn certificates_of(&self, name: AuthorityName) -> Option<&[Certificate]> {
        self.authorities
            .iter()
            .find(|authority| authority.name == name)
            .and_then(Authority::certificates)
    }
}

/// The results of `work` in the order of `items`, made by as many threads as there are cores.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let work_off = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                break;
            };
            let result = work(item);
            results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((index, result));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(items.len()) {
            scope.spawn(work_off);
        }
        work_off();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What can be told of a signature by any of them, the surest first.
fn signed_by_any(leaf: &Certificate, authorities: &[Certificate]) -> SignedBy {
    let mut answer = SignedBy::No;
    for authority in authorities {
        match leaf.signed_by(authority) {
            SignedBy::Yes => return SignedBy::Yes,
            SignedBy::No => {}
            unchecked @ SignedBy::Unchecked(_) => answer = unchecked,
        }
    }
    answer
}
