//! Whether the clock can be believed: everything that is decided here rests on it.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

use crate::host::{Place, by_kernel_or_mark, by_timedated, process};
use crate::journal::Store;
use crate::node::{CertificateId, Inventory, Present, Signer};
use crate::plan::lifetime;

/// Programs that synchronise the clock (the kernel cuts names after 15 letters), and how the units begin that run them.
const TIME_SERVICES: [(&str, &[&str]); 9] = [
    ("chronyd", &["chrony"]),
    ("ntpd", &["ntp", "openntpd"]),
    ("ntpsec", &["ntp"]),
    ("openntpd", &["openntpd", "ntp"]),
    ("ntp-daemon", &["ntp"]),
    ("systemd-timesyn", &["systemd-timesyncd"]),
    ("ptp4l", &["ptp4l", "linuxptp", "timemaster"]),
    ("phc2sys", &["phc2sys", "linuxptp", "timemaster"]),
    ("timemaster", &["timemaster"]),
];

/// What is known of the clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clock {
    /// Whether it is synchronised with another; `None` where nobody says.
    pub synchronised: Option<bool>,
    /// A time service runs, by name.
    pub service: Option<String>,
    /// The latest moment of which something on the node tells that it has passed, and what.
    pub latest: Option<Mark>,
    /// All certificates that are renewed here together; `None` without any.
    pub certificates: Option<Lives>,
    /// When the newest file of a certificate was written. Any copy may be older or dated ahead, so that only a clock far
    /// ahead is judged by it.
    pub newest_file: Option<Timestamp>,
    /// How long the machine has been running, where that can be told.
    pub up: Option<SignedDuration>,
}

/// Something that tells that a moment has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The moment.
    pub moment: Timestamp,
    /// What: `the certificate apiserver begins`.
    pub what: String,
}

/// The lives of several certificates together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// When the last of them ends.
    pub last_end: Timestamp,
    /// The longest lifetime.
    pub longest: SignedDuration,
}

/// What is known of the clock. `last_receipt`: when the last recorded operation ended.
#[must_use]
pub fn clock(
    store: &Store,
    inventory: &Inventory,
    last_receipt: Option<Timestamp>,
    processes: &Path,
) -> Clock {
    let own = [
        (store.history(), "kubecertd's history was written"),
        // Where the kernel cannot say it, the other marks do.
        (
            std::env::current_exe().unwrap_or_default(),
            "the program kubecertd was made",
        ),
    ]
    .into_iter()
    .filter_map(|(path, what)| {
        Some(Mark {
            moment: modified(&path)?,
            what: what.to_owned(),
        })
    });
    let receipt = last_receipt.map(|moment| Mark {
        moment,
        what: "kubecertd's last operation ended".to_owned(),
    });
    Clock {
        synchronised: by_kernel_or_mark(),
        service: time_service(processes),
        latest: own
            .chain(receipt)
            .chain(beginnings(inventory))
            .max_by_key(|mark| mark.moment),
        certificates: lives(inventory),
        newest_file: newest_file(inventory),
        up: up(),
    }
}

impl Clock {
    /// Asks systemd-timedated where the kernel and marks say nothing and the answer matters: where something is to be done, or
    /// something speaks against the clock.
    pub(super) fn ask_further(&mut self, is_needed: bool, now: Timestamp) {
        let is_doubtful = self.latest.as_ref().is_some_and(|mark| now < mark.moment)
            || self.certificates.is_some_and(|lives| lives.last_end < now);
        if self.synchronised.is_none() && (is_needed || is_doubtful) {
            self.synchronised = by_timedated();
        }
    }
}

/// Anybody can call a process so: only one in the cgroup of such a service counts.
fn time_service(processes: &Path) -> Option<String> {
    let listed = process::processes(processes).ok()?;
    listed.all.iter().find_map(|process| {
        let name = process.name()?;
        let units = TIME_SERVICES
            .iter()
            .find_map(|(known, units)| (*known == name).then_some(*units))?;
        units
            .iter()
            .any(|unit| process.is_of_unit(unit))
            .then_some(name)
    })
}

/// When the node's own certificates begin. One whose file is older than its beginning was dated ahead on purpose, and a
/// stray file may be anybody's: they tell nothing. Nor does what lies in the directory that etcd's pod can write to, with the
/// CA's key that signs it.
fn beginnings(inventory: &Inventory) -> impl Iterator<Item = Mark> {
    let etcds = inventory.directories.certificates.join("etcd");
    inventory
        .entries
        .iter()
        .filter(|entry| !matches!(entry.id, CertificateId::Found(_)))
        .filter(move |entry| !entry.certificate_path.starts_with(&etcds))
        .filter_map(|entry| {
            let present = entry.present()?;
            let begins = present.leaf.not_before;
            let credible = present.signer == Signer::Expected
                && present.modified.is_some_and(|modified| modified >= begins);
            credible.then(|| Mark {
                moment: begins,
                what: format!("the certificate {} begins", entry.id),
            })
        })
}

fn lives(inventory: &Inventory) -> Option<Lives> {
    inventory
        .entries
        .iter()
        .filter(|entry| entry.is_renewed_here())
        .filter_map(|entry| entry.present())
        .filter(|present| present.signer == Signer::Expected)
        .map(life)
        .reduce(|one, other| Lives {
            last_end: one.last_end.max(other.last_end),
            longest: one.longest.max(other.longest),
        })
}

fn newest_file(inventory: &Inventory) -> Option<Timestamp> {
    inventory
        .entries
        .iter()
        .filter(|entry| !matches!(entry.id, CertificateId::Found(_)))
        .filter_map(|entry| entry.present()?.modified)
        .max()
}

/// Not by /proc/uptime, which the unit's sandbox hides.
fn up() -> Option<SignedDuration> {
    let up = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
    Some(SignedDuration::from_secs(up.tv_sec()))
}

fn life(present: &Present) -> Lives {
    Lives {
        last_end: present.leaf.not_after,
        longest: SignedDuration::try_from(lifetime(present)).unwrap_or(SignedDuration::MAX),
    }
}

fn modified(path: &Path) -> Option<Timestamp> {
    let (seconds, nanoseconds) = Place::at(path).ok()?.look().ok()??.modified;
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}
