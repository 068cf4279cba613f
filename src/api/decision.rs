//! What is decided about a CertificateSigningRequest.

use jiff::Timestamp;

/// As it is written into the request, where everybody reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub kind: DecisionKind,
    /// In one word, as Kubernetes' conditions have it.
    pub reason: String,
    /// In a sentence.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// One of the two things that can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionKind {
    /// It may be signed.
    Approved,
    /// It is never signed.
    Denied,
}

impl DecisionKind {
    /// The type of its condition.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Approved => "Approved",
            Self::Denied => "Denied",
        }
    }
}
