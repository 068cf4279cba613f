//! Backups: a copy of every file before it changes, with all that it has besides its contents.
//!
//! Always copies: a hard link to a live certificate blinds the API server's watch on it.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::backup_index::{BackedUpContents, BackedUpFile, INDEX, Index, next_number, read_index};
use super::secrets;
use crate::host::durable::{self, There};
use crate::host::{self, Attributes, Root, link, read_within, write};
use crate::journal::{Store, TransactionError};
use crate::node::CertificateId;

/// No certificate, key or kubeconfig is larger; bytes. What is larger is not looked into.
const EVERYDAY_SIZE: u64 = 1 << 20;

/// Where manifests go that were out while a newer one was put in their place.
const SUPERSEDED: &str = "manifests-superseded";

/// A generation that is being made or read back.
#[derive(Debug)]
pub(super) struct Backup {
    directory: PathBuf,
    index: Index,
}

impl Backup {
    /// The generation of an operation, new or begun before.
    pub(super) fn open(store: &Store, id: &str) -> Result<Self, TransactionError> {
        let directory = store.backups().join(id);
        let index = match read_index(&directory)? {
            Some(index) => index,
            None => Index {
                id: id.to_owned(),
                number: next_number(store)?,
                created: crate::host::now(),
                files: Vec::new(),
            },
        };
        Ok(Self { directory, index })
    }

    /// One whose index was read already.
    pub(super) fn of(store: &Store, index: Index) -> Self {
        Self {
            directory: store.backups().join(&index.id),
            index,
        }
    }

    /// Copies a file in. It must still have the digest, or still be absent. Gives the paths to be flushed. `root` may hold open
    /// the directories of all that are copied in one step.
    pub(super) fn copy_in(
        &mut self,
        root: &Root,
        from: &Path,
        node_path: &Path,
        certificate: Option<&CertificateId>,
        digest: Option<&str>,
    ) -> Result<Vec<PathBuf>, TransactionError> {
        let unreadable = || TransactionError::file(from, "could not be backed up");
        let changed = || TransactionError::Changed {
            path: from.to_path_buf(),
        };
        let mut written = self.make_directories(root, node_path)?;
        let contents = match There::below(root, from).map_err(unreadable())? {
            There::Nothing if digest.is_none() => None,
            There::Nothing => return Err(changed()),
            There::Link(target) => {
                let copy = self.copy_of(node_path);
                durable::remove_if_there(&copy)?;
                link::make(&target, &copy, None).map_err(unreadable())?;
                let sha256 = link::digest(&target);
                if digest != Some(sha256.as_str()) {
                    return Err(changed());
                }
                Some(BackedUpContents {
                    sha256,
                    size: target.as_os_str().len() as u64,
                    attributes: Attributes::of_link(from).map_err(unreadable())?,
                    removed: None,
                })
            }
            There::File(old) => {
                self.copy_file_in(root, old, (from, node_path), digest, &mut written)?
            }
        };
        let ends = match (certificate, &contents) {
            (Some(_), Some(held)) => self.end_in(root, node_path, held),
            _ => None,
        };
        self.index.files.retain(|file| file.path != node_path);
        self.index.files.push(BackedUpFile {
            path: node_path.to_path_buf(),
            certificate: certificate.cloned(),
            contents,
            ends,
        });
        Ok(written)
    }

    /// A regular file; what is held already is not copied again.
    fn copy_file_in(
        &self,
        root: &Root,
        mut old: File,
        (from, node_path): (&Path, &Path),
        digest: Option<&str>,
        written: &mut Vec<PathBuf>,
    ) -> Result<Option<BackedUpContents>, TransactionError> {
        let unreadable = || TransactionError::file(from, "could not be backed up");
        let attributes = Attributes::of(&old).map_err(unreadable())?;
        if self.holds(node_path, digest, &attributes) {
            return Ok(self.file(node_path).and_then(|held| held.contents.clone()));
        }
        let copy = self.copy_of(node_path);
        let (sha256, size) = create_anew(root, &copy)
            .and_then(|mut new| {
                let copied = host::copy_hashed(&mut old, &mut new)?;
                durable::begin_flush(&new);
                Ok(copied)
            })
            .map_err(unreadable())?;
        if digest != Some(sha256.as_str()) {
            return Err(TransactionError::Changed {
                path: from.to_path_buf(),
            });
        }
        written.push(copy);
        Ok(Some(BackedUpContents {
            sha256,
            size,
            attributes,
            removed: None,
        }))
    }

    /// Writes the index, durably; everything in it must have been flushed.
    pub(super) fn seal(&self) -> Result<(), TransactionError> {
        durable::make_private_directory(&self.directory)?;
        let path = self.directory.join(INDEX);
        let text = serde_json::to_vec_pretty(&self.index)
            .map_err(io::Error::from)
            .map_err(TransactionError::file(&path, "could not be written"))?;
        Ok(write::write_atomically(&path, &text, 0o600)?)
    }

    /// Copies a file out to a free name, with everything it had. The caller flushes it.
    pub(super) fn copy_out(&self, node_path: &Path, to: &Path) -> Result<(), TransactionError> {
        let copy = self.copy_of(node_path);
        let damaged = |reason: &str| {
            TransactionError::file(&copy, "cannot be put back")(io::Error::new(
                io::ErrorKind::InvalidData,
                reason,
            ))
        };
        let contents = self
            .file(node_path)
            .and_then(|file| file.contents.as_ref())
            .ok_or_else(|| damaged("it is not in the backup's index"))?;
        if contents.removed.is_some() {
            return Err(damaged("backup.max-age had it removed"));
        }
        let unreadable = || TransactionError::file(&copy, "could not be read");
        if let Some(target) = link::target_of(&copy).map_err(unreadable())? {
            if link::digest(&target) != contents.sha256 {
                return Err(damaged("it is not what was backed up"));
            }
            let owner = (contents.attributes.uid, contents.attributes.gid);
            return link::make(&target, to, Some(owner))
                .map_err(TransactionError::file(to, "could not be written"));
        }
        let mut old = durable::open_regular(&copy)
            .map_err(unreadable())?
            .ok_or_else(|| damaged("it is missing from the backup"))?;
        let digest = durable::create_private(to)
            .and_then(|mut new| {
                let (digest, _) = host::copy_hashed(&mut old, &mut new)?;
                contents.attributes.give_to(&new)?;
                contents.attributes.give_time_to(&new)?;
                Ok(digest)
            })
            .map_err(TransactionError::file(to, "could not be written"))
            .and_then(|digest| {
                if digest == contents.sha256 {
                    Ok(())
                } else {
                    Err(damaged("it is not what was backed up"))
                }
            });
        if digest.is_err() {
            write::discard(to);
        }
        digest
    }

    /// Reads a copy; it must be what the index says. `None` for a symbolic link, and for what was removed.
    pub(super) fn read(
        &self,
        root: &Root,
        node_path: &Path,
        held: &BackedUpContents,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, TransactionError> {
        let copy = self.copy_of(node_path);
        let unreadable = || TransactionError::file(&copy, "could not be read");
        if held.removed.is_some() || is_link(root, &copy).map_err(unreadable())? {
            return Ok(None);
        }
        let bytes = root
            .open_regular(&copy, held.size)
            .and_then(|(file, found)| {
                // One more than its length: then reading to the end never moves a key to a second buffer.
                let capacity = usize::try_from(found.size).unwrap_or(0).saturating_add(1);
                read_within(file, held.size, Vec::with_capacity(capacity))
            })
            .map(Zeroizing::new)
            .map_err(unreadable())?;
        if host::digest(&bytes) == held.sha256 {
            Ok(Some(bytes))
        } else {
            Err(unreadable()(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not what was backed up",
            )))
        }
    }

    /// When the certificate in a copy ends. What cannot be read has no end: then only its age counts.
    pub(super) fn end_in(
        &self,
        root: &Root,
        node_path: &Path,
        held: &BackedUpContents,
    ) -> Option<Timestamp> {
        if held.size > EVERYDAY_SIZE {
            return None;
        }
        let contents = self.read(root, node_path, held).ok()??;
        secrets::end_in(&contents)
    }

    /// Marks the copies of these paths as removed, durably, then removes them. What an earlier attempt marked and did not
    /// get to goes as well. Gives whether anything was marked.
    pub(super) fn remove_copies(
        &mut self,
        paths: &[PathBuf],
        now: Timestamp,
    ) -> Result<bool, TransactionError> {
        let mut marked = false;
        for file in &mut self.index.files {
            if let Some(held) = &mut file.contents
                && held.removed.is_none()
                && paths.contains(&file.path)
            {
                held.removed = Some(now);
                marked = true;
            }
        }
        if marked {
            // The index first: a copy that it says is there must never be missing.
            self.seal()?;
        }
        let mut changed = Vec::new();
        for file in &self.index.files {
            if file
                .contents
                .as_ref()
                .is_some_and(|held| held.removed.is_some())
            {
                let copy = self.copy_of(&file.path);
                if durable::remove_if_there(&copy)? {
                    changed.extend(copy.parent().map(Path::to_path_buf));
                }
            }
        }
        changed.dedup();
        durable::sync_all(&changed)?;
        Ok(marked)
    }

    /// Whether a copy may hold a private key: it is anything but certificates.
    pub(super) fn may_be_secret(
        &self,
        root: &Root,
        node_path: &Path,
        held: &BackedUpContents,
    ) -> bool {
        if is_link(root, &self.copy_of(node_path)).unwrap_or(false) {
            return false;
        }
        if held.size > EVERYDAY_SIZE {
            return true;
        }
        match self.read(root, node_path, held) {
            Ok(Some(contents)) => !secrets::are_only_certificates(&contents),
            Ok(None) | Err(_) => true,
        }
    }

    /// What the index says about the generation.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// What the index says about a file.
    pub(super) fn file(&self, node_path: &Path) -> Option<&BackedUpFile> {
        self.index.files.iter().find(|file| file.path == node_path)
    }

    /// The digest of the copy that is held of a file.
    pub(crate) fn digest_of(&self, node_path: &Path) -> Option<&str> {
        let held = self.file(node_path)?.contents.as_ref()?;
        Some(&held.sha256)
    }

    fn holds(&self, node_path: &Path, digest: Option<&str>, attributes: &Attributes) -> bool {
        let held = self.file(node_path).and_then(|file| file.contents.as_ref());
        held.is_some_and(|held| {
            Some(held.sha256.as_str()) == digest
                && held.attributes == *attributes
                && held.removed.is_none()
        })
    }

    /// Makes the directories above a file's copy, mode 0700. Gives those that have to be flushed.
    fn make_directories(
        &self,
        root: &Root,
        node_path: &Path,
    ) -> Result<Vec<PathBuf>, TransactionError> {
        // For all files but the first they are there.
        let copy = self.copy_of(node_path);
        let are_there = root.place(&copy).is_ok();
        let make = |directory: &Path| {
            if are_there {
                return Ok(false);
            }
            durable::make_unflushed_directory(directory)
        };
        let mut directory = self.directory.clone();
        make(&directory)?;
        let mut made = vec![directory.clone()];
        made.extend(directory.parent().map(Path::to_path_buf));
        let parents = node_path.parent().unwrap_or(Path::new("/"));
        for component in parents.components() {
            if let Component::Normal(name) = component {
                directory.push(name);
                make(&directory)?;
                made.push(directory.clone());
            }
        }
        Ok(made)
    }

    fn copy_of(&self, node_path: &Path) -> PathBuf {
        self.directory
            .join(node_path.strip_prefix("/").unwrap_or(node_path))
    }
}

fn is_link(root: &Root, copy: &Path) -> io::Result<bool> {
    match root.place(copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        place => Ok(place?.look()?.is_some_and(|found| found.is_link())),
    }
}

/// A new file in the place of an earlier copy: a manifest may have been out before in this operation.
fn create_anew(root: &Root, copy: &Path) -> io::Result<File> {
    let place = root.place(copy)?;
    match place.create(0o600) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            place.remove()?;
            place.create(0o600)
        }
        created => created,
    }
}

/// Where a superseded manifest of an operation is kept, made if needed.
pub(super) fn superseded_directory(store: &Store, id: &str) -> Result<PathBuf, TransactionError> {
    let generation = store.backups().join(id);
    let directory = generation.join(SUPERSEDED);
    durable::make_private_directory(&generation)?;
    durable::make_private_directory(&directory)?;
    Ok(directory)
}
