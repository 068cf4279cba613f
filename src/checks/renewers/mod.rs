//! Others that renew certificates on this node: systemd units and cron jobs that call `kubeadm certs renew`, themselves or
//! in a script. kubespray and KubeKey install such timers.

mod cron;
mod renewer;
mod scan;
mod script;
mod systemd;

use std::io;
use std::path::PathBuf;

use crate::host::Root;
pub use renewer::Renewer;
use scan::Scan;

/// Every renewer below the root; places that could not be read come second.
#[must_use]
pub fn renewers(root: &Root) -> (Vec<Renewer>, Vec<(PathBuf, io::Error)>) {
    let root = &root.holding();
    let mut scan = Scan::new(root);
    let mut found = systemd::renewers(&mut scan);
    found.extend(cron::renewers(&mut scan));
    found.sort();
    found.dedup();
    if scan.is_cut() {
        let rest =
            io::Error::other("there are more units, cron jobs and scripts than are looked at");
        scan.unread.push((root.join("/etc"), rest));
    }
    (found, scan.unread)
}
