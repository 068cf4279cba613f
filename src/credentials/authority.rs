//! Authorities that lie beside what they sign.

use jiff::Timestamp;
use std::path::PathBuf;

use super::error::CredentialError;
use super::places::Places;
use super::reading;
use crate::pki::{
    AuthorityId, Certificate, CertificateAuthority, PrivateKey, certificates_from_pem,
};

/// An authority that can sign now.
pub(super) struct Signer {
    pub(super) signing: CertificateAuthority,
    /// Every certificate of its file.
    pub(super) trusted: Vec<Certificate>,
}

fn unusable(path: PathBuf, reason: impl ToString) -> CredentialError {
    CredentialError::AuthorityUnusable {
        path,
        reason: reason.to_string(),
    }
}

/// The certificates of an authority's file; `None` where there is none.
pub(super) fn certificates(
    places: &Places,
    authority: AuthorityId,
) -> Result<Option<Vec<Certificate>>, CredentialError> {
    let path = places.authority(authority, "crt");
    let Some(text) = reading::find(places.root(), &path)? else {
        return Ok(None);
    };
    certificates_from_pem(&text)
        .map(Some)
        .map_err(|error| unusable(places.shown(&path), error))
}

/// The same where there has to be one, valid now and a CA's.
pub(super) fn trusted(
    places: &Places,
    authority: AuthorityId,
    now: Timestamp,
) -> Result<Vec<Certificate>, CredentialError> {
    let path = || places.shown(&places.authority(authority, "crt"));
    let certificates = certificates(places, authority)?.ok_or_else(|| {
        unusable(
            path(),
            "is not there; copy the authority's certificate there, or name its directory (csr: --ca-dir, kubeconfig: --cert-dir)",
        )
    })?;
    if !certificates
        .iter()
        .any(|certificate| certificate.is_ca && certificate.is_valid_at(now))
    {
        return Err(unusable(path(), "has no CA certificate that is valid now"));
    }
    Ok(certificates)
}

/// The private key of an authority; `None` where it is elsewhere.
pub(super) fn key(
    places: &Places,
    authority: AuthorityId,
) -> Result<Option<PrivateKey>, CredentialError> {
    let path = places.authority(authority, "key");
    let Some(text) = reading::find(places.root(), &path)? else {
        return Ok(None);
    };
    PrivateKey::from_pem(&text)
        .map(Some)
        .map_err(|error| unusable(places.shown(&path), error))
}

/// An authority with its key.
pub(super) fn signer(
    places: &Places,
    authority: AuthorityId,
    now: Timestamp,
) -> Result<Signer, CredentialError> {
    let trusted = trusted(places, authority, now)?;
    let key_path = || places.shown(&places.authority(authority, "key"));
    let key = key(places, authority)?.ok_or_else(|| {
        unusable(
            key_path(),
            "is not there, so nothing can be signed here; do it where the authority's key is",
        )
    })?;
    let signing = CertificateAuthority::valid_at(&trusted, key, now)
        .map_err(|error| unusable(key_path(), error))?;
    Ok(Signer { signing, trusted })
}
