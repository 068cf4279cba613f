//! Removing what was only needed to have certificates signed.

use std::path::PathBuf;

use super::error::CredentialError;
use super::file_set::Sets;
use super::member::Member;
use super::places::Places;
use super::reading;
use crate::host::durable;
use crate::node::{Credential, Kubeconfig};
use crate::pki::{Certificate, CertificateRequest, certificates_from_pem};

/// What was removed, and what was not and why.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Files that are gone.
    pub removed: Vec<PathBuf>,
    /// Files that stay, and why.
    pub kept: Vec<(PathBuf, String)>,
}

/// Removes the requests whose certificates are in place and the certificates that are embedded in their kubeconfigs; of requests
/// without a certificate only with `unsigned`. Whatever else is there stays.
///
/// # Errors
/// [`CredentialError`].
pub fn clean(places: &Places, unsigned: bool) -> Result<Cleaned, CredentialError> {
    let _sets = Sets::open_existing(places)?;
    let mut cleaned = Cleaned::default();
    let mut doomed = Vec::new();
    for member in Member::all() {
        let in_place = in_place(places, member)?;
        judge_request(
            places,
            member,
            in_place.as_ref(),
            unsigned,
            &mut cleaned,
            &mut doomed,
        )?;
        if member.is_kubeconfig() {
            judge_certificate(places, member, in_place.as_ref(), &mut cleaned, &mut doomed)?;
        }
    }
    for path in doomed {
        durable::remove_if_there(&path)?;
        if let Some(directory) = path.parent() {
            durable::sync_directory(directory)?;
        }
        cleaned.removed.push(places.shown(&path));
    }
    Ok(cleaned)
}

/// The certificate that is where its users look for it.
fn in_place(places: &Places, member: Member) -> Result<Option<Certificate>, CredentialError> {
    let path = if member.is_kubeconfig() {
        places.key(member)
    } else {
        places.certificate(member)
    };
    let Some(contents) = reading::find(places.root(), &path)? else {
        return Ok(None);
    };
    let pem = if member.is_kubeconfig() {
        match Kubeconfig::parse(contents.as_slice()).map(|kubeconfig| kubeconfig.certificate) {
            Ok(Credential::Embedded(pem)) => pem,
            Ok(Credential::File(_)) | Err(_) => return Ok(None),
        }
    } else {
        contents
    };
    // One that cannot be read is none.
    Ok(certificates_from_pem(&pem)
        .ok()
        .and_then(|certificates| certificates.into_iter().next()))
}

fn judge_request(
    places: &Places,
    member: Member,
    in_place: Option<&Certificate>,
    unsigned: bool,
    cleaned: &mut Cleaned,
    doomed: &mut Vec<PathBuf>,
) -> Result<(), CredentialError> {
    let path = places.request(member);
    let Some(text) = reading::find(places.root(), &path)? else {
        return Ok(());
    };
    let mut keep = |reason: String| cleaned.kept.push((places.shown(&path), reason));
    match CertificateRequest::from_pem(&text) {
        Err(error) => keep(format!("is no request ({error})")),
        Ok(request) => {
            let is_signed = in_place.is_some_and(|certificate| request.is_of_key_of(certificate));
            if is_signed || unsigned {
                doomed.push(path);
            } else {
                keep(
                    "has no certificate in place yet; give --unsigned to remove it all the same"
                        .to_owned(),
                );
            }
        }
    }
    Ok(())
}

fn judge_certificate(
    places: &Places,
    member: Member,
    in_place: Option<&Certificate>,
    cleaned: &mut Cleaned,
    doomed: &mut Vec<PathBuf>,
) -> Result<(), CredentialError> {
    let path = places.certificate(member);
    let Some(text) = reading::find(places.root(), &path)? else {
        return Ok(());
    };
    let waiting = certificates_from_pem(&text).ok();
    let first = waiting
        .as_ref()
        .and_then(|certificates| certificates.first());
    if first.is_some() && first == in_place {
        doomed.push(path);
    } else {
        cleaned.kept.push((
            places.shown(&path),
            format!("is not embedded in {member}; run `kubecertd csr install` first"),
        ));
    }
    Ok(())
}
