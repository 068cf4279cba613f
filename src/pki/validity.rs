//! From when to when a certificate is asked for.

use jiff::Timestamp;

/// The validity asked for; what is issued never reaches beyond the authority's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Start: by kubeadm's habit five minutes before the moment of signing.
    pub not_before: Timestamp,
    /// Wanted end; clamped to the authority's.
    pub not_after: Timestamp,
}
