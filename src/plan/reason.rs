//! Why a certificate is renewed.

/// Why a certificate is renewed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Reason {
    /// Less remains than the configuration wants.
    Due,
    /// It has ended.
    Expired,
    /// It begins later, so nobody accepts it: it was made while the clock was ahead.
    NotYetValid,
    /// Its key is missing or another's, so nothing can use it.
    KeyUnusable,
    /// A server's new certificate is signed by a CA that it does not trust yet: it learns of that by being renewed.
    SignerChanges,
    /// Somebody asked.
    Requested,
    /// Somebody asked for more names in it.
    NamesWanted,
    /// The CA that has its key elsewhere has answered the request.
    Answered,
}
