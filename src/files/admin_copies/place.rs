//! Where copies may lie, and whose they may be there.

use std::io;
use std::path::{Path, PathBuf};

use super::fault::CopyFault;
use crate::config::{AdminCopies, Discover};
use crate::host::{Found, LeftBehind, Root, is_trusted_owner};
use crate::node::{Account, accounts};

/// Where kubectl looks, below a home.
const USUAL: &str = ".kube/config";

/// Where a copy may lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPlace {
    /// The file that the configuration names, or a home; as the node names it.
    path: PathBuf,
    /// Whose home it is; `None` for a file that the configuration names.
    home_of: Option<u32>,
}

/// Who has a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Root, who may read the original, or whom an administrator named: it is always kept up to date.
    Administrator,
    /// Another user: as long as the certificate in the file is valid.
    User,
}

/// Every place where a copy may lie, each once, those first that an administrator has named and root's.
#[must_use]
pub fn copy_places(root: &Root, config: &AdminCopies) -> Vec<CopyPlace> {
    let named = config.paths.iter().map(|path| CopyPlace {
        path: path.clone(),
        home_of: None,
    });
    let homes = match config.discover {
        Discover::None => Vec::new(),
        Discover::Root | Discover::Users => accounts(root),
    };
    let wanted =
        |account: &Account| config.discover == Discover::Users || is_trusted_owner(account.uid);
    let homes = homes.into_iter().filter(wanted).map(|account| CopyPlace {
        path: account.home,
        home_of: Some(account.uid),
    });
    let is_named = |place: &CopyPlace| config.paths.contains(&place.path());
    named.chain(homes.filter(|home| !is_named(home))).collect()
}

impl CopyPlace {
    /// What is looked at there, as the node names it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.home_of {
            None => self.path.clone(),
            Some(_) => self.path.join(USUAL),
        }
    }

    /// Whether an administrator wants to know what keeps it from being read: he named it, or it is root's. What another user has in his
    /// home is his own affair until it is seen to be a copy.
    #[must_use]
    pub fn is_administrators(&self) -> bool {
        self.home_of.is_none_or(is_trusted_owner)
    }

    /// Whether nobody named it: anything may lie there, as a link to the original.
    #[must_use]
    pub fn is_discovered(&self) -> bool {
        self.home_of.is_some()
    }

    /// What a process left there that was killed while it replaced a copy; `None` for nothing, and where it cannot be seen.
    #[must_use]
    pub fn left_behind(&self, root: &Root) -> Option<LeftBehind> {
        let path = self.real(root).ok()??;
        LeftBehind::beside(&path).unwrap_or_else(|error| {
            tracing::debug!(path = %path.display(), %error, "what an earlier process left there is not known");
            None
        })
    }

    /// Where the file really lies; `None` for a home that is not there. Links are followed only where root alone can have them lead
    /// elsewhere, as /home to /var/home, and below a home none.
    pub(super) fn real(&self, root: &Root) -> Result<Option<PathBuf>, CopyFault> {
        let way = match root.way(&root.join(&self.path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            way => way?,
        };
        if way.loose().is_some() {
            return Err(CopyFault::LinkThere);
        }
        Ok(Some(match self.home_of {
            None => way.real,
            Some(_) => way.real.join(Path::new(USUAL)),
        }))
    }

    /// What lies in a home is the user's own or root's.
    pub(super) fn check_owner(&self, found: &Found) -> Result<(), CopyFault> {
        let is_own = |uid: u32| found.uid == uid || is_trusted_owner(found.uid);
        if self.home_of.is_none_or(is_own) {
            Ok(())
        } else {
            Err(CopyFault::ForeignOwner { uid: found.uid })
        }
    }

    /// Who has what lies there. What belongs to another user is not root's, wherever it lies.
    pub(super) fn holder_of(&self, found: &Found) -> Holder {
        match self.home_of {
            None => Holder::Administrator,
            Some(uid) if is_trusted_owner(uid) && is_trusted_owner(found.uid) => {
                Holder::Administrator
            }
            Some(_) => Holder::User,
        }
    }
}
