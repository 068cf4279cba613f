//! An open request.

use jiff::Timestamp;

use crate::node::CertificateId;

/// A request that was made and is not closed, as its file has it. What is there in a released form stays readable.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenOrder {
    /// Which: the name of its directory, and of its file in the outbox without `.csr`.
    pub id: String,
    /// For which certificate.
    pub certificate: CertificateId,
    /// Since when.
    pub since: Timestamp,
    /// SHA-256 of the public key that it is for.
    pub public_key: String,
    /// Digest of what is asked for.
    pub asks_for: String,
    /// Fingerprint of the certificate that was in place.
    pub follows: String,
}
