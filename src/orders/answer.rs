//! What an issuer answers.

use std::time::Duration;

/// What an issuer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Now: certificates, in whatever form.
    Issued(Vec<u8>),
    /// Later.
    Pending {
        /// What it is given back the next time.
        token: Option<String>,
        /// When that is.
        ask_again: Duration,
    },
    /// No.
    Refused {
        /// Why.
        reason: String,
        /// Whether it took all of its time, as it will the next time.
        is_slow: bool,
    },
    /// Not now, and when it may be otherwise.
    NotNow {
        /// Why.
        reason: String,
        /// When it is asked again.
        ask_again: Duration,
    },
}
