//! Copies of admin.conf and super-admin.conf, which kubeadm tells administrators to make and which nobody renews.
//!
//! A copy is known by what is in it: a user whose certificate is byte for byte one that was replaced in the original, by the record
//! of the history, with that certificate's own private key beside it. Nothing less will do. Certificates are no secret, and whoever
//! puts one into a file of his own would be given the new key; and whoever has kept an old key beyond the end of its certificate
//! would be an administrator again, so a user's file is left alone after that end.
//!
//! They are no part of a renewal's transaction: an old copy goes on working as long as its certificate, the same file is brought up
//! to date by any later look, and what a user does with his file must never be able to hold up a renewal or to undo one.

mod fault;
mod judge;
mod original;
mod place;
mod seen;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::host::{LentFile, Root};
use crate::node::{EmbeddedUser, Kubeconfig};

pub use fault::CopyFault;
use judge::judge;
pub use original::Original;
pub use place::{CopyPlace, Holder, copy_places};
pub use seen::{CopyState, FoundCopies, SeenCopy};

/// More than a kubeconfig of many clusters has: bytes.
const LIMIT: u64 = 1 << 20;

/// A kubeconfig that may be a copy.
#[derive(Debug)]
pub struct CopyFile<'place> {
    place: &'place CopyPlace,
    path: PathBuf,
    file: LentFile,
    users: Vec<EmbeddedUser>,
}

impl<'place> CopyFile<'place> {
    /// Reads what lies at a place; `None` for nothing, and for what is no kubeconfig with a certificate in it.
    ///
    /// # Errors
    /// [`CopyFault`]. Of what lies there nothing is known then, so only where an administrator has a part in it is it to be said.
    pub fn read(root: &Root, place: &'place CopyPlace) -> Result<Option<Self>, CopyFault> {
        let Some(path) = place.real(root)? else {
            return Ok(None);
        };
        let path_on_node = root.node_path(&path);
        let read = LentFile::read(&path, LIMIT).map_err(CopyFault::of(&path_on_node));
        let Some(file) = read? else {
            return Ok(None);
        };
        place.check_owner(file.found())?;
        let users = match Kubeconfig::embedded_users(file.contents()) {
            // Anything may lie in a home.
            Err(_) if place.is_discovered() => return Ok(None),
            users => users?,
        };
        Ok((!users.is_empty()).then_some(Self {
            place,
            path: path_on_node,
            file,
            users,
        }))
    }

    /// The users in it that have to do with the originals.
    #[must_use]
    pub fn seen(&self, originals: &[Original], now: Timestamp) -> Vec<SeenCopy> {
        let holder = self.place.holder_of(self.file.found());
        judge(&self.path, &self.users, originals, (holder, now))
    }

    /// Gives stale users their original's credentials; those of them. Nothing is changed once `is_awaited` says that nobody waits for it.
    ///
    /// # Errors
    /// [`CopyFault`]; then the file is as it was.
    pub fn update(
        self,
        originals: &[Original],
        now: Timestamp,
        is_awaited: &dyn Fn() -> bool,
    ) -> Result<Vec<SeenCopy>, CopyFault> {
        let stale: Vec<SeenCopy> = self
            .seen(originals, now)
            .into_iter()
            .filter(|one| one.state == CopyState::Stale)
            .collect();
        let mut contents: Option<Zeroizing<Vec<u8>>> = None;
        for original in originals {
            let names: Vec<&str> = stale
                .iter()
                .filter(|one| one.of == original.id)
                .map(|one| one.user.as_str())
                .collect();
            if names.is_empty() {
                continue;
            }
            let new = original.credentials()?;
            let before = contents
                .as_ref()
                .map_or(self.file.contents(), |made| made.as_slice());
            contents = Some(Kubeconfig::replace_credentials_of(
                before,
                &names,
                &new.certificate,
                &new.key,
            )?);
        }
        if let Some(contents) = contents {
            let replaced = self.file.replace(&contents, is_awaited);
            replaced.map_err(CopyFault::of(&self.path))?;
        }
        Ok(stale)
    }

    /// The file, as the node names it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
