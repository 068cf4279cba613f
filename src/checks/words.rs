//! Findings in an administrator's words.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use super::cause::Cause;
use super::finding::{Effect, Finding};
use super::intent::Asked;
use crate::host::printable;
use crate::node::listed;
use crate::pki::date;

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(out)?;
        out.write_str(self.way_out())?;
        match &self.effect {
            Effect::AsItsSeverity => Ok(()),
            Effect::CertificateLeftOut => out.write_str("; until then its certificate is left out"),
            Effect::NoReceipt => out.write_str("; until then only the log tells what was done"),
            Effect::GoingOn {
                certificate,
                ends,
                ended,
            } => write!(
                out,
                "; going on nevertheless, because {certificate} {} {}",
                if *ended { "ended" } else { "ends" },
                date(*ends)
            ),
        }
    }
}

impl Finding {
    /// What an administrator who asks by hand can do instead.
    fn way_out(&self) -> &'static str {
        match (&self.cause, self.asked) {
            (_, Asked::BySchedule) => "",
            (Cause::SeveralManifests { .. }, Asked::ByHand { .. }) => {
                ", or leave the restart to yourself with --no-restart"
            }
            (
                Cause::KubeletSilent { .. }
                | Cause::RuntimeSilent { .. }
                | Cause::Unhealthy { .. }
                | Cause::ControlPlaneSilent { .. },
                Asked::ByHand { .. },
            ) => ", leave the restart to yourself with --no-restart, or go on with --force",
            (Cause::UserUnfit { .. }, Asked::ByHand { .. }) => {
                ", or renew it with --no-restart and tell it yourself"
            }
            (
                Cause::RebootLocked { .. }
                | Cause::KubeletNotRestartable { .. }
                | Cause::NodeDrained { own: false, .. },
                Asked::ByHand { .. },
            ) => ", or go on with --force",
            (_, Asked::ByHand { .. }) => "",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom { directory, free_bytes, needed_bytes } => write!(
                out,
                "{}: {} are free on its file system and {} are needed, twice what is written there; make room",
                directory.display(),
                in_units(*free_bytes),
                in_units(*needed_bytes)
            ),
            Self::NoInodes { directory, free, needed } => write!(
                out,
                "{}: {free} more files can be made on its file system (inodes) and {needed} are needed, twice what is made \
                 there; remove files",
                directory.display()
            ),
            Self::ReadOnlyFileSystem { path } => write!(
                out,
                "{}: lies on a read-only file system; mount it for writing, or, where only the service sees it so, name it in \
                 ReadWritePaths= with `systemctl edit kubecertd`",
                path.display()
            ),
            Self::Immutable { path } => write!(
                out,
                "{0}: is marked immutable or append-only; remove the mark with `chattr -i -a {0}`",
                path.display()
            ),
            Self::DirectoryInPlace { path } => write!(
                out,
                "{}: is a directory where kubecertd's own file belongs; move it elsewhere",
                path.display()
            ),
            Self::NotWritable { path, reason } => write!(
                out,
                "{}: cannot be written to: {reason}; run as root",
                path.display()
            ),
            Self::NotLookedAt { path, reason, .. } => {
                write!(out, "{}: could not be looked at: {reason}", path.display())
            }
            Self::SeveralManifests { pod, manifests } => write!(
                out,
                "{} manifests for the one pod {pod}: {}; with one of them moved out the kubelet runs another, so the pod cannot be \
                 restarted; move all but one elsewhere",
                manifests.len(),
                joined(manifests, " and ")
            ),
            Self::ManifestsElsewhere { manifests, watched } => write!(
                out,
                "the manifests are looked for in {}, but the kubelet watches {}: moving them there restarts no pod; put \
                 paths.manifests right",
                manifests.display(),
                watched.display()
            ),
            Self::ManifestUnreadable { path, reason } => write!(
                out,
                "{}: {reason}; a pod in it that uses a renewed file is neither restarted nor proved",
                path.display()
            ),
            Self::ImagesAtRisk { directory, threshold_percent } => write!(
                out,
                "{}: its file system is used to {threshold_percent} percent or more, so the kubelet removes images that no \
                 container uses; that of a pod whose manifest is out may be among them and would have to be pulled again; free \
                 space there",
                directory.display()
            ),
            Self::KubeletSilent { seen } => write!(
                out,
                "the kubelet does not answer ({seen}), and without it no pod is restarted; see `systemctl status kubelet`"
            ),
            Self::RuntimeSilent { seen } => write!(
                out,
                "{seen}; without it no pod can be seen to end and to come back; start it, or say in restart.container-runtime \
                 where it listens"
            ),
            Self::Unhealthy { component, seen } => write!(
                out,
                "{component} is not well before anything is done ({seen}), so it would not be well afterwards either and all \
                 would be put back; see to it first"
            ),
            Self::ControlPlaneSilent { who, seen, control_planes } => write!(
                out,
                "{who} does not answer ({seen}): of {control_planes} control planes no second one is restarted meanwhile; see to \
                 it first"
            ),
            Self::TurnLater { control_planes, begins } => write!(
                out,
                "{control_planes} control planes: so that they are not restarted together, this one waits for its turn on {}; by \
                 hand, `kubecertd renew` does not",
                moment(*begins)
            ),
            Self::NoSlot { reason, .. } => out.write_str(reason),
            Self::RebootLocked { node } => write!(
                out,
                "{0} is rebooted by kured, or was just now: its lock, in the annotation weave.works/kured-node-lock of the DaemonSet \
                 kube-system/kured, names it, and beside a reboot no control plane is restarted. If {0} is gone and the lock was left: \
                 `kubectl -n kube-system annotate daemonset kured weave.works/kured-node-lock-`",
                printable(node)
            ),
            Self::RebootLockUnreadable { reason } => write!(
                out,
                "the annotation weave.works/kured-node-lock of the DaemonSet kube-system/kured is no lock of kured's ({}), so it is taken \
                 for free; remove it: `kubectl -n kube-system annotate daemonset kured weave.works/kured-node-lock-`",
                printable(reason)
            ),
            Self::NodeDrained { node, own, mark } => write!(
                out,
                "{0} takes no pods and is about to be rebooted or maintained ({1}){2}; `kubectl uncordon {0}` when that is over",
                printable(node),
                printable(mark),
                if *own {
                    ", and would be in the middle of a renewal"
                } else {
                    ": no second control plane is restarted meanwhile"
                }
            ),
            Self::EtcdCannotSpare { objections, .. } => write!(
                out,
                "etcd cannot spare this node's member now: {}",
                objections.join("; ")
            ),
            Self::TurnOccupied { node, emergency } => {
                match node {
                    Some(node) => write!(
                        out,
                        "{} has had its turn for a quarter of an hour; see what it does with `kubecertd status` there",
                        printable(node)
                    ),
                    None => write!(
                        out,
                        "the Lease kube-system/kubecertd was made anew, or others write it all the time; see who does with \
                         `kubectl -n kube-system get lease kubecertd -o yaml --show-managed-fields`"
                    ),
                }?;
                acts_from(out, *emergency)
            }
            Self::TurnHalted { node, operation, reason, alone_from } => {
                let (node, reason) = (printable(node), printable(reason));
                write!(out, "halted: {node} failed in operation {} because {reason}. See to {node}, then run ", printable(operation))?;
                write!(out, "`kubecertd turn clear`; it also goes on when {node} recovers")?;
                match alone_from {
                    Some(from) => write!(out, ". On {} this node acts in spite of that, before its certificates end", moment(*from)),
                    None => Ok(()),
                }
            }
            Self::TurnUnreachable { reason, emergency } => {
                write!(out, "the turn cannot be asked for: {reason}")?;
                acts_from(out, *emergency)
            }
            Self::AddressDenied { filter, addresses } => write!(
                out,
                "the address filter in {} does not allow {}; run `kubecertd generate address-filter`, put what it prints in place \
                 of that file, and have systemd read it: `systemctl daemon-reload`, `systemctl restart kubecertd`",
                filter.display(),
                addresses.join(", ")
            ),
            Self::AddressUnknown { filter, reason } => write!(
                out,
                "whether the address filter in {} allows everything that is needed is not known: {reason}",
                filter.display()
            ),
            Self::ClockSetBack { moment, what } => write!(
                out,
                "the clock shows a time before {}, when {what}: it was set back, and certificates dated by it would be wrong; set \
                 it, or, if it is right, say so with --force: `kubecertd renew` or `kubecertd recover --expired`",
                date(*moment)
            ),
            Self::ClockFarAhead { moment, what } => write!(
                out,
                "every certificate seems to have ended long ago, but the clock is not synchronised and years after the last thing \
                 known to have happened here ({}, when {what}); set it, or, if it is right, say so with --force: `kubecertd renew` \
                 or `kubecertd recover --expired`",
                date(*moment)
            ),
            Self::ClockAhead { moment, what, patience_minutes } => write!(
                out,
                "every certificate seems to have ended, but the clock is not synchronised and long after the last thing known to \
                 have happened here ({}, when {what}); the daemon waits for a time service until the machine has run for \
                 {patience_minutes} minutes",
                date(*moment)
            ),
            Self::ClockUnknown => out.write_str(
                "the kernel does not say whether the clock is synchronised, nor does systemd (adjtimex, timedatectl)",
            ),
            Self::ClockNotSynchronised { service } => write!(
                out,
                "{service} runs, but has not synchronised the clock; see to it that it reaches its servers, or stop it if the \
                 clock is right without it"
            ),
            Self::ClockAlone => out.write_str(
                "nothing synchronises the clock, so the dates of certificates are as right as it is",
            ),
            Self::KubeadmRunning { pid, command, since } => write!(
                out,
                "`{command}` is at work (process {pid}{}) and changes the same files; wait until it is done, or end it if it hangs",
                since
                    .map(|since| since.strftime(", since %b %d %H:%M:%S UTC").to_string())
                    .unwrap_or_default()
            ),
            Self::KubeadmScratch { changed, over } => write!(
                out,
                "kubeadm's scratch directory tmp changed at {}: an upgrade may be going on where its process is not seen; it \
                 counts as over at {}",
                time_of_day(*changed),
                time_of_day(*over)
            ),
            Self::OtherRenewer { who, take_over } => write!(
                out,
                "{who} calls kubeadm certs renew: while it does, the daemon renews only what is near its end; take over: \
                 {take_over}, or set renewal.other-renewer = \"ignore\""
            ),
            Self::HookUnfit {
                moment,
                path,
                reason,
            } if moment.is_before() => write!(
                out,
                "{}: {reason}; as long as it is not run, nothing is begun that it is there for ({moment})",
                path.display()
            ),
            Self::HookUnfit {
                moment,
                path,
                reason,
            } => write!(out, "{}: {reason}; it is not run ({moment})", path.display()),
            Self::HookFailed { hook, reason } => write!(
                out,
                "the hook {} failed: {reason}; what it said is in the log",
                printable(hook)
            ),
            Self::KubeletNotRestartable { reason } => write!(
                out,
                "{reason}, and the kubelet, which is restarted for its own certificate, is left alone meanwhile"
            ),
            Self::UserUnfit {
                user,
                certificates,
                reason,
            } => write!(
                out,
                "{user}: cannot be told of a new certificate ({}): {reason}",
                listed(certificates)
            ),
            Self::OutsideWindow { window, opens } => write!(
                out,
                "outside the maintenance windows: the next, {window:?}, opens on {}; by hand, `kubecertd renew` does not wait",
                date(*opens)
            ),
            Self::OnHold {
                reason,
                since,
                until,
            } => {
                write!(out, "on hold since {}", date(*since))?;
                if let Some(until) = until {
                    write!(out, " until {}", date(*until))?;
                }
                write!(out, ": {reason}; `kubecertd unhold` ends that")
            }
            Self::NotRenewable {
                certificates,
                obstacle,
            } => write!(out, "{obstacle}; not renewed: {}", listed(certificates)),
        }
    }
}

fn time_of_day(moment: Timestamp) -> impl fmt::Display {
    moment.strftime("%H:%M:%S UTC")
}

fn joined(paths: &[PathBuf], with: &str) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(with)
}

fn in_units(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes / 1024),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes / 1_048_576),
        _ => format!("{} GiB", bytes / 1_073_741_824),
    }
}

fn moment(at: Timestamp) -> impl fmt::Display {
    at.strftime("%b %d, %Y %H:%M:%S UTC").to_string()
}

/// When a node acts that cannot have its turn.
fn acts_from(out: &mut fmt::Formatter<'_>, emergency: Option<Timestamp>) -> fmt::Result {
    match emergency {
        Some(from) => write!(
            out,
            ". On {} this node acts without its turn, before its certificates end",
            moment(from)
        ),
        None => Ok(()),
    }
}
