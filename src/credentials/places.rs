//! Where the credentials of a control plane lie.

use std::io;
use std::path::{Path, PathBuf};

use super::error::CredentialError;
use super::member::Member;
use crate::host::{FileError, Place, Root, is_trusted_owner};
use crate::pki::AuthorityId;

/// Mode bits by which others than the owner write.
pub(super) const OTHERS_WRITE: u32 = 0o022;

/// The two directories, real and without links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    root: Root,
    /// `--cert-dir`
    pub certificates: PathBuf,
    /// `--kubeconfig-dir`
    pub kubeconfigs: PathBuf,
}

impl Places {
    /// Of directories as they were given: below the root, or relative to the working directory where the root is the machine's.
    ///
    /// # Errors
    /// Where links go in a circle, or a directory cannot be looked at.
    pub fn new(
        root: &Root,
        certificates: &Path,
        kubeconfigs: &Path,
    ) -> Result<Self, CredentialError> {
        Ok(Self {
            certificates: real(root, certificates)?,
            kubeconfigs: real(root, kubeconfigs)?,
            root: root.clone(),
        })
    }

    /// Where a new file is to be that was given on the command line: nothing has its name, and its directory is there.
    ///
    /// # Errors
    /// [`CredentialError::AlreadyThere`], or a directory that is none or that others write.
    pub fn free(&self, given: &Path) -> Result<PathBuf, CredentialError> {
        let path = real(&self.root, given)?;
        if let Some(directory) = path.parent() {
            check_directory(&self.root, directory)?;
        }
        match Place::at(&path).and_then(|place| place.look()) {
            Ok(None) => Ok(path),
            Ok(Some(_)) => Err(CredentialError::AlreadyThere(vec![self.shown(&path)])),
            Err(error) => Err(FileError::of(&path, "could not be looked at")(error).into()),
        }
    }

    /// That no one but root decides what lies in them.
    pub(super) fn check(&self) -> Result<(), CredentialError> {
        for directory in self.directories() {
            check_directory(&self.root, &directory)?;
        }
        Ok(())
    }

    /// The root they lie under.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    fn base(&self, member: Member) -> PathBuf {
        match member {
            Member::Leaf(leaf) => self.certificates.join(leaf.base()),
            Member::Kubeconfig(_) | Member::Kubelet => self.kubeconfigs.join(member.name()),
        }
    }

    /// The private key's file; the kubeconfig where it is embedded.
    #[must_use]
    pub fn key(&self, member: Member) -> PathBuf {
        match member {
            Member::Leaf(_) => with_ending(&self.base(member), "key"),
            Member::Kubeconfig(_) | Member::Kubelet => self.base(member),
        }
    }

    /// The request.
    #[must_use]
    pub fn request(&self, member: Member) -> PathBuf {
        with_ending(&self.base(member), "csr")
    }

    /// The certificate; for a kubeconfig the one that waits to be embedded.
    #[must_use]
    pub fn certificate(&self, member: Member) -> PathBuf {
        with_ending(&self.base(member), "crt")
    }

    /// An authority's file: `crt`, `key`, `srl`.
    #[must_use]
    pub fn authority(&self, authority: AuthorityId, ending: &str) -> PathBuf {
        with_ending(&self.certificates.join(authority.base()), ending)
    }

    /// The directories of all of them.
    pub(super) fn directories(&self) -> [PathBuf; 3] {
        [
            self.certificates.clone(),
            self.certificates.join("etcd"),
            self.kubeconfigs.clone(),
        ]
    }

    /// As the administrator knows it.
    #[must_use]
    pub fn shown(&self, path: &Path) -> PathBuf {
        self.root.node_path(path)
    }
}

/// `x.csr` of `x`, `admin.conf.csr` of `admin.conf`.
fn with_ending(base: &Path, ending: &str) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Where a path leads that was given on the command line.
pub(super) fn real(root: &Root, given: &Path) -> Result<PathBuf, CredentialError> {
    let failed = |path: &Path| FileError::of(path, "could not be looked at");
    let path = if root.is_system() {
        std::path::absolute(given).map_err(failed(given))?
    } else {
        given.to_path_buf()
    };
    let path = root.join(path);
    Ok(root.resolve(&path).map_err(failed(&path))?)
}

/// Whether a directory, if it is there, is one in which no other user decides what a name stands for, and so is each above it, as far
/// as the root that was given. From above: what lies below one that others write could be exchanged after it was looked at.
pub(super) fn check_directory(root: &Root, directory: &Path) -> Result<(), CredentialError> {
    let top = root.join("/");
    let mut above: Vec<&Path> = directory
        .ancestors()
        .skip(1)
        .take_while(|one| one.starts_with(&top))
        .collect();
    above.reverse();
    for one in above {
        check_one(root, one, true)?;
    }
    check_one(root, directory, false)
}

/// What only root and the owner of a thing may rename or remove: its own entries in a directory.
const STICKY: u32 = 0o1000;

fn check_one(root: &Root, directory: &Path, is_above: bool) -> Result<(), CredentialError> {
    let refused = |reason: String| CredentialError::PlaceRefused {
        path: root.node_path(directory),
        reason,
    };
    let found = match Place::at(directory).and_then(|place| place.look()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        found => found.map_err(FileError::of(directory, "could not be looked at"))?,
    };
    let Some(found) = found else {
        return Ok(());
    };
    let is_safe = found.mode & OTHERS_WRITE == 0 || (is_above && found.mode & STICKY != 0);
    if !found.is_directory() {
        Err(refused(
            "is no directory; move it away or give another one".to_owned(),
        ))
    } else if !is_trusted_owner(found.uid) {
        Err(refused(format!(
            "belongs to user {}, who could exchange what is put there; give it to root (chown) or give another one",
            found.uid
        )))
    } else if !is_safe {
        Err(refused(format!(
            "can be written to by others (mode {:04o}), who could exchange what is put there; take that from them (chmod go-w) \
             or give another one",
            found.mode
        )))
    } else {
        Ok(())
    }
}
