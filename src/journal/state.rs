//! What an operation's steps amount to. Pure: the same function follows an operation while it runs and after a crash.

use std::path::{Path, PathBuf};

use super::change::RenewedCertificate;
use super::step::{Beginning, Outcome, ParkedManifest, Record, StagedFile, Step, UndoReason};
use super::tellings::Tellings;
use crate::node::{CertificateId, PodRef};

/// Where an operation stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) begun: Option<Beginning>,
    pub(crate) files: Files,
    /// Manifests that may be out.
    pub(crate) out: Vec<OutManifest>,
    /// Manifests that were ever out, or about to be.
    pub(crate) ever_out: Vec<ParkedManifest>,
    /// Manifests that were given other contents, with the digest of these.
    rewritten: Vec<(PathBuf, String)>,
    /// Manifests in whose place a newer one was found.
    pub(crate) superseded: Vec<PathBuf>,
    pub(super) restarts: Vec<PlannedRestart>,
    /// Whose users are to be told.
    users: Tellings,
    /// What is put in place, as its receipt says it; empty in journals of versions that wrote names only.
    pub(crate) changes: Vec<RenewedCertificate>,
    /// Expired certificates had stopped the node.
    pub(crate) node_down: bool,
    /// Whether the kubelet alone uses what is replaced, and whether it was restarted with it.
    pub(crate) kubelet: Option<KubeletRestart>,
    /// The moments whose hooks were begun.
    pub(crate) hooks: Vec<String>,
    /// Whether the components are to be asked about the certificates, once they are restarted.
    to_be_proved: bool,
    /// Certificates proved to be in use.
    proved: Vec<CertificateId>,
    /// Why it was rolled back.
    pub(crate) reason: Option<UndoReason>,
    pub(crate) finished: Option<Outcome>,
}

/// Where the files stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Files {
    /// None was touched.
    #[default]
    Untouched,
    /// New ones may stand beside the old ones.
    Staging(Vec<StagedFile>),
    /// Past the commit point: some may be the new ones.
    Committing(Vec<StagedFile>),
    /// All are the new ones.
    Committed(Vec<StagedFile>),
    /// Some may be the old ones again.
    RollingBack(Vec<StagedFile>),
    /// All are the old ones again.
    RolledBack(Vec<StagedFile>),
}

/// A manifest that may be out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutManifest {
    pub(crate) parked: ParkedManifest,
    /// Whether its return had begun.
    pub(crate) returning: bool,
    /// Whether it was given other contents since it is out.
    pub(super) rewritten: bool,
}

/// A pod that is to be restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedRestart {
    pub(crate) pod: PodRef,
    /// It may run with the new files.
    touched: bool,
    done: bool,
}

/// How far the kubelet's restart on its own account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KubeletRestart {
    /// It runs as before.
    Planned,
    /// It may run with the new files.
    Touched,
}

/// What recovery does with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing was replaced: remove what was staged.
    Forget,
    /// Finish the renames.
    Forward,
    /// Put the backup back.
    Back,
}

/// Plays the steps through.
///
/// # Errors
/// Which step cannot follow the ones before it, and why.
pub(crate) fn replay<'step>(steps: impl IntoIterator<Item = &'step Step>) -> Result<State, String> {
    steps
        .into_iter()
        .enumerate()
        .try_fold(State::default(), |state, (index, step)| {
            state
                .after(step)
                .map_err(|reason| format!("record {}: {reason}", index + 1))
        })
}

/// Manifests that may be out, from the steps that could be recognised in a damaged journal.
pub(crate) fn manifests_out(steps: &[Step]) -> Vec<OutManifest> {
    let mut manifests = State::default();
    for step in steps {
        manifests.follow_manifest(step);
    }
    manifests.out
}

impl State {
    /// The state after one more step. Where manifests are concerned any step may follow any other: one that could not
    /// be journalled must not keep the rest from being understood, since what is out can be seen on the disk.
    ///
    /// # Errors
    /// Why the step cannot come now.
    pub(crate) fn after(mut self, step: &Step) -> Result<Self, String> {
        if self.begun.is_none() && !matches!(step, Step::Begun(_)) {
            return Err("the operation has not begun".into());
        }
        if self.finished.is_some() {
            return Err("the operation is finished".into());
        }
        match step {
            Step::Begun(_) if self.begun.is_some() => return Err("it begins a second time".into()),
            Step::Begun(beginning) => self.begun = Some(beginning.clone()),
            Step::Staging { .. }
            | Step::Unstaged
            | Step::Committing
            | Step::Committed
            | Step::RollingBack(_)
            | Step::RolledBack { .. } => return self.after_files(step),
            Step::Parking(_)
            | Step::Rewriting { .. }
            | Step::Returning { .. }
            | Step::Returned { .. } => {
                self.follow_manifest(step);
            }
            Step::Finished { outcome } => self.finished = Some(outcome.clone()),
            Step::Noted(record) => self.note(record),
        }
        Ok(self)
    }

    /// What recovery does with the files.
    pub(crate) fn way(&self) -> Way {
        match &self.files {
            Files::Untouched | Files::Staging(_) => Way::Forget,
            Files::Committing(_) | Files::Committed(_) => Way::Forward,
            Files::RollingBack(_) | Files::RolledBack(_) => Way::Back,
        }
    }

    /// Whether neither a file nor a manifest has been touched, so that there is nothing to finish but hooks.
    pub(crate) fn is_without_effect(&self) -> bool {
        let files = match &self.files {
            Files::Untouched | Files::Staging(_) => true,
            Files::RollingBack(files) | Files::RolledBack(files) => files.is_empty(),
            Files::Committing(_) | Files::Committed(_) => false,
        };
        files && self.ever_out.is_empty()
    }

    /// Components that are to be restarted and are not yet. After a rollback, those whose pods may have begun to use
    /// the new files.
    pub(crate) fn restarts_left(&self) -> impl Iterator<Item = &PlannedRestart> {
        self.restarts.iter().filter(|restart| !restart.done)
    }

    /// Certificates whose users are to be told, and are not yet. After a rollback, of those who may use the new files.
    pub(crate) fn users_left(&self) -> Vec<CertificateId> {
        self.users.left()
    }

    /// Certificates whose users were to be told, told or not.
    pub(crate) fn users(&self) -> Vec<CertificateId> {
        self.users.all()
    }

    /// Certificates that are to be proved in use and are not yet. After a rollback nobody has to be asked whose pod
    /// never saw the new files.
    pub(crate) fn proofs_left(&self) -> Vec<CertificateId> {
        let is_untouched = self.way() == Way::Back
            && self.restarts.is_empty()
            && self.users.is_empty()
            && self.kubelet.is_none();
        if !self.to_be_proved || is_untouched {
            return Vec::new();
        }
        let mut names = self.certificates();
        names.retain(|name| !self.proved.contains(name));
        names
    }

    /// The certificates whose files it names, each once.
    pub(crate) fn certificates(&self) -> Vec<CertificateId> {
        let mut names: Vec<CertificateId> = Vec::new();
        for file in self.files.all() {
            if !names.contains(&file.id) {
                names.push(file.id.clone());
            }
        }
        names
    }

    /// A manifest that may be out, by the name its caller gave it.
    pub(crate) fn out(&self, manifest: &Path) -> Option<&OutManifest> {
        self.out.iter().find(|out| out.parked.manifest == manifest)
    }

    /// Whether a manifest that is out, with contents of this digest, comes back as it was before the operation: once the
    /// files go back, so does one that has only the contents that it was given to make a pod come back. Not at once, when
    /// it has just been given them.
    pub(crate) fn is_rolled_back(&self, out: &OutManifest, digest: &str) -> bool {
        let is_ours = self
            .rewritten
            .iter()
            .any(|(manifest, written)| *manifest == out.parked.manifest && written == digest);
        self.way() == Way::Back && is_ours && !out.rewritten
    }

    fn follow_manifest(&mut self, step: &Step) {
        match step {
            Step::Parking(manifest) => {
                for restart in &mut self.restarts {
                    restart.touched |= restart.pod.manifest == manifest.manifest;
                }
                self.ever_out
                    .retain(|earlier| earlier.manifest != manifest.manifest);
                self.ever_out.push(manifest.clone());
                self.out
                    .retain(|out| out.parked.manifest != manifest.manifest);
                self.out.push(OutManifest {
                    parked: manifest.clone(),
                    returning: false,
                    rewritten: false,
                });
            }
            Step::Rewriting { manifest, digest } => {
                self.rewritten.push((manifest.clone(), digest.clone()));
                for out in &mut self.out {
                    out.rewritten |= out.parked.manifest == *manifest;
                }
            }
            Step::Returning { manifest } => {
                for out in &mut self.out {
                    out.returning |= out.parked.manifest == *manifest;
                }
            }
            Step::Returned {
                manifest,
                kept_newer,
            } => {
                if *kept_newer && !self.superseded.contains(manifest) {
                    self.superseded.push(manifest.clone());
                }
                self.out.retain(|out| out.parked.manifest != *manifest);
            }
            _ => {}
        }
    }

    fn after_files(mut self, step: &Step) -> Result<Self, String> {
        self.files = match (self.files, step) {
            (Files::Untouched, Step::Staging { files }) => Files::Staging(files.clone()),
            (Files::Staging(_), Step::Unstaged) => Files::Untouched,
            (Files::Staging(files), Step::Committing) => Files::Committing(files),
            (Files::Committing(files), Step::Committed) => Files::Committed(files),
            (files, Step::RollingBack(reason))
                if !matches!(files, Files::Staging(_) | Files::RolledBack(_)) =>
            {
                self.reason.get_or_insert_with(|| reason.clone());
                self.restarts.retain(|restart| restart.touched);
                for restart in &mut self.restarts {
                    restart.done = false;
                }
                self.users.turn_back();
                self.kubelet = self
                    .kubelet
                    .filter(|kubelet| *kubelet == KubeletRestart::Touched);
                self.proved.clear();
                Files::RollingBack(files.of_commit())
            }
            (Files::RollingBack(files), Step::RolledBack { .. }) => Files::RolledBack(files),
            (files, step) => {
                return Err(format!(
                    "{} cannot follow {}",
                    step.name(),
                    files.in_words()
                ));
            }
        };
        Ok(self)
    }

    fn note(&mut self, record: &Record) {
        match record {
            Record::RestartsPlanned { pods } => self.plan(pods),
            Record::Changes { certificates } => self.changes.clone_from(certificates),
            Record::Restarted { component } => {
                for restart in &mut self.restarts {
                    if restart.pod.component == *component {
                        restart.touched = true;
                        restart.done = true;
                    }
                }
            }
            Record::UsersPlanned { certificates } => {
                self.to_be_proved = true;
                self.users = Tellings::planned(certificates);
            }
            Record::Telling { certificates } => self.users.begin(certificates),
            Record::Told { certificates } => self.users.end(certificates),
            Record::NodeDown => {
                self.node_down = true;
                self.to_be_proved = true;
            }
            Record::KubeletPlanned => {
                self.kubelet = Some(KubeletRestart::Planned);
                self.to_be_proved = true;
            }
            Record::KubeletRestarting => self.kubelet = Some(KubeletRestart::Touched),
            Record::HooksBegun { moment } => self.hooks.push(moment.clone()),
            // For whoever reads the journal: a turn is never gone on with, but taken again.
            Record::Turn { .. } => {}
            Record::Proved { names } => self.proved.extend(names.iter().cloned()),
        }
    }

    /// Replaces the earlier plan, but what was touched under that one is remembered for a rollback.
    fn plan(&mut self, pods: &[PodRef]) {
        self.to_be_proved = true;
        let earlier: Vec<PlannedRestart> = std::mem::take(&mut self.restarts)
            .into_iter()
            .filter(|restart| restart.touched)
            .collect();
        let was_touched = |manifest: &Path| earlier.iter().any(|one| one.pod.manifest == *manifest);
        self.restarts = pods
            .iter()
            .map(|pod| PlannedRestart {
                pod: pod.clone(),
                touched: self.out(&pod.manifest).is_some() || was_touched(&pod.manifest),
                done: false,
            })
            .collect();
        for restart in earlier {
            if !self
                .restarts
                .iter()
                .any(|one| one.pod.manifest == restart.pod.manifest)
            {
                self.restarts.push(PlannedRestart {
                    done: true,
                    ..restart
                });
            }
        }
    }
}

impl Files {
    /// The files the operation has replaced or may have replaced.
    pub(super) fn of_commit(self) -> Vec<StagedFile> {
        match self {
            Self::Untouched | Self::Staging(_) => Vec::new(),
            Self::Committing(files)
            | Self::Committed(files)
            | Self::RollingBack(files)
            | Self::RolledBack(files) => files,
        }
    }

    /// All files it names.
    pub(crate) fn all(&self) -> &[StagedFile] {
        match self {
            Self::Untouched => &[],
            Self::Staging(files)
            | Self::Committing(files)
            | Self::Committed(files)
            | Self::RollingBack(files)
            | Self::RolledBack(files) => files,
        }
    }

    fn in_words(&self) -> &'static str {
        match self {
            Self::Untouched => "an operation without files",
            Self::Staging(_) => "the staging",
            Self::Committing(_) => "the commit point",
            Self::Committed(_) => "the commit",
            Self::RollingBack(_) => "the beginning of the rollback",
            Self::RolledBack(_) => "the rollback",
        }
    }
}

#[cfg(test)]
mod tests;
