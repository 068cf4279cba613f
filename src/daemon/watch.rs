//! File watches: a hint that something changed, never the only way to find out.
//!
//! Directories are watched, not files and not symbolic links: a watch on a file ends with its first replacement, and a
//! watch on a link stays with the old target. A watch on a directory ends when the directory is replaced, so after each
//! hint the watched directories are compared by device and inode and watched again; their parents are watched too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use notify::{EventKindMask, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::host::{self, Place, Root};
use crate::node::{CertificateId, Inventory};
use crate::operation::Context;
use crate::orders::OrderStore;

/// Reading a file is an event too. The kubelet reads its manifests every 20 s, and the daemon reads everything, which would
/// wake it for ever: the kernel is asked not to report that.
const CHANGES: EventKindMask = EventKindMask::CORE.union(EventKindMask::ACCESS_CLOSE);

/// The watched directories.
#[derive(Debug)]
pub(super) struct Watches {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, (u64, u64)>,
    complained: bool,
}

/// The hints that come from watched directories.
#[derive(Debug)]
pub(super) struct Hints(mpsc::Receiver<()>);

impl Watches {
    /// No directory is watched yet. Where the system has no watch left, hints never come and only the periodic scan
    /// is left; that is logged once.
    ///
    /// `own` is a file that the daemon itself writes. Beside it are only drop-ins of any interest.
    pub(super) fn new(own: PathBuf) -> (Self, Hints) {
        let (sender, hints) = mpsc::channel(1);
        let hint = move |event: notify::Result<notify::Event>| {
            // Whatever else it is, even an overflow or an error, something may have changed.
            if !event.is_ok_and(|event| is_own(&event.paths, &own)) {
                // A full channel already holds the hint.
                let _ = sender.try_send(());
            }
        };
        let config = notify::Config::default().with_event_kinds(CHANGES);
        let watcher = RecommendedWatcher::new(hint, config);
        let mut watches = Self {
            watcher: None,
            watched: BTreeMap::new(),
            complained: false,
        };
        match watcher {
            Ok(watcher) => watches.watcher = Some(watcher),
            Err(error) => watches.complain(&error.to_string()),
        }
        (watches, Hints(hints))
    }

    /// Watches exactly these directories, again where one was replaced.
    pub(super) fn set(&mut self, directories: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let present: BTreeMap<PathBuf, (u64, u64)> = directories
            .iter()
            .filter_map(|path| {
                // Not one behind a link: where that leads is wanted as well.
                let found = Place::at(path).ok()?.look().ok()??;
                found.is_directory().then(|| (path.clone(), found.identity))
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

impl Hints {
    /// Waits for a hint. Never returns where there are no watches.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Forgets a hint that came meanwhile.
    pub(super) fn drain(&mut self) {
        while self.0.try_recv().is_ok() {}
    }
}

/// Whether all of these are what the daemon itself writes, or temporary files of that.
fn is_own(paths: &[PathBuf], own: &Path) -> bool {
    let is_own = |path: &PathBuf| {
        path.parent() == own.parent() && path.file_name() != Some("kubecertd.d".as_ref())
    };
    !paths.is_empty() && paths.iter().all(is_own)
}

/// The directories whose changes matter: of every certificate, key, authority, kubeconfig and manifest, of what symbolic
/// links lead to, of the kubelet's configuration, and the parents of all these. Directories that are not there are left
/// out; their nearest existing ancestor is watched for them to appear. Also those of kubecertd's configuration, and the
/// journal, in which operations of other processes show; not its parent, where the daemon itself writes.
pub(super) fn directories(context: &Context, inventory: &Inventory) -> BTreeSet<PathBuf> {
    let root = &context.root;
    let places = &inventory.directories;
    let mut wanted: BTreeSet<PathBuf> = [
        places.kubernetes.clone(),
        places.certificates.clone(),
        places.certificates.join("etcd"),
        places.manifests.clone(),
        places.kubelet_pki.clone(),
    ]
    .into();
    for place in wanted.clone() {
        wanted.extend(root.resolve(&place));
    }
    for file in files(context, inventory) {
        wanted.extend(file.parent().map(Path::to_path_buf));
        if let Ok(target) = root.resolve(&file)
            && !is_special(root, &target)
        {
            wanted.extend(target.parent().map(Path::to_path_buf));
        }
    }
    let existing: BTreeSet<PathBuf> = wanted
        .iter()
        .filter_map(|path| nearest_existing(root, path))
        .collect();
    let configuration = crate::config::directories(root, context.config_file.as_deref());
    let parents = existing
        .iter()
        .chain(&configuration)
        .filter_map(|path| path.parent())
        .filter(|parent| parent.starts_with(root.directory()) && *parent != root.directory())
        .map(Path::to_path_buf);
    let mut watched: BTreeSet<PathBuf> = parents.collect();
    watched.extend(existing);
    watched.extend(configuration);
    watched.insert(context.store().journal());
    // Answers to requests come there.
    watched.insert(OrderStore::new(root).inbox());
    watched
}

/// Whether it is a device or the like: their directories are never quiet.
fn is_special(root: &Root, path: &Path) -> bool {
    matches!(root.look(path), Ok(Some(found)) if !found.is_file() && !found.is_directory())
}

/// The files that are read.
fn files(context: &Context, inventory: &Inventory) -> BTreeSet<PathBuf> {
    let settings = context
        .root
        .join(&context.config.locations.kubelet_configuration);
    let service_account = &inventory.service_account;
    let mut files: BTreeSet<PathBuf> = [
        settings,
        service_account.key_path.clone(),
        service_account.public_key_path.clone(),
    ]
    .into();
    for authority in &inventory.authorities {
        files.extend(authority.files().map(Path::to_path_buf));
    }
    for entry in &inventory.entries {
        // Manifests may name files anywhere; a stray certificate in a busy directory is not worth waking up for.
        if entry.described.is_some() || !matches!(entry.id, CertificateId::Found(_)) {
            files.extend([entry.path.clone(), entry.certificate_path.clone()]);
            files.extend(entry.key_path.clone());
        }
    }
    // What a pattern may match later.
    for described in context.config.locations.described.values() {
        files.insert(context.root.join(&described.file));
    }
    // All that lies there, and not only what is a pod: it may become one where the link leads to.
    let manifests = &inventory.directories.manifests;
    let names = context
        .root
        .resolve(manifests)
        .and_then(|real| host::names(&real));
    files.extend(names.into_iter().flatten().map(|name| manifests.join(name)));
    files
}

fn nearest_existing(root: &Root, path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .take_while(|ancestor| ancestor.starts_with(root.directory()))
        .find(|ancestor| root.is_directory(ancestor))
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use crate::config::Config;
    use crate::pki::KeyAlgorithm;
    use crate::rehearsal::Sample;
    use jiff::{SignedDuration, Timestamp};
    use std::os::unix::fs::symlink;

    #[test]
    fn what_links_and_kubeconfigs_lead_to_is_watched() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let sample = Sample {
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: Timestamp::now(),
            not_after: Timestamp::now() + SignedDuration::from_hours(100),
        };
        sample.write(&root).unwrap();
        let files = [
            "/etc/kubernetes/pki/ca.crt",
            "/etc/kubernetes/pki/etcd/ca.key",
            "/etc/kubernetes/pki/sa.pub",
            "/etc/kubernetes/pki/apiserver.crt",
            "/etc/kubernetes/manifests/etcd.yaml",
            "/etc/kubernetes/admin.conf",
        ];
        for (index, file) in files.iter().enumerate() {
            let elsewhere = root.join(format!("/opt/{index}"));
            std::fs::create_dir_all(&elsewhere).unwrap();
            std::fs::rename(root.join(file), elsewhere.join("file")).unwrap();
            symlink(format!("/opt/{index}/file"), root.join(file)).unwrap();
        }
        for place in ["/opt/client", "/opt/key"] {
            std::fs::create_dir_all(root.join(place)).unwrap();
        }
        let scheduler = root.join("/etc/kubernetes/scheduler.conf");
        let inline = std::fs::read_to_string(&scheduler).unwrap();
        let apart: Vec<String> = inline
            .lines()
            .map(|line| match line.trim().split_once(": ") {
                Some(("client-certificate-data", _)) => {
                    "    client-certificate: /opt/client/file".to_owned()
                }
                Some(("client-key-data", _)) => "    client-key: /opt/key/file".to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        std::fs::write(&scheduler, apart.join("\n")).unwrap();
        // A masked drop-in, and what is no file.
        for place in ["/dev", "/pipes", "/etc/kubecertd/kubecertd.d"] {
            std::fs::create_dir_all(root.join(place)).unwrap();
        }
        let drop_in = root.join("/etc/kubecertd/kubecertd.d/10.toml");
        symlink("/dev/null", drop_in).unwrap();
        let pipe = root.join("/pipes/pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/pipes/pipe", root.join("/etc/kubernetes/manifests/p.yaml")).unwrap();
        let context = Context::new(root.clone(), Config::default(), None);
        let watched = directories(&context, &context.observe());
        for place in ["0", "1", "2", "3", "4", "5", "client", "key"] {
            let place = root.join("/opt").join(place);
            assert!(watched.contains(&place), "{place:?} of {watched:#?}");
        }
        assert!(!watched.contains(&root.join("/dev")) && !watched.contains(&root.join("/pipes")));
        assert!(!watched.contains(root.directory()));
        assert!(!watched.contains(&root.join("/run")));
    }
}
