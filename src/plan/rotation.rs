//! The kubelet's renewal of its own client certificate: when it is to come, and what keeps it from coming.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::host::{serialize_path, shifted};
use crate::node::{ClientLink, Inventory, KUBELET_CLIENT};
use crate::pki::Certificate;

/// Tenths of a certificate's life after which the kubelet asks for another: at a moment between these two that it draws at each start
/// (client-go, util/certificate).
const OPENS: i32 = 7;
const CLOSES: i32 = 9;

/// How long an answer may take: the kubelet waits a quarter of an hour and asks again.
const ANSWER: SignedDuration = SignedDuration::from_hours(1);

/// When the kubelet asks for another certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// At this moment at the earliest.
    pub opens: Timestamp,
    /// At this moment at the latest.
    pub closes: Timestamp,
    /// From this moment on it should have had it.
    pub overdue: Timestamp,
}

impl Rotation {
    /// Of that certificate.
    #[must_use]
    pub fn of(leaf: &Certificate) -> Self {
        let life = leaf.not_after.duration_since(leaf.not_before);
        let closes = shifted(leaf.not_before, life / 10 * CLOSES);
        Self {
            opens: shifted(leaf.not_before, life / 10 * OPENS),
            closes,
            overdue: shifted(closes, ANSWER.min(life / 100)),
        }
    }
}

/// What on this node keeps the kubelet from renewing its certificate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(
    tag = "fault",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum RotationFault {
    /// `rotateCertificates` is not true.
    SwitchedOff,
    /// The link to the current certificate is no link.
    NoLink {
        /// Its path.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
}

/// What of that is seen on this node.
pub(super) fn faults(inventory: &Inventory) -> Vec<RotationFault> {
    let mut faults = Vec::new();
    if !inventory.kubelet.rotate_certificates {
        faults.push(RotationFault::SwitchedOff);
    }
    if inventory.kubelet_client == ClientLink::NoLink {
        faults.push(RotationFault::NoLink {
            path: inventory.directories.kubelet_pki.join(KUBELET_CLIENT),
        });
    }
    faults
}
