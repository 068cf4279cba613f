//! A certificate as a receipt names it.

use crate::host::hexadecimal;
use crate::pki::{Certificate, SubjectAltName};

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
            names: certificate.subject_alt_names.iter().map(name).collect(),
            fingerprint: certificate.fingerprint(),
        }
    }
}

fn name(name: &SubjectAltName) -> String {
    match name {
        SubjectAltName::Dns(name) => format!("DNS:{name}"),
        SubjectAltName::Ip(address) => format!("IP:{address}"),
        SubjectAltName::Email(name) => format!("email:{name}"),
        SubjectAltName::Uri(name) => format!("URI:{name}"),
        SubjectAltName::Other(der) => format!("other:{}", hexadecimal(der)),
    }
}
