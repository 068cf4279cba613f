//! File watches: a hint that something changed, never the only way to find out.
//!
//! Directories are watched, not files and not symbolic links: a watch on a file ends with its first replacement, and a
//! watch on a link stays with the old target. A watch on a directory ends when the directory is replaced, so after each
//! hint the watched directories are compared by device and inode and watched again; their parents are watched too.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::{EventKindMask, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::node::{EntryKind, Inventory};
use crate::root::Root;

/// Reading a file is an event too. The kubelet reads its manifests every 20 s, and the daemon reads everything, which would
/// wake it for ever: the kernel is asked not to report that.
const CHANGES: EventKindMask = EventKindMask::CORE.union(EventKindMask::ACCESS_CLOSE);

/// The watched directories, and the hints that come from them.
#[derive(Debug)]
pub(super) struct Watches {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, (u64, u64)>,
    hints: mpsc::Receiver<()>,
    complained: bool,
}

impl Watches {
    /// No directory is watched yet. Where the system has no watch left, hints never come and only the periodic scan
    /// is left; that is logged once.
    pub(super) fn new() -> Self {
        let (sender, hints) = mpsc::channel(1);
        // Whatever it is, even an overflow or an error, something may have changed.
        let hint = move |_: notify::Result<notify::Event>| {
            // A full channel already holds the hint.
            let _ = sender.try_send(());
        };
        let config = notify::Config::default().with_event_kinds(CHANGES);
        let watcher = RecommendedWatcher::new(hint, config);
        let mut watches = Self {
            watcher: None,
            watched: BTreeMap::new(),
            hints,
            complained: false,
        };
        match watcher {
            Ok(watcher) => watches.watcher = Some(watcher),
            Err(error) => watches.complain(&error.to_string()),
        }
        watches
    }

    /// Watches exactly these directories, again where one was replaced.
    pub(super) fn set(&mut self, directories: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let present: BTreeMap<PathBuf, (u64, u64)> = directories
            .iter()
            .filter_map(|path| {
                let metadata = std::fs::metadata(path).ok()?;
                metadata
                    .is_dir()
                    .then(|| (path.clone(), (metadata.dev(), metadata.ino())))
            })
            .collect();
        let mut complaint = None;
        for (path, identity) in &self.watched {
            if present.get(path) != Some(identity) {
                // It may be gone with its directory already.
                let _ = watcher.unwatch(path);
            }
        }
        self.watched
            .retain(|path, identity| present.get(path) == Some(identity));
        for (path, identity) in present {
            if self.watched.contains_key(&path) {
                continue;
            }
            match watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path, identity);
                }
                Err(error) => complaint = Some(format!("{}: {error}", path.display())),
            }
        }
        if let Some(complaint) = complaint {
            self.complain(&complaint);
        }
    }

    /// Waits for a hint. Never returns where there are no watches.
    pub(super) async fn hint(&mut self) {
        if self.hints.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Forgets a hint that came meanwhile.
    pub(super) fn drain(&mut self) {
        while self.hints.try_recv().is_ok() {}
    }

    fn complain(&mut self, reason: &str) {
        if !self.complained {
            self.complained = true;
            tracing::warn!(
                "changes of files are noticed by the hourly scan only, because they cannot be watched: {reason}; \
                 see fs.inotify.max_user_watches and fs.inotify.max_user_instances"
            );
        }
    }
}

/// The directories whose changes matter: of every certificate, key, kubeconfig and manifest, of the targets of symbolic
/// links, of the kubelet's and kubecertd's configuration, and the parents of all these. Directories that are not there
/// are left out; their nearest existing ancestor is watched for them to appear. Also the journal, in which operations of
/// other processes show; not its parent, where the daemon itself writes.
pub(super) fn directories(
    root: &Root,
    inventory: &Inventory,
    kubelet_configuration: &Path,
    journal: PathBuf,
) -> BTreeSet<PathBuf> {
    let places = &inventory.directories;
    let mut wanted: BTreeSet<PathBuf> = [
        places.kubernetes.clone(),
        places.certificates.clone(),
        places.certificates.join("etcd"),
        places.manifests.clone(),
        places.kubelet_pki.clone(),
        root.join("/etc/kubecertd"),
        root.join("/etc/kubecertd/kubecertd.d"),
    ]
    .into();
    wanted.extend(
        root.join(kubelet_configuration)
            .parent()
            .map(Path::to_path_buf),
    );
    for entry in &inventory.entries {
        // Manifests may name files anywhere; a stray certificate in a busy directory is not worth waking up for.
        if entry.kind == EntryKind::Extra {
            continue;
        }
        for path in [Some(&entry.path), entry.key_path.as_ref()]
            .into_iter()
            .flatten()
        {
            wanted.extend(path.parent().map(Path::to_path_buf));
            if let Ok(target) = root.resolve(path) {
                wanted.extend(target.parent().map(Path::to_path_buf));
            }
        }
    }
    let watched: BTreeSet<PathBuf> = wanted
        .iter()
        .filter_map(|path| nearest_existing(root, path))
        .collect();
    let parents: Vec<PathBuf> = watched
        .iter()
        .filter_map(|path| path.parent())
        .filter(|parent| parent.starts_with(root.directory()) && *parent != root.directory())
        .map(Path::to_path_buf)
        .collect();
    watched
        .into_iter()
        .chain(parents)
        .chain([journal])
        .collect()
}

fn nearest_existing(root: &Root, path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .take_while(|ancestor| ancestor.starts_with(root.directory()))
        .find(|ancestor| ancestor.is_dir())
        .map(Path::to_path_buf)
}
