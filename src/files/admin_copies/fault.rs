//! Why a copy is left as it is.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::host::{LentFault, LinkOnTheWay, serialize_path};
use crate::node::KubeconfigError;
use crate::pki::{date, serde_end};

/// Why a copy is left as it is. [`std::fmt::Display`] says it in a sentence about the file; `docs/codes.md` lists the codes.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    serde::Serialize,
    thiserror::Error,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(
    tag = "fault",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[strum(serialize_all = "kebab-case")]
pub enum CopyFault {
    /// A link is in its place or on the way to it.
    #[error("a symbolic link is in its place or on the way to it, and is not followed")]
    LinkThere,
    /// It belongs to another user.
    #[error("it belongs to user {uid}, and not to the one whose home it is in")]
    ForeignOwner {
        /// Whose it is.
        uid: u32,
    },
    /// It cannot be read or replaced.
    #[error("{reason}")]
    NotChanged {
        /// Why.
        reason: String,
    },
    /// It lies where nothing can be written.
    #[error(
        "its file system is read-only; mount it for writing, or, where only the service sees it so, put ReadWritePaths={0} into a \
         drop-in of the unit (`systemctl edit kubecertd`)",
        directory.display()
    )]
    ReadOnly {
        /// What is to be writable.
        #[serde(serialize_with = "serialize_path")]
        directory: PathBuf,
    },
    /// Another program was changing it.
    #[error("{reason}; it is tried again")]
    InUse {
        /// What was seen.
        reason: String,
    },
    /// It lies where nothing answers.
    #[error("its file system does not answer; it is tried again")]
    NoAnswer,
    /// Its certificate's key is not beside it.
    #[error(
        "the key in it does not belong to its certificate, so it is no copy that could be renewed"
    )]
    KeyNotThere,
    /// Its certificate has ended.
    #[error(
        "its certificate ended on {}, and a user whose access has ended is not given it anew; copy {original} by hand if the user \
         is to have it", date(*ended)
    )]
    Ended {
        /// When.
        #[serde(serialize_with = "serde_end::serialize")]
        ended: Timestamp,
        /// What it is a copy of.
        original: String,
    },
    /// Another authority than the original's issued its certificate.
    #[error(
        "another CA issued its certificate than that of the {original} of now, so it may be another cluster's; copy {original} by hand \
         if it is not"
    )]
    OtherAuthority {
        /// What it is a copy of.
        original: String,
    },
    /// The original has another subject by now.
    #[error("its original is another user's by now ({subject}); copy it by hand if that is wanted")]
    OtherSubject {
        /// Whose.
        subject: String,
    },
    /// The original has references to files in the place of its certificate.
    #[error(
        "its original refers to files for certificate or key, so there is nothing to be copied"
    )]
    OriginalElsewhere,
    /// The original is not as it was seen, or not whole.
    #[error("nothing can be copied from its original: {reason}; it is tried again")]
    OriginalUnusable {
        /// Why.
        reason: String,
    },
    /// New credentials cannot be put into it in place.
    #[error("{reason}")]
    NotEditableCopy {
        /// Construct and line.
        reason: String,
    },
}

impl CopyFault {
    /// Its code, which never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// Whether whoever has the file can bring it about for as long as he likes, with what is no secret: then it is said where somebody
    /// asks, and not all the time.
    #[must_use]
    pub fn is_at_will(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::KeyNotThere)
    }
}

impl CopyFault {
    /// For `map_err`: what kept a file from being read or replaced, of which the node has this path.
    pub(super) fn of(path: &Path) -> impl FnOnce(LentFault) -> Self {
        let directory = path.parent().unwrap_or(path).to_path_buf();
        move |fault| match fault {
            LentFault::Link => Self::LinkThere,
            LentFault::Abandoned => Self::NoAnswer,
            LentFault::ReadOnly => Self::ReadOnly { directory },
            LentFault::Changed => Self::InUse {
                reason: fault.to_string(),
            },
            LentFault::Locked(lock) => Self::InUse {
                reason: format!(
                    "its lock {} is there: another program is changing it, or has left that file behind, which is then to be removed",
                    directory.join(lock).display()
                ),
            },
            LentFault::HardLinks(_) | LentFault::Immutable | LentFault::System(_) => {
                Self::NotChanged {
                    reason: fault.to_string(),
                }
            }
        }
    }
}

impl From<KubeconfigError> for CopyFault {
    fn from(error: KubeconfigError) -> Self {
        Self::NotEditableCopy {
            reason: error.to_string(),
        }
    }
}

impl From<io::Error> for CopyFault {
    fn from(error: io::Error) -> Self {
        if LinkOnTheWay::is_cause_of(&error) {
            return Self::LinkThere;
        }
        Self::NotChanged {
            reason: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_is_said_where_it_is_true() {
        let said = |fault: LentFault| CopyFault::of(Path::new("/srv/ci/admin"))(fault).to_string();
        let read_only = io::Error::from_raw_os_error(nix::libc::EROFS);
        let read_only = said(read_only.into());
        assert!(read_only.contains("ReadWritePaths=/srv/ci "), "{read_only}");
        assert!(
            read_only.contains("systemctl edit kubecertd"),
            "{read_only}"
        );
        let locked = said(LentFault::Locked("admin.lock".into()));
        assert!(
            locked.contains("its lock /srv/ci/admin.lock is there"),
            "{locked}"
        );
        assert!(locked.ends_with("; it is tried again"), "{locked}");
        let changed = said(LentFault::Changed);
        assert!(!changed.contains("lock"), "{changed}");
    }
}
