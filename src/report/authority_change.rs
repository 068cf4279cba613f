//! What receipts say of changes of a CA's certificate, and who goes on with one from before.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Receipt;
use crate::journal::Outcome;
use crate::node::{CertificateId, PodRef};
use crate::pki::AuthorityId;
use crate::plan::AuthorityPlace;

/// One change of a CA's certificate that stayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityChange {
    /// When the operation ended.
    pub finished: Timestamp,
    /// When the certificate ends that was there before.
    pub old_ends: Timestamp,
    /// The file: the CA's own, or a place that had been left behind.
    pub path: PathBuf,
    started: Timestamp,
    /// What was restarted within the operation, after its files were in place.
    restarted: Vec<String>,
}

impl AuthorityChange {
    /// All of one CA's, the latest last.
    #[must_use]
    pub fn all(receipts: &[Receipt], name: AuthorityId) -> Vec<Self> {
        let id = CertificateId::of_authority(name);
        let stayed = receipts
            .iter()
            .filter(|receipt| !matches!(receipt.outcome, Outcome::RolledBack(_)));
        let changes = stayed.filter_map(|receipt| {
            let line = receipt.certificates.iter().find(|one| one.id == id)?;
            Some(Self {
                finished: receipt.finished,
                old_ends: line.old_not_after,
                path: line.path.clone(),
                started: receipt.started,
                restarted: receipt
                    .restarts
                    .iter()
                    .map(|(component, _)| component.clone())
                    .collect(),
            })
        });
        changes.collect()
    }

    /// Whether a component that runs since then was started with the certificate that this change brought.
    #[must_use]
    pub fn is_known_since(&self, component: &str, since: Timestamp) -> bool {
        let is_within = || self.restarted.iter().any(|one| one == component);
        since > self.finished || (since > self.started && is_within())
    }

    /// Whether it brought a pod another certificate than the one that it read when it started. `own`: the CA's own file, with which all
    /// its other places change.
    #[must_use]
    pub fn concerns(&self, pod: &PodRef, own: &Path, places: &[AuthorityPlace]) -> bool {
        let mut read = places.iter().filter(|place| place.is_read_at_start_by(pod));
        read.any(|place| self.path == own || self.path == place.path)
    }
}

/// The pods, of those that run since then, that go on with a certificate from before these changes of a CA; and when it ends.
#[must_use]
pub fn with_old_authority(
    changes: &[AuthorityChange],
    (own, places): (&Path, &[AuthorityPlace]),
    running: &[(PodRef, Timestamp)],
) -> Vec<(PodRef, Timestamp)> {
    let old = running.iter().filter_map(|(pod, since)| {
        let passed_by = changes.iter().filter(|change| {
            change.concerns(pod, own, places) && !change.is_known_since(&pod.component, *since)
        });
        let ends = passed_by.map(|change| change.old_ends).min()?;
        Some((pod.clone(), ends))
    });
    old.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(started: &str, finished: &str, restarted: &[&str]) -> AuthorityChange {
        AuthorityChange {
            finished: finished.parse().unwrap(),
            old_ends: "2027-01-01T00:00:00Z".parse().unwrap(),
            path: "/ca.crt".into(),
            started: started.parse().unwrap(),
            restarted: restarted.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    #[test]
    fn what_an_operation_restarted_itself_has_the_certificate_that_it_brought() {
        let within = "2026-11-27T20:00:30Z".parse().unwrap();
        let one = change("2026-11-27T20:00:00Z", "2026-11-27T20:01:00Z", &["etcd"]);
        assert!(one.is_known_since("etcd", within));
        assert!(!one.is_known_since("kube-apiserver", within));
        let before = "2026-11-27T19:59:59Z".parse().unwrap();
        assert!(!one.is_known_since("etcd", before));
        let after = "2026-11-27T20:01:01Z".parse().unwrap();
        assert!(one.is_known_since("kube-apiserver", after));
    }
}
