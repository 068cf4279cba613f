//! What should be known of an operation and does not end it, each with a code that does not change.

use std::path::PathBuf;

use jiff::Timestamp;

use super::put_back::RollBackNote;
use crate::checks::Finding;
use crate::files::CopyFault;
use crate::host::serialize_path;
use crate::node::{CertificateId, HardLinks};
use crate::pki::SubjectAltName;
use crate::plan::Note;
use crate::report::Coded;

/// One of them. [`std::fmt::Display`] says it; `docs/codes.md` lists the codes.
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
pub enum Remark {
    /// A check found it; the code is the finding's.
    Finding(Box<Finding>),
    /// The plan knows it of a renewal; the code is the note's.
    Note {
        /// Of which certificate.
        certificate: CertificateId,
        /// What.
        note: Box<Note>,
    },
    /// A certificate is not renewed although it was to be.
    NotRenewed {
        /// Which.
        certificate: CertificateId,
        /// The error's code.
        cause: &'static str,
        /// Why.
        reason: String,
    },
    /// A certificate has names that the old one had not, because they were asked for.
    NamesAdded {
        /// Which.
        certificate: CertificateId,
        /// The names.
        names: Vec<SubjectAltName>,
    },
    /// A request to a CA elsewhere could not be opened, sent or closed.
    NotAsked {
        /// Why.
        reason: String,
    },
    /// These were signed by another CA than before.
    SignedByAnother {
        /// Which.
        certificates: Vec<CertificateId>,
    },
    /// A file that is replaced has other names, which keep the old contents.
    HardLinks(HardLinks),
    /// These components use new files and are not restarted.
    OldFilesInUse {
        /// Which.
        components: Vec<String>,
    },
    /// These were to be told of new files, and were not.
    UsersNotTold {
        /// Units, and commands by their programs.
        users: Vec<String>,
    },
    /// A component is not restarted, since no manifest of it can be read any more.
    ManifestGone {
        /// Which.
        component: String,
    },
    /// Restarts that were pending are done in spite of what speaks against them.
    RestartedNevertheless {
        /// What speaks against them.
        finding: Box<Finding>,
        /// The certificate that may be in use until then.
        certificate: CertificateId,
        /// When it ends.
        ends: Timestamp,
    },
    /// Whether a certificate is in use could not be asked.
    NotProved {
        /// Which.
        certificate: CertificateId,
        /// Why.
        reason: String,
    },
    /// Whether a component reads its new files by itself could not be seen, and the old ones still have more than a day: the daemon
    /// asks again.
    NotShown {
        /// Which.
        component: String,
        /// Of which certificates it was not seen.
        certificates: Vec<CertificateId>,
        /// What was seen instead.
        seen: String,
    },
    /// What uses a certificate answers, but cannot be verified by anything on this node.
    Unverified {
        /// Which.
        certificate: CertificateId,
        /// What it said.
        reason: String,
    },
    /// The configuration does not say any more who uses these, so nobody is told of their new files.
    UsersUnknown {
        /// Which.
        certificates: Vec<CertificateId>,
    },
    /// A kubelet's new certificate was taken although something speaks against it (`--force`).
    AcceptedByForce {
        /// What.
        doubt: String,
    },
    /// The API server does not show this node as Ready.
    NodeNotReady {
        /// What was seen.
        seen: String,
    },
    /// What an earlier operation left could not be finished and is part of this one now.
    Adopted {
        /// Why it could not.
        reason: String,
    },
    /// What an earlier operation left could not be finished, and has nothing to do with this one.
    NotFinished {
        /// Why it could not.
        reason: String,
    },
    /// A CA that has ended could not be extended before the node was revived.
    AuthorityNotExtended {
        /// Why.
        reason: String,
    },
    /// The journal of an earlier operation that is part of this one could not be ended.
    NotEnded {
        /// Why.
        reason: String,
    },
    /// A file was changed by another process since it was replaced, and stays as it is.
    LeftAlone {
        /// Which.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// A copy of admin.conf stays as it is.
    CopyNotUpdated {
        /// Which, as the node names it.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// Of what it is a copy, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<CertificateId>,
        /// Why.
        #[serde(flatten)]
        fault: CopyFault,
    },
    /// Copies are to be looked for in users' homes, and none of these is there.
    HomesHidden,
    /// A manifest was put in the place of one that was out.
    ManifestReplaced {
        /// Which.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// This node acts without its turn: it cannot ask for it, and its certificates are about to end or have ended.
    ActsAlone,
    /// The turn could not be given back and ends by itself.
    TurnNotReleased {
        /// Why.
        reason: String,
    },
    /// The slot at the FleetLock server could not be given back; it is at the daemon's next start.
    SlotKept {
        /// Why.
        reason: String,
    },
    /// What was seen of etcd's members; the code is the objection's.
    Etcd {
        /// Its code.
        objection: &'static str,
        /// What.
        said: String,
    },
    /// What putting earlier files back means beyond that; the code is the note's.
    PutBack(Box<RollBackNote>),
}

impl Remark {
    /// Its code, which never changes: `not-proved`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Finding(finding) => finding.cause.code(),
            Self::Note { note, .. } => note.code(),
            Self::Etcd { objection, .. } => objection,
            Self::PutBack(note) => note.code(),
            other => other.into(),
        }
    }

    /// The certificate that it is about, if it is about one.
    #[must_use]
    pub fn certificate(&self) -> Option<&CertificateId> {
        match self {
            Self::Note { certificate, .. }
            | Self::NotRenewed { certificate, .. }
            | Self::NamesAdded { certificate, .. }
            | Self::RestartedNevertheless { certificate, .. }
            | Self::NotProved { certificate, .. }
            | Self::Unverified { certificate, .. } => Some(certificate),
            _ => None,
        }
    }

    /// As it is kept in the receipt and in the status.
    #[must_use]
    pub fn coded(&self) -> Coded {
        match self {
            Self::Finding(finding) => finding.as_ref().into(),
            Self::Note { note, .. } => Coded {
                message: self.to_string(),
                ..Coded::of(self.code(), note.as_ref())
            },
            Self::PutBack(note) => Coded::of(note.code(), note.as_ref()),
            other => Coded::of(self.code(), other),
        }
    }
}

impl From<Finding> for Remark {
    fn from(finding: Finding) -> Self {
        Self::Finding(Box::new(finding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Asked, Cause, Severity};

    #[test]
    fn a_remark_is_kept_with_the_code_and_fields_of_what_it_is_about() {
        let cause = Cause::KubeadmRunning {
            pid: 4711,
            command: "kubeadm upgrade".to_owned(),
            since: None,
        };
        let finding = Finding::new(cause, Severity::Wait, Asked::BySchedule);
        let kept = Remark::from(finding.clone()).coded();
        assert_eq!(kept.code, "kubeadm-running");
        assert_eq!(kept.message, finding.to_string());
        assert_eq!(kept.fields.unwrap()["pid"], 4711);

        let nevertheless = Remark::RestartedNevertheless {
            finding: Box::new(finding),
            certificate: "apiserver".into(),
            ends: Timestamp::UNIX_EPOCH,
        };
        let kept = nevertheless.coded();
        assert_eq!(kept.code, "restarted-nevertheless");
        let fields = kept.fields.unwrap();
        assert_eq!(fields["finding"]["code"], "kubeadm-running");
        assert_eq!(fields["finding"]["severity"], "wait");
        assert_eq!(fields["ends"], "1970-01-01T00:00:00Z");

        let note = Remark::Note {
            certificate: "apiserver".into(),
            note: Box::new(Note::SaysCa),
        };
        let kept = note.coded();
        assert_eq!((kept.code.as_str(), kept.fields), ("says-ca", None));
        assert!(kept.message.starts_with("apiserver: "));
    }
}
