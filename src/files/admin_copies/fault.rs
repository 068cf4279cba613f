//! Why a copy is left as it is.

use jiff::Timestamp;

use crate::host::LentFault;
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
    /// The original has another subject by now.
    #[error("its original is another user's by now ({subject}); copy it by hand if that is wanted")]
    OtherSubject {
        /// Whose.
        subject: String,
    },
    /// The original has references to files in the place of its certificate.
    #[error(
        "its original refers to files for certificate and key, so there is nothing to be copied"
    )]
    OriginalElsewhere,
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

impl From<LentFault> for CopyFault {
    fn from(fault: LentFault) -> Self {
        let reason = fault.to_string();
        match fault {
            LentFault::Link => Self::LinkThere,
            LentFault::Locked(_) | LentFault::Changed => Self::InUse { reason },
            LentFault::HardLinks(_) | LentFault::Immutable | LentFault::System(_) => {
                Self::NotChanged { reason }
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

impl From<std::io::Error> for CopyFault {
    fn from(error: std::io::Error) -> Self {
        LentFault::from(error).into()
    }
}
