//! Pieces of sentences.

/// The reason, beginning with the certificate's name: one file may be the reason for several certificates.
pub(super) fn named(name: &str, reason: String) -> String {
    if reason.starts_with(&format!("{name}: ")) {
        reason
    } else {
        format!("{name}: {reason}")
    }
}
