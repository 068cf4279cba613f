//! Signing requests, as the script on kubeadm's page does, with each request checked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::authority::{Signer, signer};
use super::check::{Allowed, leaf_for};
use super::error::CredentialError;
use super::file_set::{NewFile, PUBLIC, Sets};
use super::member::Member;
use super::places::Places;
use super::reading;
use super::serial_file::Serials;
use crate::issuer::{Fresh, issue_fresh};
use crate::node::ControlPlane;
use crate::pki::{
    AuthorityId, Certificate, CertificateRequest, NewLeaf, certificates_from_pem,
    certificates_to_pem,
};

/// How requests are signed.
#[derive(Debug)]
pub struct SignOptions<'a> {
    /// Where the authorities are.
    pub authorities: &'a Places,
    /// How long the certificates are to be valid.
    pub validity: Duration,
    /// What the names have to follow from.
    pub control_plane: Option<&'a ControlPlane>,
    /// What is allowed besides.
    pub allowed: Allowed,
}

/// What was done with one request.
#[derive(Debug)]
pub struct Signed {
    /// Whose.
    pub member: Member,
    /// The certificate.
    pub certificate: Certificate,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was there already, for the same key.
    pub is_kept: bool,
}

/// Signs every request that has no certificate yet. All are checked before anything is written.
///
/// # Errors
/// [`CredentialError`].
pub fn sign(
    places: &Places,
    options: &SignOptions<'_>,
    now: Timestamp,
) -> Result<Vec<Signed>, CredentialError> {
    let sets = Sets::open_existing(places)?;
    let mut errors = Vec::new();
    let mut wanted = Vec::new();
    let mut signed = Vec::new();
    for member in Member::all() {
        match read(places, member, options) {
            Ok(Some(found)) => match kept(places, member, &found.request) {
                Ok(None) => wanted.push(found),
                Ok(Some(certificate)) => signed.push(Signed {
                    member,
                    certificate,
                    path: places.shown(&places.certificate(member)),
                    is_kept: true,
                }),
                Err(error) => errors.push(error),
            },
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    CredentialError::of_all(errors)?;
    if wanted.is_empty() && signed.is_empty() {
        return Err(CredentialError::NothingThere(format!(
            "there is no request below {} and {}; make them with `kubecertd csr generate`",
            places.shown(&places.certificates).display(),
            places.shown(&places.kubeconfigs).display()
        )));
    }
    signed.extend(sign_all(places, &sets, wanted, options, now)?);
    Ok(signed)
}

/// A request that was checked.
struct Wanted {
    member: Member,
    request: CertificateRequest,
    leaf: NewLeaf,
}

fn read(
    places: &Places,
    member: Member,
    options: &SignOptions<'_>,
) -> Result<Option<Wanted>, CredentialError> {
    let path = places.request(member);
    let Some(text) = reading::find(places.root(), &path)? else {
        return Ok(None);
    };
    let refused = |reason: String| CredentialError::RequestRefused {
        path: places.shown(&path),
        reason,
    };
    let request =
        CertificateRequest::from_pem(&text).map_err(|error| refused(error.to_string()))?;
    let leaf =
        leaf_for(member, &request, options.control_plane, options.allowed).map_err(refused)?;
    Ok(Some(Wanted {
        member,
        request,
        leaf,
    }))
}

/// The certificate that is there already for a request's key. One for another key is in the way.
fn kept(
    places: &Places,
    member: Member,
    request: &CertificateRequest,
) -> Result<Option<Certificate>, CredentialError> {
    let path = places.certificate(member);
    let Some(text) = reading::find(places.root(), &path)? else {
        return Ok(None);
    };
    let refused = |reason: String| CredentialError::CredentialRefused {
        path: places.shown(&path),
        reason,
    };
    let certificate = certificates_from_pem(&text)
        .map_err(|error| refused(error.to_string()))?
        .remove(0);
    if request.is_of_key_of(&certificate) {
        return Ok(Some(certificate));
    }
    Err(refused(
        "is a certificate for another key than the request's; move it away if the request is the one that counts".to_owned(),
    ))
}

fn sign_all(
    places: &Places,
    sets: &Sets<'_>,
    wanted: Vec<Wanted>,
    options: &SignOptions<'_>,
    now: Timestamp,
) -> Result<Vec<Signed>, CredentialError> {
    let mut authorities: BTreeMap<AuthorityId, (Signer, Serials)> = BTreeMap::new();
    for id in wanted.iter().map(|wanted| wanted.member.authority()) {
        if let Entry::Vacant(place) = authorities.entry(id) {
            let signer = signer(options.authorities, id, now)?;
            let serials = Serials::open(options.authorities, id)?;
            place.insert((signer, serials));
        }
    }
    let (mut signed, mut files) = (Vec::new(), Vec::new());
    for Wanted {
        member,
        request,
        leaf,
    } in wanted
    {
        let Some((signer, serials)) = authorities.get_mut(&member.authority()) else {
            continue;
        };
        let serial = serials.take()?;
        let fresh = Fresh {
            leaf: &leaf,
            public_key: &request.public_key_der,
            subject: Some(&request.subject_der),
            serial: Some(&serial),
            validity: options.validity,
        };
        let certificate =
            issue_fresh(&fresh, &signer.signing, &signer.trusted, now).map_err(|error| {
                CredentialError::RequestRefused {
                    path: places.shown(&places.request(member)),
                    reason: error.to_string(),
                }
            })?;
        let path = places.certificate(member);
        let pem = certificates_to_pem([&certificate]);
        files.push(NewFile::new(path.clone(), pem, PUBLIC));
        signed.push(Signed {
            member,
            certificate,
            path: places.shown(&path),
            is_kept: false,
        });
    }
    for (_, serials) in authorities.values() {
        serials.keep()?;
    }
    sets.put(&files)?;
    Ok(signed)
}
