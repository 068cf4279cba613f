//! What is found.

use jiff::Timestamp;

use crate::node::CertificateId;

use super::cause::Cause;
use super::check::Check;
use super::intent::Asked;

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It is said, and the operation goes on.
    Warn,
    /// One certificate is left out, and the others are not.
    Skip,
    /// The daemon waits until it passes.
    Wait,
    /// Somebody has to change something first.
    Refuse,
}

impl Severity {
    /// Its name in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Skip => "skip",
            Self::Wait => "wait",
            Self::Refuse => "refuse",
        }
    }
}

/// One thing that was found. [`fmt::Display`] says why, and what to do about it: in the same words as long as nothing changed,
/// so that it is logged once.
///
/// [`fmt::Display`]: std::fmt::Display
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What it is.
    #[serde(flatten)]
    pub cause: Cause,
    /// What follows.
    pub severity: Severity,
    /// What becomes of the operation, where its severity does not say it all.
    pub effect: Effect,
    /// Who asked: by hand there are other ways out.
    #[serde(skip)]
    pub asked: Asked,
}

/// What becomes of an operation in spite of a finding, or because of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Effect {
    /// What the severity says.
    #[default]
    AsItsSeverity,
    /// One certificate is left out until it is put right.
    CertificateLeftOut,
    /// There is no receipt until it is put right.
    NoReceipt,
    /// It would hold the operation up, but this certificate ends, or has ended, too soon to wait.
    GoingOn {
        /// Which.
        certificate: CertificateId,
        /// When it ends.
        ends: Timestamp,
        /// Whether it has.
        ended: bool,
    },
}

impl Finding {
    /// What follows from a cause.
    #[must_use]
    pub fn new(cause: Cause, severity: Severity, asked: Asked) -> Self {
        Self {
            cause,
            severity,
            effect: Effect::default(),
            asked,
        }
    }

    /// What was looked at.
    #[must_use]
    pub fn check(&self) -> Check {
        self.cause.check()
    }

    /// Whether nothing may be done now, or not for every certificate.
    #[must_use]
    pub fn keeps_something_from_being_done(&self) -> bool {
        self.severity >= Severity::Skip
    }

    /// Whether nothing may be done now.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.severity >= Severity::Wait
    }
}

/// The findings because of which nothing may be done now.
#[must_use]
pub fn blocking(findings: &[Finding]) -> Vec<Finding> {
    findings
        .iter()
        .filter(|finding| finding.blocks())
        .cloned()
        .collect()
}
