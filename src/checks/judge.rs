//! What follows from what was read. Pure.

use jiff::{SignedDuration, Timestamp};

use super::cause::Cause;
use super::clock::Clock;
use super::finding::{Effect, Finding, Severity};
use super::images::ImageDisk;
use super::intent::{Asked, Intent};
use super::kubeadm::Kubeadm;
use super::places::{Hindered, Hindrance};
use super::readings::{Doubled, Elsewhere, Readings, Unread};
use super::renewers::Renewer;
use super::space::FileSystem;
use crate::host::shifted;
use crate::node::{CertificateId, Problem};

/// How many times over what is written has to fit: an operation that fails writes the old files a second time.
const TIMES: u64 = 2;

/// How much earlier than something that has happened a clock may be: kubeadm dates its certificates back by as much, and clocks
/// of two machines differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A node that was switched off for less than this is nothing to wonder about, however short its certificates live.
const FAR: SignedDuration = SignedDuration::from_hours(365 * 24);

/// A clock that is unsynchronised and so far ahead of everything that has happened here may be wrong, if all has ended by it.
const LONG: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Within this time after a start a time service gets through, if it ever does.
const TIME_TO_SYNCHRONISE: SignedDuration = SignedDuration::from_mins(15);

/// A kubeadm that runs for so long may hang.
const HANGING: SignedDuration = SignedDuration::from_hours(1);

/// kubeadm's scratch directory counts as left alone after this: kubeadm waits five minutes for each component.
const SCRATCH_QUIET: SignedDuration = SignedDuration::from_mins(10);

/// What is to be said about these readings at `now`, in the order of the checks.
#[must_use]
pub fn judge(readings: &Readings, intent: &Intent, asked: Asked, now: Timestamp) -> Vec<Finding> {
    let case = Case { intent, asked, now };
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(
        readings
            .file_systems
            .iter()
            .filter_map(|one| case.space(one)),
    );
    findings.extend(readings.hindered.iter().map(|one| case.hindered(one)));
    findings.extend(readings.targets.iter().map(|one| case.target(one)));
    findings.extend(readings.history.iter().map(|one| case.without_receipt(one)));
    findings.extend(
        readings
            .doubled
            .iter()
            .filter_map(|doubled| case.doubled(doubled)),
    );
    findings.extend(
        readings
            .elsewhere
            .as_ref()
            .and_then(|one| case.elsewhere(one)),
    );
    if !intent.is_empty() && !intent.only_restarts() {
        findings.extend(
            readings
                .unread_manifests
                .iter()
                .map(|one| case.unread_manifest(one)),
        );
    }
    findings.extend(readings.images.as_ref().and_then(|disk| case.images(disk)));
    findings.extend(case.clock(&readings.clock));
    findings.extend(case.kubeadm(readings));
    findings.extend(readings.renewers.iter().map(|one| case.renewer(one)));
    findings.extend(readings.hooks.iter().filter_map(|one| case.hook(one)));
    findings.extend(case.window(readings));
    findings.extend(case.hold(readings));
    findings.extend(readings.unread.iter().map(|one| case.unread(one)));
    findings.sort_by_key(Finding::check);
    findings
}

/// What the decisions depend on besides the readings.
pub(super) struct Case<'a> {
    pub(super) intent: &'a Intent,
    pub(super) asked: Asked,
    pub(super) now: Timestamp,
}

impl Case<'_> {
    pub(super) fn finding(&self, cause: Cause, severity: Severity) -> Finding {
        Finding::new(cause, severity, self.asked)
    }

    /// Where each certificate can be renewed without the others, only its own is left out.
    fn target(&self, one: &Hindered) -> Finding {
        if !self.intent.separable {
            return self.hindered(one);
        }
        Finding {
            effect: Effect::CertificateLeftOut,
            ..self.finding(hindrance(one), Severity::Skip)
        }
    }

    fn hindered(&self, one: &Hindered) -> Finding {
        self.finding(hindrance(one), Severity::Refuse)
    }

    /// A renewal is worth more than its receipt, which the log has as well.
    fn without_receipt(&self, one: &Hindered) -> Finding {
        Finding {
            effect: Effect::NoReceipt,
            ..self.finding(hindrance(one), Severity::Warn)
        }
    }

    /// A doubt: it has its severity only while there is time.
    pub(super) fn doubt(&self, cause: Cause, severity: Severity) -> Finding {
        let near = self
            .intent
            .deadline
            .as_ref()
            .filter(|deadline| deadline.is_near(self.now))
            .map(|deadline| (&deadline.certificate, deadline.ends));
        self.unless(near, cause, severity)
    }

    /// What another process or an upgrade brings about, which is waited for much longer: it loses its force in the last day.
    fn until_the_last_day(&self, cause: Cause, severity: Severity) -> Finding {
        let last = self.intent.last_day(self.now);
        self.unless(last.map(|(name, ends)| (name, *ends)), cause, severity)
    }

    /// Only a warning where a certificate ends too soon to wait.
    pub(super) fn unless(
        &self,
        ending: Option<(&CertificateId, Timestamp)>,
        cause: Cause,
        severity: Severity,
    ) -> Finding {
        match ending {
            Some((certificate, ends)) if severity > Severity::Warn => Finding {
                effect: Effect::GoingOn {
                    certificate: certificate.clone(),
                    ends,
                    ended: ends <= self.now,
                },
                ..self.finding(cause, Severity::Warn)
            },
            _ => self.finding(cause, severity),
        }
    }

    /// A clock that another one keeps right is believed, whatever the files say. Otherwise it must not be earlier than
    /// anything that has happened here, nor years later than everything.
    fn clock(&self, clock: &Clock) -> Option<Finding> {
        if clock.synchronised == Some(true) || self.intent.only_restarts() {
            return None;
        }
        if let Some(mark) = &clock.latest {
            if self.now < shifted(mark.moment, -SKEW) {
                let cause = Cause::ClockSetBack {
                    moment: mark.moment,
                    what: mark.what.clone(),
                };
                return Some(self.doubt(cause, self.unless_forced()));
            }
            let since = self.now.duration_since(mark.moment);
            if let Some(lives) = clock.certificates
                && lives.last_end < self.now
            {
                if since > (lives.longest * 2).max(FAR) {
                    let cause = Cause::ClockFarAhead {
                        moment: mark.moment,
                        what: mark.what.clone(),
                    };
                    return Some(self.finding(cause, self.unless_forced()));
                }
                // No doubt that loses its force: all has ended, so the end is always near.
                let since_file = clock
                    .newest_file
                    .map_or(since, |file| since.min(self.now.duration_since(file)));
                if since_file > LONG && clock.up.is_some_and(|up| up < TIME_TO_SYNCHRONISE) {
                    let cause = Cause::ClockAhead {
                        moment: mark.moment,
                        what: mark.what.clone(),
                        patience_minutes: TIME_TO_SYNCHRONISE.as_mins(),
                    };
                    return Some(self.finding(cause, self.wait_or_warn()));
                }
            }
        }
        if self.intent.is_empty() {
            return None;
        }
        Some(match (clock.synchronised, &clock.service) {
            (None, _) => self.finding(Cause::ClockUnknown, Severity::Warn),
            (Some(_), Some(service)) => {
                let service = service.clone();
                self.doubt(Cause::ClockNotSynchronised { service }, self.wait_or_warn())
            }
            // Nobody is going to synchronise it: waiting would help nothing.
            (Some(_), None) => self.finding(Cause::ClockAlone, Severity::Warn),
        })
    }

    /// The daemon waits for what can pass; by hand --force overrules it.
    pub(super) fn unless_forced(&self) -> Severity {
        match self.asked {
            Asked::BySchedule => Severity::Wait,
            Asked::ByHand { force: false } => Severity::Refuse,
            Asked::ByHand { force: true } => Severity::Warn,
        }
    }

    /// Near the end a kubeadm that hangs is only mentioned, and in the last day any: a kubeadm that gets on is waited for until
    /// then, but a process that only looks like one must not let a certificate end.
    fn kubeadm(&self, readings: &Readings) -> Vec<Finding> {
        if self.intent.is_empty() {
            return Vec::new();
        }
        if !readings.kubeadm.is_empty() {
            let severity = match self.asked {
                Asked::BySchedule => Severity::Wait,
                Asked::ByHand { .. } => Severity::Refuse,
            };
            return readings
                .kubeadm
                .iter()
                .map(|one| {
                    let hangs = |since| shifted(since, HANGING) <= self.now;
                    if one.since.is_none_or(hangs) {
                        self.doubt(running(one), severity)
                    } else {
                        self.until_the_last_day(running(one), severity)
                    }
                })
                .collect();
        }
        let Some(changed) = readings.scratch_changed else {
            return Vec::new();
        };
        let quiet = shifted(changed, SCRATCH_QUIET);
        if changed > self.now || quiet <= self.now {
            return Vec::new();
        }
        let cause = Cause::KubeadmScratch {
            changed,
            over: quiet,
        };
        vec![self.until_the_last_day(cause, self.wait_or_warn())]
    }

    /// Anybody who can write to the same file system can fill it: in the last day what is written once has to fit, and the rest
    /// is only said.
    fn space(&self, one: &FileSystem) -> Option<Finding> {
        let cause = no_room(one, TIMES)?;
        Some(match no_room(one, 1) {
            Some(_) => self.finding(cause, Severity::Refuse),
            None => self.until_the_last_day(cause, Severity::Refuse),
        })
    }

    fn renewer(&self, one: &Renewer) -> Finding {
        let cause = Cause::OtherRenewer {
            who: one.who.clone(),
            take_over: one.take_over.clone(),
        };
        self.doubt(cause, self.wait_or_warn())
    }

    /// The daemon can come back later; whoever asks by hand is told.
    pub(super) fn wait_or_warn(&self) -> Severity {
        match self.asked {
            Asked::BySchedule => Severity::Wait,
            Asked::ByHand { .. } => Severity::Warn,
        }
    }

    /// A manifest that is moved where the kubelet does not look moves no pod.
    fn elsewhere(&self, one: &Elsewhere) -> Option<Finding> {
        if self.intent.manifests.is_empty() {
            return None;
        }
        let cause = Cause::ManifestsElsewhere {
            manifests: one.manifests.clone(),
            watched: one.watched.clone(),
        };
        Some(self.doubt(cause, Severity::Refuse))
    }

    fn doubled(&self, doubled: &Doubled) -> Option<Finding> {
        if !doubled
            .manifests
            .iter()
            .any(|manifest| self.intent.manifests.contains(manifest))
        {
            return None;
        }
        let cause = Cause::SeveralManifests {
            pod: doubled.pod.clone(),
            manifests: doubled.manifests.clone(),
        };
        Some(self.doubt(cause, Severity::Refuse))
    }

    /// Most pods come back before the kubelet looks for images to remove, and most images can be pulled again.
    fn images(&self, disk: &ImageDisk) -> Option<Finding> {
        // At 100 it never does.
        if disk.used_percent < disk.threshold_percent || disk.threshold_percent == 100 {
            return None;
        }
        let cause = Cause::ImagesAtRisk {
            directory: disk.directory.clone(),
            threshold_percent: disk.threshold_percent,
        };
        Some(self.finding(cause, Severity::Warn))
    }

    /// It holds nothing up, and is not forgotten: a pod in it may use what is renewed.
    fn unread_manifest(&self, one: &Problem) -> Finding {
        let cause = Cause::ManifestUnreadable {
            path: one.path.clone(),
            reason: one.fault.to_string(),
        };
        self.finding(cause, Severity::Skip)
    }

    /// What cannot be found out does not hold anything up: if it matters, the operation itself fails before its first change.
    fn unread(&self, one: &Unread) -> Finding {
        let cause = Cause::NotLookedAt {
            check: one.check,
            path: one.path.clone(),
            reason: one.reason.clone(),
        };
        self.finding(cause, Severity::Warn)
    }
}

fn running(one: &Kubeadm) -> Cause {
    Cause::KubeadmRunning {
        pid: one.pid,
        command: one.command.clone(),
        since: one.since,
    }
}

fn hindrance(one: &Hindered) -> Cause {
    let path = one.path.clone();
    match &one.by {
        Hindrance::ReadOnly => Cause::ReadOnlyFileSystem { path },
        Hindrance::Immutable => Cause::Immutable { path },
        Hindrance::Directory => Cause::DirectoryInPlace { path },
        Hindrance::Forbidden(reason) => Cause::NotWritable {
            path,
            reason: reason.clone(),
        },
    }
}

/// What is wrong if what is written there does not fit so many times.
fn no_room(one: &FileSystem, times: u64) -> Option<Cause> {
    let needed_bytes = one.written_bytes.saturating_mul(times);
    let needed = one.written_inodes.saturating_mul(times);
    let directory = one.directory.clone();
    if one.free_bytes < needed_bytes {
        return Some(Cause::NoRoom {
            directory,
            free_bytes: one.free_bytes,
            needed_bytes,
        });
    }
    let free = one.free_inodes.filter(|free| *free < needed)?;
    Some(Cause::NoInodes {
        directory,
        free,
        needed,
    })
}

#[cfg(test)]
pub(super) mod tests;
