//! What stands against putting earlier files back, and what is to be known of it, each with a code that does not change.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::host::serialize_path;
use crate::node::CertificateId;

/// What stands against it. [`std::fmt::Display`] says it with what to do; `docs/codes.md` lists the codes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", content = "fields", rename_all = "kebab-case")]
pub enum RollBackObstacle {
    /// Certificates of the backup cannot be put back; the code is the reason's.
    Unfit(Unfit),
    /// More than that operation would be undone; the code is that one's.
    Crossed(Crossed),
    /// A certificate of the backup ends so soon that the daemon would renew it at once.
    EndsSoon(EndsSoon),
}

/// What is to be known of it. [`std::fmt::Display`] says it; `docs/codes.md` lists the codes.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(
    tag = "code",
    content = "fields",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[strum(serialize_all = "kebab-case")]
pub enum RollBackNote {
    /// A certificate is as it was before that operation, and stays.
    AsBefore {
        /// Which.
        certificate: CertificateId,
    },
    /// A certificate is the kubelet's own, and stays.
    KubeletsOwn {
        /// Which.
        certificate: CertificateId,
    },
    /// The configuration does not describe a certificate any more, and it stays.
    NotDescribed {
        /// Which.
        certificate: CertificateId,
    },
    /// There was no such file before that operation; it stays.
    NotThereBefore {
        /// Which.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// Certificates of the backup cannot be put back and stay as they are; `--force` puts the others back.
    Stays(Unfit),
    /// More than that operation is undone, because of `--force`; the code is that one's.
    Crossed(Crossed),
    /// A certificate of the backup ends soon; the code is that one's.
    EndsSoon(EndsSoon),
    /// A kubeconfig was changed in other ways since, which is undone as well.
    ChangedOtherwise {
        /// Which.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
}

/// Certificates of a backup that cannot be put back, all for one reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unfit {
    /// Which.
    pub certificates: Vec<CertificateId>,
    /// Why.
    #[serde(flatten)]
    pub why: Unfitness,
}

/// Why a certificate of a backup cannot be put back.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(
    tag = "why",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[strum(serialize_all = "kebab-case")]
pub enum Unfitness {
    /// Its keys were removed from the backup.
    KeysRemoved {
        /// When.
        removed: Timestamp,
    },
    /// The backup holds no certificate of it.
    NoCertificate,
    /// Neither backup nor node holds its key.
    NoKey,
    /// Its authority on this node cannot be read.
    AuthorityUnreadable,
    /// What is there now was issued by another CA than this node's.
    ForeignPresent {
        /// By whom.
        issuer: String,
    },
    /// It is not valid yet.
    NotYetValid {
        /// When it will be.
        begins: Timestamp,
    },
    /// It has ended.
    Expired {
        /// When.
        ended: Timestamp,
    },
    /// It lacks something that the present one has.
    Lacks {
        /// What.
        what: String,
    },
    /// Another CA issued it than the one that is on this node now.
    ForeignIssuer {
        /// Which.
        issuer: String,
    },
    /// Certificate and key do not belong together.
    KeyMismatch,
    /// It does not pass another check.
    NotAccepted {
        /// Which.
        reason: String,
    },
}

/// What going back would undo besides that operation.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(
    tag = "what",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[strum(serialize_all = "kebab-case")]
pub enum Crossed {
    /// The history cannot be read, so that only the backups tell what was done since.
    HistoryUnreadable {
        /// Why.
        reason: String,
    },
    /// A later operation changed certificates again.
    ChangedAgain {
        /// Its id.
        operation: String,
        /// When it was and what asked for it, in words, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        was: Option<String>,
        /// Which certificates.
        certificates: Vec<CertificateId>,
    },
    /// Another program changed certificates since.
    ChangedByAnother {
        /// Which.
        certificates: Vec<CertificateId>,
    },
}

/// A certificate of a backup that is valid and ends soon.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndsSoon {
    /// Which.
    pub certificate: CertificateId,
    /// When it ends.
    pub ends: Timestamp,
    /// When that was looked at.
    #[serde(skip)]
    pub at: Timestamp,
    /// Whether that is so near that the daemon would renew it at once; otherwise it leaves it alone for a day.
    pub at_once: bool,
    /// Whether it is a CA's, which the daemon does not extend by itself.
    #[serde(skip)]
    pub is_authority: bool,
}

impl RollBackObstacle {
    /// Its code, which never changes: `key-mismatch`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unfit(unfit) => (&unfit.why).into(),
            Self::Crossed(crossed) => crossed.into(),
            Self::EndsSoon(ends) => ends.code(),
        }
    }
}

impl RollBackNote {
    /// Its code, which never changes: `as-before`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Crossed(crossed) => crossed.into(),
            Self::EndsSoon(ends) => ends.code(),
            own => own.into(),
        }
    }
}

impl EndsSoon {
    fn code(&self) -> &'static str {
        if self.is_authority {
            "authority-ends-soon"
        } else if self.at_once {
            "renewed-at-once"
        } else {
            "ends-soon"
        }
    }
}

impl Unfit {
    /// All of them, those together that share a reason, in the order in which they come.
    pub(super) fn grouped(all: impl IntoIterator<Item = (CertificateId, Unfitness)>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for (id, why) in all {
            match groups.iter_mut().find(|one| one.why == why) {
                Some(one) => one.certificates.push(id),
                None => groups.push(Self {
                    certificates: vec![id],
                    why,
                }),
            }
        }
        groups
    }
}

impl Unfitness {
    /// Whether an administrator may choose it nevertheless.
    pub(super) fn is_lifted_by_force(&self) -> bool {
        matches!(
            self,
            Self::NotYetValid { .. } | Self::Expired { .. } | Self::Lacks { .. }
        )
    }
}
