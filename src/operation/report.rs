//! What an operation is asked for, and what it reports.

use std::path::PathBuf;
use std::time::Duration;

use super::error::{Fault, OperationError};
use super::more_names::MoreNames;
use super::remark::Remark;
use crate::journal::Trigger;
use crate::node::{CertificateId, Problem};
use crate::plan::Obstacle;
use crate::probe::Proof;
use crate::report::RenewedCertificate;
use crate::restart::RestartReport;

/// What the caller wants besides the certificates.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who asked.
    pub trigger: Trigger,
    /// Names that new certificates get besides those of the old ones.
    pub more_names: MoreNames,
    /// Whether pods are restarted at all.
    pub restart: bool,
    /// Whether expired certificates have stopped the node: then the kubelet's client certificate is renewed as well where
    /// it has expired, and the kubelet and the pods are restarted without moving manifests.
    pub node_down: bool,
}

/// A certificate that was to be renewed and was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRenewed {
    /// Which.
    pub id: CertificateId,
    /// Why; the text begins with the name.
    pub fault: Fault,
}

/// What was done.
#[derive(Debug, Default)]
pub struct RenewalReport {
    /// The operation's id; `None` when there was nothing to do.
    pub operation: Option<String>,
    /// Further operations, for certificates that are not kubeadm's.
    pub further: Vec<String>,
    /// Why operations did not end well, where another did.
    pub errors: Vec<OperationError>,
    /// What was renewed.
    pub renewed: Vec<RenewedCertificate>,
    /// What should have been renewed and was not.
    pub failed: Vec<NotRenewed>,
    /// What was asked for or due and is left alone, and why.
    pub left: Vec<(CertificateId, Obstacle)>,
    /// How long each restart took.
    pub restarts: Vec<RestartReport>,
    /// What was proved.
    pub proofs: Vec<Proof>,
    /// What could not be proved.
    pub unproved: Vec<Remark>,
    /// Copies of admin.conf that were brought up to date, as the node names them.
    pub copies: Vec<PathBuf>,
    /// Components that use a new file and were not restarted.
    pub not_restarted: Vec<String>,
    /// Units and commands that were to be told of new files and were not, in words: `haproxy.service`.
    pub not_told: Vec<String>,
    /// What else is to be known.
    pub warnings: Vec<Remark>,
    /// What was to be looked at on the node and could not be.
    pub unread: Vec<Problem>,
    /// From begin to end.
    pub duration: Duration,
    /// How often the whole node was read for it.
    pub observations: usize,
}

impl RenewalReport {
    /// All its operations.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        self.operation
            .iter()
            .chain(&self.further)
            .map(String::as_str)
    }

    /// Itself where something was done, or nothing failed; the first error where nothing else is to be said.
    pub(super) fn or_error(mut self) -> Result<Self, OperationError> {
        if self.operation.is_some() || self.errors.is_empty() {
            return Ok(self);
        }
        let first = self.errors.remove(0);
        for error in self.errors {
            tracing::error!("{error}");
        }
        Err(first)
    }

    /// Adds what a further operation did.
    pub(super) fn join(&mut self, more: Self) {
        fn add_new<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
            for one in more {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        match self.operation {
            None => self.operation = more.operation,
            Some(_) => self.further.extend(more.operation),
        }
        self.further.extend(more.further);
        self.errors.extend(more.errors);
        self.copies.extend(more.copies);
        self.renewed.extend(more.renewed);
        self.restarts.extend(more.restarts);
        self.proofs.extend(more.proofs);
        add_new(&mut self.failed, more.failed);
        add_new(&mut self.left, more.left);
        add_new(&mut self.unproved, more.unproved);
        add_new(&mut self.not_restarted, more.not_restarted);
        add_new(&mut self.not_told, more.not_told);
        add_new(&mut self.warnings, more.warnings);
        add_new(&mut self.unread, more.unread);
        self.duration += more.duration;
        self.observations = self.observations.max(more.observations);
    }
}
