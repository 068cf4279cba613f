//! What an operation changes of a certificate, as its journal and its receipt name it.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::node::CertificateId;
use crate::pki::{Certificate, serde_end};

/// One certificate before and after.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RenewedCertificate {
    /// Which; in the file its name.
    #[serde(rename = "name")]
    pub id: CertificateId,
    /// Its file.
    pub path: PathBuf,
    /// Serial before.
    pub old_serial: String,
    /// Serial after.
    pub new_serial: String,
    /// End before.
    #[serde(with = "serde_end")]
    pub old_not_after: Timestamp,
    /// End after.
    #[serde(with = "serde_end")]
    pub new_not_after: Timestamp,
    /// What it was before, where that could be read; missing in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Described>,
    /// What it is after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Described>,
}

/// What a certificate says of itself, for whoever looks for it later.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Described {
    /// Its subject, as `CN=…,O=…`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its names, as `DNS:…`, `IP:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// SHA-256 of its DER, hexadecimal.
    pub fingerprint: String,
}

impl Described {
    /// Of a certificate.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            names: certificate
                .subject_alt_names
                .iter()
                .map(ToString::to_string)
                .collect(),
            fingerprint: certificate.fingerprint(),
        }
    }
}
