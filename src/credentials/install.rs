//! Certificates that came back, put where their users look for them: beside their keys, or embedded in kubeconfigs.

use std::path::PathBuf;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::authority::trusted;
use super::check::{Allowed, leaf_of};
use super::error::CredentialError;
use super::file_set::{NewFile, Sets};
use super::member::Member;
use super::places::Places;
use super::reading;
use crate::issuer::accept_signed;
use crate::node::Waiting;
use crate::pki::{
    Certificate, CertificateRequest, PrivateKey, certificates_from_pem, certificates_to_pem,
};

/// What was found of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// Certificate and key lie beside each other and belong together.
    InPlace(Member, Timestamp),
    /// The certificate was embedded in the kubeconfig now.
    Embedded(Member, Timestamp),
    /// The kubeconfig has no key in it, so there is nothing to embed: its credentials are files, which the kubelet renews itself, or
    /// something else than a certificate.
    Skipped(Member),
    /// A key waits for its certificate: that is where it is expected.
    Waiting(Member, PathBuf),
}

/// Checks every certificate that is there against its key and its authority, and embeds those of kubeconfigs. Nothing is changed
/// unless all are sound.
///
/// # Errors
/// [`CredentialError`].
pub fn install(
    places: &Places,
    authorities: &Places,
    allowed: Allowed,
    now: Timestamp,
) -> Result<Vec<Installed>, CredentialError> {
    authorities.check()?;
    let sets = Sets::open_existing(places)?;
    let (mut installed, mut files, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for member in Member::all() {
        let one = One {
            places,
            authorities,
            member,
            allowed,
            now,
        };
        let found = if member.is_kubeconfig() {
            one.kubeconfig()
        } else {
            one.pair().map(|found| found.map(|found| (found, None)))
        };
        match found {
            Ok(Some((found, file))) => {
                installed.push(found);
                files.extend(file);
            }
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    CredentialError::of_all(errors)?;
    if installed.is_empty() {
        return Err(CredentialError::NothingThere(format!(
            "there are no keys of a control plane below {} and {}",
            places.shown(&places.certificates).display(),
            places.shown(&places.kubeconfigs).display()
        )));
    }
    sets.put(&files)?;
    Ok(installed)
}

struct One<'a> {
    places: &'a Places,
    authorities: &'a Places,
    member: Member,
    allowed: Allowed,
    now: Timestamp,
}

impl One<'_> {
    /// A certificate beside its key.
    fn pair(&self) -> Result<Option<Installed>, CredentialError> {
        let key_path = self.places.key(self.member);
        let Some(key) = reading::find(self.places.root(), &key_path)? else {
            return Ok(None);
        };
        let key = PrivateKey::from_pem(&key)
            .map_err(|error| self.refused(&key_path, error.to_string()))?;
        let path = self.places.certificate(self.member);
        let Some(text) = reading::find(self.places.root(), &path)? else {
            return Ok(Some(Installed::Waiting(
                self.member,
                self.places.shown(&path),
            )));
        };
        let chain = self.read(&path, &text)?;
        let end = self.check(&path, &chain, &key)?;
        Ok(Some(Installed::InPlace(self.member, end)))
    }

    /// A kubeconfig, with the certificate that waits beside it or is embedded already.
    fn kubeconfig(&self) -> Result<Option<(Installed, Option<NewFile>)>, CredentialError> {
        let path = self.places.key(self.member);
        let Some(file) = reading::find_all(self.places.root(), &path)? else {
            return Ok(None);
        };
        let old = &file.contents;
        let waiting = Waiting::parse(old.as_slice())
            .map_err(|error| self.refused(&path, error.to_string()))?;
        let beside = self.places.certificate(self.member);
        let text = reading::find(self.places.root(), &beside)?;
        let Some(key) = &waiting.key else {
            return match text {
                None => Ok(Some((Installed::Skipped(self.member), None))),
                Some(_) => Err(self.refused(
                    &beside,
                    format!(
                        "{} has no key in it that this could be for; move it away",
                        self.member
                    ),
                )),
            };
        };
        let key =
            PrivateKey::from_pem(key).map_err(|error| self.refused(&path, error.to_string()))?;
        let Some(text) = text else {
            return Ok(Some((self.embedded_already(&path, &waiting, &key)?, None)));
        };
        let chain = self.read(&beside, &text)?;
        let end = self.check(&beside, &chain, &key)?;
        let trusted = trusted(self.authorities, self.member.authority(), self.now)?;
        let pem = certificates_to_pem(&chain);
        let new = crate::node::Kubeconfig::embed_certificate(
            old.as_slice(),
            &pem,
            &certificates_to_pem(&trusted),
        )
        .map_err(|error| self.refused(&path, error.to_string()))?;
        if new.as_slice() == old.as_slice() {
            return Ok(Some((Installed::InPlace(self.member, end), None)));
        }
        let file = NewFile::over(path, new, file);
        Ok(Some((Installed::Embedded(self.member, end), Some(file))))
    }

    fn embedded_already(
        &self,
        path: &std::path::Path,
        waiting: &Waiting,
        key: &PrivateKey,
    ) -> Result<Installed, CredentialError> {
        let Some(certificate) = &waiting.certificate else {
            let expected = self.places.certificate(self.member);
            return Ok(Installed::Waiting(
                self.member,
                self.places.shown(&expected),
            ));
        };
        let chain = self.read(path, certificate)?;
        let end = self.check(path, &chain, key)?;
        Ok(Installed::InPlace(self.member, end))
    }

    fn read(
        &self,
        path: &std::path::Path,
        text: &Zeroizing<Vec<u8>>,
    ) -> Result<Vec<Certificate>, CredentialError> {
        certificates_from_pem(text).map_err(|error| self.refused(path, error.to_string()))
    }

    /// Whether the first certificate is this member's, for this key, and signed by the right authority: when it ends.
    fn check(
        &self,
        path: &std::path::Path,
        chain: &[Certificate],
        key: &PrivateKey,
    ) -> Result<Timestamp, CredentialError> {
        let trusted = trusted(self.authorities, self.member.authority(), self.now)?;
        let certificate = chain
            .first()
            .ok_or_else(|| self.refused(path, "holds no certificate".to_owned()))?;
        let mut leaf = leaf_of(self.member, certificate, self.allowed)
            .map_err(|reason| self.refused(path, reason))?;
        if let Some(request) = self.request(certificate)? {
            leaf.common_name = request.common_name.unwrap_or_default();
            leaf.organizations = request.organizations;
            leaf.subject_alt_names = request.subject_alt_names;
        }
        accept_signed(&leaf, chain, &key.public_key_der(), &trusted, self.now)
            .map_err(|error| self.refused(path, error.to_string()))?;
        Ok(certificate.not_after)
    }

    /// The request beside it, if it is the one for this certificate's key: that says which names its users need. One for another key
    /// is left from another time.
    fn request(
        &self,
        certificate: &Certificate,
    ) -> Result<Option<CertificateRequest>, CredentialError> {
        let path = self.places.request(self.member);
        let Some(text) = reading::find(self.places.root(), &path)? else {
            return Ok(None);
        };
        let request = CertificateRequest::from_pem(&text)
            .map_err(|error| self.refused(&path, error.to_string()))?;
        Ok(Some(request).filter(|request| request.is_of_key_of(certificate)))
    }

    fn refused(&self, path: &std::path::Path, reason: String) -> CredentialError {
        CredentialError::CredentialRefused {
            path: self.places.shown(path),
            reason,
        }
    }
}
