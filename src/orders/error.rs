//! Why an open request cannot be kept or used.

use std::path::PathBuf;

use crate::host::FileError;
use crate::issuer::IssuanceError;
use crate::node::CertificateId;

/// Why an open request cannot be kept or used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum OrderError {
    /// A file of it could not be read or written.
    #[error(transparent)]
    #[strum(serialize = "order-file")]
    File(#[from] FileError),
    /// What is kept of it cannot be relied on.
    #[error("{}: {reason}; run `kubecertd orders cancel {certificate}` for a new request", path.display())]
    #[strum(serialize = "order-unusable")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
        /// The certificate that it asks for.
        certificate: CertificateId,
    },
    /// It could not be made.
    #[error(transparent)]
    #[strum(serialize = "order-not-made")]
    NotMade(#[from] IssuanceError),
}

impl OrderError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotMade(error) => error.code(),
            other => other.into(),
        }
    }
}
