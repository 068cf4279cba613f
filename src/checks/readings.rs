//! What the node says, before anything is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::check::Check;
use super::clock::{Clock, clock};
use super::images::{ImageDisk, image_disk};
use super::intent::Intent;
use super::kubeadm::{Kubeadm, running_kubeadm, scratch_changed};
use super::places;
use super::places::Hindered;
use super::renewers::{Renewer, renewers};
use super::space::{FileSystem, Written};
use crate::config::Window;
use crate::host::{self, MOST_PROCESSES, Root};
use crate::journal::{OnHold, Store};
use crate::node::{Inventory, Problem};
use crate::runtime::{Hooks, Moment, UnfitHook};

/// Journal, history and status of one operation, generously.
const OWN_RECORDS: u64 = 64 * 1024;
/// A manifest directory's companion with its note of where manifests belong.
const NOTE: u64 = 1024;

/// Where the kernel shows processes.
const PROCESSES: &str = "/proc";

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readings {
    /// Every file system that will be written to.
    pub file_systems: Vec<FileSystem>,
    /// Files that cannot be replaced.
    pub targets: Vec<Hindered>,
    /// Manifests and directories that cannot be changed.
    pub hindered: Vec<Hindered>,
    /// What keeps the receipt from being written.
    pub history: Vec<Hindered>,
    /// Pods with more than one manifest.
    pub doubled: Vec<Doubled>,
    /// Files of the manifest directory that cannot be read.
    pub unread_manifests: Vec<Problem>,
    /// The directory that the kubelet watches, where it is another one than the manifests'.
    pub elsewhere: Option<Elsewhere>,
    /// The disk with the images of the pods that will be out, where it is known.
    pub images: Option<ImageDisk>,
    /// What is known of the clock.
    pub clock: Clock,
    /// Every kubeadm at work.
    pub kubeadm: Vec<Kubeadm>,
    /// When kubeadm's scratch directory last changed.
    pub scratch_changed: Option<Timestamp>,
    /// Others that renew here.
    pub renewers: Vec<Renewer>,
    /// What lies among the hooks and is not run.
    pub hooks: Vec<UnfitHook>,
    /// The maintenance windows that are configured.
    pub windows: BTreeMap<String, Window>,
    /// An administrator's hold that is in force.
    pub on_hold: Option<OnHold>,
    /// What could not be found out.
    pub unread: Vec<Unread>,
}

/// A pod with more than one manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubled {
    /// `namespace/name`
    pub pod: String,
    /// Its manifests.
    pub manifests: Vec<PathBuf>,
}

/// Two directories where one is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where the manifests are looked for.
    pub manifests: PathBuf,
    /// Where the kubelet looks for them.
    pub watched: PathBuf,
}

/// Something that could not be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// For which check.
    pub check: Check,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub reason: String,
}

/// Looks at the node. Changes nothing. `last_receipt`: when the last recorded operation ended.
#[must_use]
pub fn read(
    store: &Store,
    inventory: &Inventory,
    intent: &Intent,
    last_receipt: Option<Timestamp>,
) -> Readings {
    let mut clock = clock(store, inventory, last_receipt, Path::new(PROCESSES));
    clock.ask_further(!intent.targets.is_empty(), crate::host::now());
    let mut readings = Readings {
        doubled: doubled(inventory),
        unread_manifests: inventory.unread_manifests.clone(),
        elsewhere: elsewhere(store.root(), inventory),
        clock,
        ..read_places(store, intent)
    };
    if !intent.manifests.is_empty() {
        readings.look_at_images(store.root(), inventory);
    }
    readings.look_for_others(store.root(), &inventory.directories.kubernetes);
    let moments = Moment::ALL.into_iter();
    readings.hooks = moments
        .flat_map(|moment| Hooks::of(store.root(), moment).unfit)
        .collect();
    readings
}

impl Readings {
    fn look_at_images(&mut self, root: &Root, inventory: &Inventory) {
        match image_disk(root, inventory) {
            Ok(disk) => self.images = disk,
            Err(error) => self.note(Check::Images, root.directory(), &error),
        }
    }

    fn look_for_others(&mut self, root: &Root, kubernetes: &Path) {
        let processes = Path::new(PROCESSES);
        // Where that cannot be followed, there is nothing of kubeadm's either.
        let kubernetes = &root
            .resolve(kubernetes)
            .unwrap_or_else(|_| kubernetes.to_path_buf());
        match running_kubeadm(processes, kubernetes) {
            Ok(found) => {
                self.kubeadm = found.running;
                if found.incomplete {
                    self.note(Check::Kubeadm, processes, &too_many_processes());
                }
            }
            Err(error) => self.note(Check::Kubeadm, processes, &error),
        }
        match scratch_changed(kubernetes) {
            Ok(changed) => self.scratch_changed = changed,
            Err(error) => self.note(Check::Kubeadm, &kubernetes.join("tmp"), &error),
        }
        let (found, unread) = renewers(root);
        self.renewers = found;
        for (path, error) in unread {
            self.note(Check::OtherRenewer, &path, &error);
        }
    }

    fn note(&mut self, check: Check, path: &Path, error: &io::Error) {
        self.unread.push(Unread {
            check,
            path: path.to_path_buf(),
            reason: error.to_string(),
        });
    }
}

fn too_many_processes() -> io::Error {
    io::Error::other(format!(
        "only {MOST_PROCESSES} of its processes were looked at"
    ))
}

/// Looks only at where files are written.
#[must_use]
pub fn read_places(store: &Store, intent: &Intent) -> Readings {
    let mut unread = Vec::new();
    let root = &store.root().holding();
    let changed = Changed::of(store, root, intent, &mut unread);
    let (file_systems, unasked) = changed.written(store, root).measure();
    note(&mut unread, Check::Space, unasked);
    let (targets, unasked) = places::hindered_files(root, &changed.targets);
    note(&mut unread, Check::Writable, unasked);
    let (mut hindered, unasked) = places::hindered_directories(root, &changed.directories);
    note(&mut unread, Check::Writable, unasked);
    let (manifests, unasked) = places::hindered_files(root, &changed.manifests);
    note(&mut unread, Check::Writable, unasked);
    hindered.extend(manifests);
    let mut history = Vec::new();
    if !intent.is_empty() {
        let (found, unasked) =
            places::hindered_history(root, &store.history(), &store.history_end());
        history = found;
        note(&mut unread, Check::Writable, unasked);
    }
    Readings {
        file_systems,
        targets,
        hindered,
        history,
        unread,
        ..Readings::default()
    }
}

fn note(unread: &mut Vec<Unread>, check: Check, unasked: BTreeMap<PathBuf, io::Error>) {
    unread.extend(unasked.into_iter().map(|(path, error)| Unread {
        check,
        path,
        reason: error.to_string(),
    }));
}

/// What an intent changes, with links followed.
struct Changed {
    /// Files to be replaced.
    targets: BTreeSet<PathBuf>,
    /// Manifests to be moved.
    manifests: BTreeSet<PathBuf>,
    /// Where names change.
    directories: BTreeSet<PathBuf>,
}

impl Changed {
    fn of(store: &Store, root: &Root, intent: &Intent, unread: &mut Vec<Unread>) -> Self {
        let mut follow = |path: &PathBuf| match root.resolve(path) {
            Ok(resolved) => Some(resolved),
            Err(error) => {
                unread.push(Unread {
                    check: Check::Writable,
                    path: path.clone(),
                    reason: error.to_string(),
                });
                None
            }
        };
        let targets: BTreeSet<PathBuf> = intent.targets.iter().filter_map(&mut follow).collect();
        // A manifest itself is moved, not what a link in its place leads to.
        let manifests: BTreeSet<PathBuf> = intent
            .manifests
            .iter()
            .filter_map(|path| Some(follow(&path.parent()?.to_path_buf())?.join(path.file_name()?)))
            .collect();
        let mut directories: BTreeSet<PathBuf> = targets
            .iter()
            .chain(&manifests)
            .filter_map(|path| path.parent().map(Path::to_path_buf))
            .collect();
        directories.extend(manifests.iter().filter_map(|path| beside(path)));
        if !intent.is_empty() {
            directories.extend(existing(store.directory()));
            let own = [store.journal(), store.backups()];
            directories.extend(own.into_iter().filter(|path| host::is_directory(path)));
        }
        Self {
            targets,
            manifests,
            directories,
        }
    }

    fn written(&self, store: &Store, root: &Root) -> Written {
        let mut written = Written::default();
        let own = existing(store.directory());
        for file in &self.targets {
            let size = size(root, file);
            // The new one beside the old one, and a copy of the old one.
            for directory in file.parent().into_iter().chain(own.as_deref()) {
                written.file(directory, size);
            }
        }
        for file in &self.manifests {
            if let Some(own) = &own {
                written.file(own, size(root, file));
            }
        }
        for directory in self
            .manifests
            .iter()
            .filter_map(|path| beside(path))
            .collect::<BTreeSet<_>>()
        {
            written.file(&directory, NOTE);
            written.file(&directory, NOTE);
        }
        if let Some(own) = &own
            && !(self.targets.is_empty() && self.manifests.is_empty())
        {
            written.file(own, OWN_RECORDS);
        }
        written
    }
}

/// The directory in which manifests are while they are out is made here.
fn beside(manifest: &Path) -> Option<PathBuf> {
    manifest.parent()?.parent().map(Path::to_path_buf)
}

/// The directory, or the nearest one above it that is there.
fn existing(directory: &Path) -> Option<PathBuf> {
    directory
        .ancestors()
        .find(|ancestor| host::is_directory(ancestor))
        .map(Path::to_path_buf)
}

/// What is missing is made anew and small.
fn size(root: &Root, file: &Path) -> u64 {
    let found = root.place(file).and_then(|place| place.look());
    found.ok().flatten().map_or(0, |found| found.size)
}

/// Nothing where the kubelet does not say where it looks.
fn elsewhere(root: &Root, inventory: &Inventory) -> Option<Elsewhere> {
    let manifests = &inventory.directories.manifests;
    let watched = inventory
        .kubelet
        .static_pod_path
        .as_ref()
        .filter(|_| inventory.kubelet.present)?;
    let real = |path: &PathBuf| root.resolve(path).unwrap_or_else(|_| path.clone());
    (real(watched) != real(manifests)).then(|| Elsewhere {
        manifests: manifests.clone(),
        watched: watched.clone(),
    })
}

fn doubled(inventory: &Inventory) -> Vec<Doubled> {
    let mut manifests: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut pods: Vec<_> = inventory
        .static_pods
        .iter()
        .chain(&inventory.shadowed)
        .collect();
    pods.sort_by_key(|pod| &pod.path);
    for pod in pods {
        manifests
            .entry(format!("{}/{}", pod.namespace, pod.name))
            .or_default()
            .push(pod.path.clone());
    }
    manifests
        .into_iter()
        .filter(|(_, manifests)| manifests.len() > 1)
        .map(|(pod, manifests)| Doubled { pod, manifests })
        .collect()
}
