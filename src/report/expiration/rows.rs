//! The rows that `check-expiration` prints.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::node::{CalledFor, CertificateId, Problem};
use crate::pki::AuthorityId;
use crate::report::CopiesView;

/// kubeadm's `CertificateExpirationInfo` (output.kubeadm.k8s.io/v1alpha3), with what `--all` adds.
#[derive(Debug, Clone)]
pub struct ExpirationInfo {
    /// kubeadm's own, by name.
    pub certificates: Vec<CertificateRow>,
    /// The authorities, by name.
    pub authorities: Vec<CertificateRow>,
    /// With `--all`: the kubelet's and unknown ones.
    pub others: Vec<CertificateRow>,
    /// With `--all`: the names that server certificates lack, and what calls for them.
    pub(super) missing_names: Vec<(CertificateId, Vec<CalledFor>)>,
    /// With `--all`: the copies of admin.conf and super-admin.conf.
    pub(super) copies: CopiesView,
    /// What could not be read or makes no sense, with the file.
    pub problems: Vec<Problem>,
    /// Certificates that kubeadm does not know and a static pod names, whether they are shown or not.
    pub(super) named_by_pods: Vec<CertificateRow>,
    /// Those of the problems that keep something from being looked at.
    pub(super) unread: Vec<Problem>,
    pub(super) all: bool,
    pub(super) now: Timestamp,
}

impl ExpirationInfo {
    pub(super) fn residual(&self, end: Timestamp) -> SignedDuration {
        end.duration_since(self.now)
    }
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// kubeadm's name, or what stands for it.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What was found.
    pub found: Found,
    /// The authority that is to sign it; `None` for an authority itself and for unknown certificates.
    pub authority: Option<AuthorityId>,
    /// Whether the authority's key is not on this node.
    pub externally_managed: bool,
    /// Who signed it, in words.
    pub signed_by: String,
    /// Whether its absence is nothing to wonder about: super-admin.conf on a joined node.
    pub optional: bool,
    /// Whether the configuration says to leave it alone and kubeadm does not know it: then its end is nobody's business.
    pub left_alone: bool,
}

/// What was found of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No such file.
    Missing,
    /// Not usable: the reason.
    Unreadable(String),
    /// A certificate.
    Expires {
        /// When it ends itself.
        not_after: Timestamp,
        /// When the first of itself, its chain and its authority ends.
        effective: Timestamp,
    },
}
