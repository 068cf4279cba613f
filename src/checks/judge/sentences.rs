//! What is said of readings, in an administrator's words.

use jiff::SignedDuration;

use crate::checks::clock::Mark;
use crate::checks::kubeadm::Kubeadm;
use crate::checks::places::{Hindered, Hindrance};
use crate::checks::space::FileSystem;
use crate::pki::date;

pub(super) fn set_back(mark: &Mark) -> String {
    format!(
        "the clock shows a time before {}, when {}: it was set back, and certificates dated by it would be wrong; set it, or, if \
         it is right, say so with --force: `kubecertd renew` or `kubecertd recover --expired`",
        date(mark.moment),
        mark.what
    )
}

pub(super) fn far_ahead(mark: &Mark) -> String {
    format!(
        "every certificate seems to have ended long ago, but the clock is not synchronised and years after the last thing \
         known to have happened here ({}, when {}); set it, or, if it is right, \
         say so with --force: `kubecertd renew` or `kubecertd recover --expired`",
        date(mark.moment),
        mark.what
    )
}

pub(super) fn ahead(mark: &Mark, patience: SignedDuration) -> String {
    format!(
        "every certificate seems to have ended, but the clock is not synchronised and long after the last thing known to have \
         happened here ({}, when {}); the daemon waits for a time service until the machine has run for {} minutes",
        date(mark.moment),
        mark.what,
        patience.as_mins()
    )
}

pub(super) fn running(one: &Kubeadm) -> String {
    format!(
        "`{}` is at work (process {}{}) and changes the same files; wait until it is done, or end it if it hangs",
        one.command,
        one.pid,
        one.since
            .map(|since| since.strftime(", since %b %d %H:%M:%S UTC").to_string())
            .unwrap_or_default()
    )
}

/// What is wrong if what is written there does not fit so many times.
pub(super) fn no_room(one: &FileSystem, times: u64) -> Option<String> {
    let bytes = one.written_bytes.saturating_mul(times);
    let inodes = one.written_inodes.saturating_mul(times);
    let directory = one.directory.display();
    if one.free_bytes < bytes {
        Some(format!(
            "{directory}: {} are free on its file system and {} are needed, twice what is written there; make room",
            in_units(one.free_bytes),
            in_units(bytes)
        ))
    } else if let Some(free) = one.free_inodes
        && free < inodes
    {
        Some(format!(
            "{directory}: {free} more files can be made on its file system (inodes) and {inodes} are needed, twice what is made \
             there; remove files"
        ))
    } else {
        None
    }
}

pub(super) fn hindrance(one: &Hindered) -> String {
    let path = one.path.display();
    match &one.by {
        Hindrance::ReadOnly => format!(
            "{path}: lies on a read-only file system; mount it for writing, or, where only the service sees it so, name it in \
             ReadWritePaths= with `systemctl edit kubecertd`"
        ),
        Hindrance::Immutable => format!(
            "{path}: is marked immutable or append-only; remove the mark with `chattr -i -a {path}`"
        ),
        Hindrance::Directory => {
            format!("{path}: is a directory where kubecertd's own file belongs; move it elsewhere")
        }
        Hindrance::Forbidden(reason) => {
            format!("{path}: cannot be written to: {reason}; run as root")
        }
    }
}

fn in_units(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes / 1024),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes / 1_048_576),
        _ => format!("{} GiB", bytes / 1_073_741_824),
    }
}
