//! The steps of an operation, as its journal holds them.

use std::path::PathBuf;

use jiff::Timestamp;

use super::change::RenewedCertificate;
use crate::host::Actor;
use crate::node::{CertificateId, PodRef};

/// What set an operation off.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The daemon, because something was due.
    Schedule,
    /// Somebody, by this command.
    Command(String),
}

/// What an operation is for. What follows from that is decided by it, never by a command's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// New certificates.
    Renew,
    /// Earlier files put back, because an administrator asked.
    RollBack,
    /// Pods restarted, and no file changed.
    Restart,
    /// CAs' certificates made anew with the keys that they have.
    Extend,
}

impl OperationKind {
    /// Of an operation whose journal or receipt does not say it: those of versions that knew no kinds.
    #[must_use]
    pub fn of_trigger(trigger: &Trigger) -> Self {
        match trigger {
            Trigger::Command(command) if command.starts_with("rollback ") => Self::RollBack,
            Trigger::Command(command) if command == "restart" => Self::Restart,
            Trigger::Command(_) | Trigger::Schedule => Self::Renew,
        }
    }
}

/// How an operation ended.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "reason")]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// All of it was done and proved.
    Done,
    /// It failed, and everything is as before.
    RolledBack(String),
    /// It failed, and the files stay as the reason says.
    Failed(String),
}

impl Outcome {
    /// Its code, which never changes: `rolled-back`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// By what right an operation disturbed the cluster.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum TurnTaken {
    /// The configuration wants no turns.
    Off,
    /// The Lease was this node's.
    Held {
        /// The Lease's uid.
        lease: String,
        /// Its `leaseTransitions`.
        transitions: i32,
    },
    /// The Lease could not be asked for, and there was no time left.
    Alone {
        /// Why.
        reason: String,
    },
}

/// One step that changes no file and that a caller notes. The others belong to the module.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Record {
    /// What is put in place, as the receipt will say it; written before the files are staged.
    Changes {
        /// One for each certificate, old and new.
        certificates: Vec<RenewedCertificate>,
    },
    /// These components are to be restarted after the commit: recovery finishes that. Noted before the installation,
    /// so that a crash right after it leaves no pod with old files. Replaces an earlier plan; then the certificates are
    /// to be proved in use.
    RestartsPlanned {
        /// Which pods.
        #[serde(rename = "components")]
        pods: Vec<PodRef>,
    },
    /// Expired certificates have stopped this node: the kubelet may have to be restarted, and pods are restarted without
    /// moving a manifest, by recovery as well.
    #[serde(rename = "stopped")]
    NodeDown,
    /// No pod uses what is replaced: the kubelet does, and is restarted where it does not read that by itself.
    KubeletPlanned,
    /// The kubelet is about to be restarted on its own account.
    KubeletRestarting,
    /// An administrator's hooks of this moment are about to be run, which may change anything: those after the operation undo that,
    /// so they are run by recovery as well.
    HooksBegun {
        /// The moment's name.
        moment: String,
    },
    /// By what right the cluster is disturbed; none is noted where no other node could be disturbed as well.
    Turn {
        /// Whence.
        turn: TurnTaken,
    },
    /// A component was restarted and is healthy.
    Restarted {
        /// Which.
        component: String,
    },
    /// Who uses these certificates, which are not kubeadm's, is to be told of their files after the commit, and they are to be proved
    /// in use. Noted before the installation.
    UsersPlanned {
        /// Which.
        certificates: Vec<CertificateId>,
    },
    /// Who uses these is about to be told.
    Telling {
        /// Which.
        certificates: Vec<CertificateId>,
    },
    /// Who uses these was told.
    Told {
        /// Which.
        certificates: Vec<CertificateId>,
    },
    /// These certificates were proved to be in use.
    Proved {
        /// Which.
        names: Vec<CertificateId>,
    },
}

/// One step. All paths are the node's own, without the root, so that another system can read the journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub(crate) enum Step {
    /// The first step.
    Begun(Beginning),
    /// New files are about to be staged beside their targets, and the old ones to be backed up.
    Staging { files: Vec<StagedFile> },
    /// The staged files were removed again; nothing was replaced.
    Unstaged,
    /// All is staged, checked and backed up. From here on recovery finishes the renames instead of undoing them.
    Committing,
    /// All renames are done.
    Committed,
    /// A manifest, backed up before, is about to leave the manifest directory.
    Parking(ParkedManifest),
    /// It is about to get these contents while it is out.
    Rewriting {
        manifest: PathBuf,
        /// SHA-256 of them.
        digest: String,
    },
    /// It is about to come back.
    Returning { manifest: PathBuf },
    /// It is back; or it stayed out because another one, which is newer, was in its place.
    Returned { manifest: PathBuf, kept_newer: bool },
    /// The files of the backup are about to be put back.
    RollingBack(UndoReason),
    /// They are, except those that somebody else changed meanwhile.
    RolledBack { left_alone: Vec<PathBuf> },
    /// The last step.
    Finished { outcome: Outcome },
    /// What a caller noted.
    #[serde(untagged)]
    Noted(Record),
}

/// Why the old files go back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UndoReason {
    /// In words.
    #[serde(rename = "reason")]
    pub text: String,
    /// The code of the error; journals of 0.1 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl From<&str> for UndoReason {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for UndoReason {
    fn from(text: String) -> Self {
        Self { text, code: None }
    }
}

impl Step {
    /// Its name, as in the journal.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Begun(_) => "begun",
            Self::Staging { .. } => "staging",
            Self::Unstaged => "unstaged",
            Self::Committing => "committing",
            Self::Committed => "committed",
            Self::Parking(_) => "parking",
            Self::Rewriting { .. } => "rewriting",
            Self::Returning { .. } => "returning",
            Self::Returned { .. } => "returned",
            Self::RollingBack { .. } => "rolling-back",
            Self::RolledBack { .. } => "rolled-back",
            Self::Finished { .. } => "finished",
            Self::Noted(_) => "a note",
        }
    }
}

/// How an operation began.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Beginning {
    pub(crate) id: String,
    /// Of kubecertd.
    pub(crate) version: String,
    pub(crate) trigger: Trigger,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<OperationKind>,
    pub(crate) started: Timestamp,
    /// What started the process; missing in those of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Actor>,
    /// The history as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<Head>,
}

/// Where a history ends.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// How many receipts it has.
    pub receipts: usize,
    /// SHA-256 of the last one's line, hexadecimal; empty where there is none.
    pub last: String,
}

/// One file that is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct StagedFile {
    /// The certificate it belongs to.
    #[serde(rename = "name")]
    pub(crate) id: CertificateId,
    /// The file as the caller named it; its links lead to the target.
    pub(crate) path: PathBuf,
    /// The file that is replaced.
    pub(crate) target: PathBuf,
    /// The new file, beside it.
    pub(crate) staged: PathBuf,
    /// SHA-256 of the old contents; `None` where there was no file.
    pub(crate) old_digest: Option<String>,
    /// SHA-256 of the new contents.
    pub(crate) new_digest: String,
    /// Whether it becomes a symbolic link, which then is itself what is replaced and not what it leads to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) link: bool,
}

/// One manifest that is out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ParkedManifest {
    /// The manifest as the caller named it.
    pub(crate) manifest: PathBuf,
    /// Where it was and returns to: the same with the directory's links followed.
    pub(crate) place: PathBuf,
    /// Where it is while it is out.
    pub(crate) parked: PathBuf,
    /// SHA-256 of its contents, as they are in the backup: under the place, or, if it was out before with other ones,
    /// under this name.
    pub(crate) digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_step_survives_the_journal() {
        let manifest = PathBuf::from("/etc/kubernetes/manifests/etcd.yaml");
        for step in [
            Step::Begun(Beginning {
                id: "20261123T224110Z-4f2a".into(),
                version: "0.1.0".into(),
                trigger: Trigger::Command("renew all".into()),
                kind: Some(OperationKind::Renew),
                started: Timestamp::UNIX_EPOCH,
                by: Some(Actor::of_this_process()),
                history: Some(Head {
                    receipts: 1,
                    last: "x".into(),
                }),
            }),
            Step::Staging { files: Vec::new() },
            Step::Unstaged,
            Step::Committing,
            Step::Committed,
            Step::Returning {
                manifest: manifest.clone(),
            },
            Step::Rewriting {
                manifest: manifest.clone(),
                digest: "x".into(),
            },
            Step::RollingBack("x".into()),
            Step::RolledBack {
                left_alone: vec![manifest.clone()],
            },
            Step::Finished {
                outcome: Outcome::Failed("x".into()),
            },
            Step::Finished {
                outcome: Outcome::Done,
            },
            Step::Noted(Record::RestartsPlanned {
                pods: vec![("etcd".to_owned(), manifest).into()],
            }),
            Step::Noted(Record::Restarted {
                component: "etcd".into(),
            }),
            Step::Noted(Record::Proved {
                names: vec!["etcd-server".into()],
            }),
            Step::Noted(Record::UsersPlanned {
                certificates: vec!["haproxy".into()],
            }),
            Step::Noted(Record::Telling {
                certificates: vec!["haproxy".into()],
            }),
            Step::Noted(Record::Told {
                certificates: vec!["haproxy".into()],
            }),
        ] {
            let text = serde_json::to_string(&step).unwrap();
            assert_eq!(serde_json::from_str::<Step>(&text).unwrap(), step, "{text}");
        }
        // As 0.1 wrote it.
        let text = r#"{"step":"rolling-back","reason":"x"}"#;
        let step = Step::RollingBack("x".into());
        assert_eq!(serde_json::from_str::<Step>(text).unwrap(), step);
        assert_eq!(serde_json::to_string(&step).unwrap(), text);
        assert!(serde_json::from_str::<Step>(r#"{"step":"levitating"}"#).is_err());
    }
}
