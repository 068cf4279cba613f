//! What can speak against an operation, each with a code that does not change.

use std::path::PathBuf;

use jiff::Timestamp;

use super::check::Check;
use crate::host::{serialize_path, serialize_paths};
use crate::node::CertificateId;
use crate::plan::Obstacle;
use crate::runtime::Moment;

/// What was found. `docs/codes.md` lists the codes; `words.rs` has the sentences.
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
pub enum Cause {
    /// Twice what is written does not fit.
    NoRoom {
        /// Where.
        #[serde(serialize_with = "serialize_path")]
        directory: PathBuf,
        /// Bytes that can still be written there.
        free_bytes: u64,
        /// Bytes that are needed.
        needed_bytes: u64,
    },
    /// Twice as many files as are made cannot be made.
    NoInodes {
        /// Where.
        #[serde(serialize_with = "serialize_path")]
        directory: PathBuf,
        /// Files that can still be made there.
        free: u64,
        /// Files that are needed.
        needed: u64,
    },
    /// Its file system is mounted read-only, for this process at least.
    ReadOnlyFileSystem {
        /// Which file or directory.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// It is marked immutable or append-only.
    Immutable {
        /// Which file or directory.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// A directory lies where a file of kubecertd's own belongs.
    DirectoryInPlace {
        /// Which.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// This process may not write there.
    NotWritable {
        /// Which file or directory.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Certificates that cannot be renewed, all for one reason.
    NotRenewable {
        /// Their names.
        certificates: Vec<CertificateId>,
        /// The reason.
        obstacle: Obstacle,
    },
    /// One pod has several manifests.
    SeveralManifests {
        /// `namespace/name`
        pod: String,
        /// Its manifests.
        #[serde(serialize_with = "serialize_paths")]
        manifests: Vec<PathBuf>,
    },
    /// The kubelet looks for manifests in another directory.
    ManifestsElsewhere {
        /// Where they are looked for.
        #[serde(serialize_with = "serialize_path")]
        manifests: PathBuf,
        /// Where the kubelet looks.
        #[serde(serialize_with = "serialize_path")]
        watched: PathBuf,
    },
    /// A file of the manifest directory cannot be read.
    ManifestUnreadable {
        /// Which.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The disk is so full that the kubelet removes images.
    ImagesAtRisk {
        /// Where the images lie.
        #[serde(serialize_with = "serialize_path")]
        directory: PathBuf,
        /// From how full on the kubelet removes, in percent.
        threshold_percent: u64,
    },
    /// The kubelet does not answer.
    KubeletSilent {
        /// What was seen.
        seen: String,
    },
    /// The container runtime does not answer.
    RuntimeSilent {
        /// What was seen.
        seen: String,
    },
    /// A component is not healthy before it is restarted.
    Unhealthy {
        /// Which.
        component: String,
        /// What was seen.
        seen: String,
    },
    /// Another control plane does not answer.
    ControlPlaneSilent {
        /// Which, and what of it.
        who: String,
        /// What was seen.
        seen: String,
        /// How many control planes there are.
        control_planes: usize,
    },
    /// It is another control plane's turn.
    TurnLater {
        /// How many control planes there are.
        control_planes: usize,
        /// When this one's turn begins.
        begins: Timestamp,
    },
    /// The FleetLock server gives no slot.
    NoSlot {
        /// The error's code.
        cause: &'static str,
        /// Why not.
        reason: String,
    },
    /// kured is rebooting a machine.
    RebootLocked {
        /// Which node.
        node: String,
    },
    /// kured's lock cannot be read.
    RebootLockUnreadable {
        /// Why.
        reason: String,
    },
    /// A control plane is being drained.
    NodeDrained {
        /// Which.
        node: String,
        /// Whether it is this one.
        own: bool,
        /// What shows it: an annotation, a taint.
        mark: String,
    },
    /// etcd would be in danger without this node's member.
    EtcdCannotSpare {
        /// The code of the first objection.
        #[serde(rename = "objection")]
        code: &'static str,
        /// Why not, a sentence each.
        objections: Vec<String>,
    },
    /// The turn could not be had for long: another control plane has it, or others write the Lease all the time.
    TurnOccupied {
        /// Its name, where there is one.
        node: Option<String>,
        /// When this one goes on all the same.
        emergency: Option<Timestamp>,
    },
    /// Another control plane has failed, and an administrator has to look before the next one goes on.
    TurnHalted {
        /// Its name.
        node: String,
        /// Its operation.
        operation: String,
        /// What it failed for.
        reason: String,
        /// When this one goes on all the same.
        alone_from: Option<Timestamp>,
    },
    /// This control plane cannot ask for its turn.
    TurnUnreachable {
        /// Why.
        reason: String,
        /// When it goes on all the same.
        emergency: Option<Timestamp>,
    },
    /// A filter of the daemon's unit denies addresses that it needs.
    AddressDenied {
        /// The unit's file.
        #[serde(serialize_with = "serialize_path")]
        filter: PathBuf,
        /// Which, each with what it is needed for.
        addresses: Vec<String>,
    },
    /// Whether the filter allows everything that is needed is not known.
    AddressUnknown {
        /// The unit's file.
        #[serde(serialize_with = "serialize_path")]
        filter: PathBuf,
        /// Why.
        reason: String,
    },
    /// The clock shows a time before something that has happened.
    ClockSetBack {
        /// When that was.
        moment: Timestamp,
        /// What: `the certificate apiserver begins`.
        what: String,
    },
    /// Everything has ended, years after the last thing that happened here, by a clock that nothing keeps right.
    ClockFarAhead {
        /// When the last thing was.
        moment: Timestamp,
        /// What.
        what: String,
    },
    /// Everything has ended, long after the last thing that happened here, and the machine has just started.
    ClockAhead {
        /// When the last thing was.
        moment: Timestamp,
        /// What.
        what: String,
        /// How long after the start a time service is waited for.
        patience_minutes: i64,
    },
    /// Whether the clock is synchronised cannot be told.
    ClockUnknown,
    /// A time service runs and has not synchronised the clock.
    ClockNotSynchronised {
        /// The service.
        service: String,
    },
    /// Nothing synchronises the clock.
    ClockAlone,
    /// A kubeadm is at work.
    KubeadmRunning {
        /// Its process id.
        pid: u32,
        /// Its command, without arguments.
        command: String,
        /// When it started.
        since: Option<Timestamp>,
    },
    /// kubeadm's scratch directory changed a moment ago.
    KubeadmScratch {
        /// When.
        changed: Timestamp,
        /// From when on it counts as over.
        over: Timestamp,
    },
    /// A timer or cron job calls kubeadm certs renew.
    OtherRenewer {
        /// Which.
        who: String,
        /// What stops it.
        take_over: String,
    },
    /// Something lies among the hooks that is not run, because of its owner, mode or kind.
    HookUnfit {
        /// When it would be run.
        moment: Moment,
        /// The file, or the directory because of which none is run.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A hook failed, or could not be run.
    HookFailed {
        /// Which: `pre-restart/10-drain`.
        hook: String,
        /// How.
        reason: String,
    },
    /// The kubelet would have to be restarted for its own certificate, and this is no moment for that.
    KubeletNotRestartable {
        /// Why not.
        reason: String,
    },
    /// Whoever uses certificates that are not kubeadm's cannot be told of new ones.
    UserUnfit {
        /// A unit, or a command by its program.
        user: String,
        /// Which certificates.
        certificates: Vec<CertificateId>,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No maintenance window is open, or not for long enough.
    OutsideWindow {
        /// The one that opens next.
        window: String,
        /// When.
        opens: Timestamp,
    },
    /// An administrator holds the daemon back.
    OnHold {
        /// Why.
        reason: String,
        /// Since when.
        since: Timestamp,
        /// Until when, if that was said.
        until: Option<Timestamp>,
    },
    /// Something could not be looked at.
    NotLookedAt {
        /// For which check.
        check: Check,
        /// Which file or directory.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl Cause {
    /// Its code, which never changes: `no-room`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// Which check finds it.
    #[must_use]
    pub fn check(&self) -> Check {
        match self {
            Self::NoRoom { .. } | Self::NoInodes { .. } => Check::Space,
            Self::ReadOnlyFileSystem { .. }
            | Self::Immutable { .. }
            | Self::DirectoryInPlace { .. }
            | Self::NotWritable { .. } => Check::Writable,
            Self::NotRenewable { .. } => Check::Authorities,
            Self::SeveralManifests { .. }
            | Self::ManifestsElsewhere { .. }
            | Self::ManifestUnreadable { .. } => Check::Manifests,
            Self::ImagesAtRisk { .. } => Check::Images,
            Self::KubeletSilent { .. } | Self::KubeletNotRestartable { .. } => Check::Kubelet,
            Self::RuntimeSilent { .. } => Check::Runtime,
            Self::Unhealthy { .. } => Check::Health,
            Self::ControlPlaneSilent { .. }
            | Self::TurnLater { .. }
            | Self::EtcdCannotSpare { .. }
            | Self::NoSlot { .. }
            | Self::RebootLocked { .. }
            | Self::RebootLockUnreadable { .. }
            | Self::NodeDrained { .. }
            | Self::TurnOccupied { .. }
            | Self::TurnHalted { .. }
            | Self::TurnUnreachable { .. } => Check::Peers,
            Self::AddressDenied { .. } | Self::AddressUnknown { .. } => Check::Addresses,
            Self::ClockSetBack { .. }
            | Self::ClockFarAhead { .. }
            | Self::ClockAhead { .. }
            | Self::ClockUnknown
            | Self::ClockNotSynchronised { .. }
            | Self::ClockAlone => Check::Clock,
            Self::KubeadmRunning { .. } | Self::KubeadmScratch { .. } => Check::Kubeadm,
            Self::OtherRenewer { .. } => Check::OtherRenewer,
            Self::HookUnfit { .. } | Self::HookFailed { .. } => Check::Hooks,
            Self::UserUnfit { .. } => Check::Users,
            Self::OutsideWindow { .. } => Check::Windows,
            Self::OnHold { .. } => Check::Hold,
            Self::NotLookedAt { check, .. } => *check,
        }
    }

    /// Whether it could not be found out, rather than being wrong.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::NotLookedAt { .. } | Self::AddressUnknown { .. } | Self::ClockUnknown
        )
    }

    /// Whether pods cannot be restarted although the operation goes on: what is moved moves no pod.
    #[must_use]
    pub fn forbids_restart(&self) -> bool {
        matches!(
            self,
            Self::SeveralManifests { .. } | Self::ManifestsElsewhere { .. }
        )
    }

    /// When it passes by itself, where that is known.
    #[must_use]
    pub fn passes(&self) -> Option<Timestamp> {
        match self {
            Self::TurnLater { begins, .. } => Some(*begins),
            Self::TurnHalted { alone_from, .. } => *alone_from,
            Self::TurnUnreachable { emergency, .. } | Self::TurnOccupied { emergency, .. } => {
                *emergency
            }
            Self::OutsideWindow { opens, .. } => Some(*opens),
            Self::OnHold { until, .. } => *until,
            _ => None,
        }
    }
}
