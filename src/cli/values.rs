//! Values that several commands take.

use clap::ValueEnum;

use crate::pki::SubjectAltName;

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// A table
    #[default]
    Text,
    /// JSON
    Json,
}

/// A name or address as kubeadm's apiServer.certSANs takes it: in small letters, perhaps with a wildcard.
pub(super) fn subject_alt_name(text: &str) -> Result<SubjectAltName, String> {
    crate::node::subject_alt_name(&text.to_lowercase())
}

/// `30d`, `2w`, `36h`, `8760h0m0s`; a day is 24 hours.
pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = |_| format!("{text:?} is not a duration; write 30d, 36h or 90m");
    let span: jiff::Span = text.parse().map_err(wrong)?;
    let duration = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("{text:?} has years or months, which differ in length; write days"))?;
    std::time::Duration::try_from(duration).map_err(|_| format!("{text:?} lies in the past"))
}

/// How long a new certificate may be valid: as for the configuration's `renewal.validity`.
pub(super) fn validity(text: &str) -> Result<std::time::Duration, String> {
    const DAY: u64 = 24 * 60 * 60;
    let validity = duration(text)?;
    if (600..=36_500 * DAY).contains(&validity.as_secs()) {
        Ok(validity)
    } else {
        Err(format!("{text:?} is not between 10m and 36500d"))
    }
}
