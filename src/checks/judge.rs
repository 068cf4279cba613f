//! What follows from what was read. Pure.

mod sentences;

use jiff::{SignedDuration, Timestamp};

use super::clock::Clock;
use super::finding::{Check, Finding, Severity};
use super::images::ImageDisk;
use super::intent::{Asked, Intent};
use super::places::Hindered;
use super::readings::{Doubled, Elsewhere, Readings, Unread};
use super::renewers::Renewer;
use super::space::FileSystem;
use crate::host::shifted;
use crate::node::Problem;
use crate::pki::date;
use sentences::{ahead, far_ahead, hindrance, no_room, running, set_back};

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
    findings.extend(readings.hindered.iter().map(hindered));
    findings.extend(readings.targets.iter().map(|one| case.target(one)));
    findings.extend(readings.history.iter().map(without_receipt));
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
        findings.extend(readings.unread_manifests.iter().map(unread_manifest));
    }
    findings.extend(readings.images.as_ref().and_then(images));
    findings.extend(case.clock(&readings.clock));
    findings.extend(case.kubeadm(readings));
    findings.extend(readings.renewers.iter().map(|one| case.renewer(one)));
    findings.extend(readings.unread.iter().map(unread));
    findings.sort_by_key(|finding| finding.check);
    findings
}

/// What the decisions depend on besides the readings.
pub(super) struct Case<'a> {
    pub(super) intent: &'a Intent,
    pub(super) asked: Asked,
    pub(super) now: Timestamp,
}

impl Case<'_> {
    /// Where each certificate can be renewed without the others, only its own is left out.
    fn target(&self, one: &Hindered) -> Finding {
        if !self.intent.separable {
            return hindered(one);
        }
        let sentence = format!("{}; until then its certificate is left out", hindrance(one));
        Finding::new(Check::Writable, Severity::Skip, sentence)
    }

    /// A doubt: it has its severity only while there is time.
    pub(super) fn doubt(&self, check: Check, severity: Severity, sentence: String) -> Finding {
        let near = self
            .intent
            .deadline
            .as_ref()
            .filter(|deadline| deadline.is_near(self.now))
            .map(|deadline| (&deadline.certificate, deadline.ends));
        self.unless(near, check, severity, sentence)
    }

    /// What another process or an upgrade brings about, which is waited for much longer: it loses its force in the last day.
    fn until_the_last_day(&self, check: Check, severity: Severity, sentence: String) -> Finding {
        let last = self.intent.last_day(self.now);
        self.unless(
            last.map(|(name, ends)| (name, *ends)),
            check,
            severity,
            sentence,
        )
    }

    /// Only a warning where a certificate ends too soon to wait.
    pub(super) fn unless(
        &self,
        ending: Option<(&String, Timestamp)>,
        check: Check,
        severity: Severity,
        sentence: String,
    ) -> Finding {
        match ending {
            Some((certificate, ends)) if severity > Severity::Warn => Finding::new(
                check,
                Severity::Warn,
                format!(
                    "{sentence}; going on nevertheless, because {certificate} {} {}",
                    if ends <= self.now { "ended" } else { "ends" },
                    date(ends),
                ),
            ),
            _ => Finding::new(check, severity, sentence),
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
                let severity = self.unless_forced();
                return Some(self.doubt(Check::Clock, severity, set_back(mark)));
            }
            let since = self.now.duration_since(mark.moment);
            if let Some(lives) = clock.certificates
                && lives.last_end < self.now
            {
                if since > (lives.longest * 2).max(FAR) {
                    let severity = self.unless_forced();
                    return Some(Finding::new(Check::Clock, severity, far_ahead(mark)));
                }
                // No doubt that loses its force: all has ended, so the end is always near.
                let since_file = clock
                    .newest_file
                    .map_or(since, |file| since.min(self.now.duration_since(file)));
                if since_file > LONG && clock.up.is_some_and(|up| up < TIME_TO_SYNCHRONISE) {
                    let severity = self.wait_or_warn();
                    return Some(Finding::new(
                        Check::Clock,
                        severity,
                        ahead(mark, TIME_TO_SYNCHRONISE),
                    ));
                }
            }
        }
        if self.intent.is_empty() {
            return None;
        }
        Some(match (clock.synchronised, &clock.service) {
            (None, _) => Finding {
                unread: true,
                ..Finding::new(
                    Check::Clock,
                    Severity::Warn,
                    "the kernel does not say whether the clock is synchronised, nor does systemd (adjtimex, timedatectl)".to_owned(),
                )
            },
            (Some(_), Some(service)) => self.doubt(
                Check::Clock,
                self.wait_or_warn(),
                format!(
                    "{service} runs, but has not synchronised the clock; see to it that it reaches its servers, or stop it if \
                     the clock is right without it"
                ),
            ),
            // Nobody is going to synchronise it: waiting would help nothing.
            (Some(_), None) => Finding::new(
                Check::Clock,
                Severity::Warn,
                "nothing synchronises the clock, so the dates of certificates are as right as it is".to_owned(),
            ),
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
                    if one
                        .since
                        .is_none_or(|since| shifted(since, HANGING) <= self.now)
                    {
                        self.doubt(Check::Kubeadm, severity, running(one))
                    } else {
                        self.until_the_last_day(Check::Kubeadm, severity, running(one))
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
        let sentence = format!(
            "kubeadm's scratch directory tmp changed at {}: an upgrade may be going on where its process is not seen; it \
             counts as over {}",
            changed.strftime("%H:%M:%S UTC"),
            quiet.strftime("at %H:%M:%S UTC"),
        );
        vec![self.until_the_last_day(Check::Kubeadm, self.wait_or_warn(), sentence)]
    }

    /// Anybody who can write to the same file system can fill it: in the last day what is written once has to fit, and the rest
    /// is only said.
    fn space(&self, one: &FileSystem) -> Option<Finding> {
        let sentence = no_room(one, TIMES)?;
        Some(match no_room(one, 1) {
            Some(_) => Finding::new(Check::Space, Severity::Refuse, sentence),
            None => self.until_the_last_day(Check::Space, Severity::Refuse, sentence),
        })
    }

    fn renewer(&self, one: &Renewer) -> Finding {
        let Renewer { who, take_over } = one;
        let sentence = format!(
            "{who} calls kubeadm certs renew: while it does, the daemon renews only what is near its end; take over: {take_over}, \
             or set renewal.other-renewer = \"ignore\""
        );
        self.doubt(Check::OtherRenewer, self.wait_or_warn(), sentence)
    }

    /// The daemon can come back later; whoever asks by hand is told.
    fn wait_or_warn(&self) -> Severity {
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
        let sentence = format!(
            "the manifests are looked for in {}, but the kubelet watches {}: moving them there restarts no pod; put paths.manifests \
             right",
            one.manifests.display(),
            one.watched.display()
        );
        let mut finding = self.doubt(Check::Manifests, Severity::Refuse, sentence);
        finding.forbids_restart = true;
        Some(finding)
    }

    fn doubled(&self, doubled: &Doubled) -> Option<Finding> {
        if !doubled
            .manifests
            .iter()
            .any(|manifest| self.intent.manifests.contains(manifest))
        {
            return None;
        }
        let names: Vec<String> = doubled
            .manifests
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let mut finding = self.doubt(
            Check::Manifests,
            Severity::Refuse,
            format!(
                "{} manifests for the one pod {}: {}; with one of them moved out the kubelet runs another, so the pod cannot be \
                 restarted; move all but one elsewhere{}",
                names.len(),
                doubled.pod,
                names.join(" and "),
                match self.asked {
                    Asked::BySchedule => "",
                    Asked::ByHand { .. } => ", or leave the restart to yourself with --no-restart",
                }
            ),
        );
        finding.forbids_restart = true;
        Some(finding)
    }
}

fn hindered(one: &Hindered) -> Finding {
    Finding::new(Check::Writable, Severity::Refuse, hindrance(one))
}

/// A renewal is worth more than its receipt, which the log has as well.
fn without_receipt(one: &Hindered) -> Finding {
    let sentence = format!(
        "{}; until then only the log tells what was done",
        hindrance(one)
    );
    Finding::new(Check::Writable, Severity::Warn, sentence)
}

/// Most pods come back before the kubelet looks for images to remove, and most images can be pulled again.
fn images(disk: &ImageDisk) -> Option<Finding> {
    // At 100 it never does.
    if disk.used_percent < disk.threshold_percent || disk.threshold_percent == 100 {
        return None;
    }
    let sentence = format!(
        "{}: its file system is used to {} percent or more, so the kubelet removes images that no container uses; that of a \
         pod whose manifest is out may be among them and would have to be pulled again; free space there",
        disk.directory.display(),
        disk.threshold_percent
    );
    Some(Finding::new(Check::Images, Severity::Warn, sentence))
}

/// It holds nothing up, and is not forgotten: a pod in it may use what is renewed.
fn unread_manifest(one: &Problem) -> Finding {
    Finding::new(
        Check::Manifests,
        Severity::Skip,
        format!(
            "{}: {}; a pod in it that uses a renewed file is neither restarted nor proved",
            one.path.display(),
            one.reason
        ),
    )
}

/// What cannot be found out does not hold anything up: if it matters, the operation itself fails before its first change.
fn unread(one: &Unread) -> Finding {
    Finding {
        unread: true,
        ..Finding::new(
            one.check,
            Severity::Warn,
            format!(
                "{}: could not be looked at: {}",
                one.path.display(),
                one.reason
            ),
        )
    }
}

#[cfg(test)]
pub(super) mod tests;
