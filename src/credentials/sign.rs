//! Signing requests, as the script on kubeadm's page does, with each request checked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::authority::{Signer, signer, trusted};
use super::check::{Allowed, leaf_for};
use super::error::CredentialError;
use super::file_set::{NewFile, PUBLIC, Sets};
use super::member::Member;
use super::places::Places;
use super::reading::{self, Relied};
use super::serial_file::Serials;
use crate::issuer::{Fresh, accept_signed, issue_fresh};
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
    /// Whose requests are signed; those of others are not looked at.
    pub members: &'a [Member],
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
    /// Whether it was there already, for the same key, and is sound.
    pub is_kept: bool,
    /// Why one that was there already did not do.
    pub again: Option<String>,
}

/// Signs every request that has no certificate yet, or one that is of no use. All are checked before anything is written.
///
/// # Errors
/// [`CredentialError`].
pub fn sign(
    places: &Places,
    options: &SignOptions<'_>,
    now: Timestamp,
) -> Result<Vec<Signed>, CredentialError> {
    options.authorities.check()?;
    let sets = Sets::open_existing(places)?;
    let mut errors = Vec::new();
    let mut wanted = Vec::new();
    let mut signed = Vec::new();
    for member in options.members.iter().copied() {
        match read(places, member, options) {
            Ok(Some(found)) => match there(places, &found, options, now) {
                Ok(There::Nothing) => wanted.push((found, None)),
                Ok(There::Sound(certificate)) => signed.push(Signed {
                    member,
                    certificate: *certificate,
                    path: places.shown(&places.certificate(member)),
                    is_kept: true,
                    again: None,
                }),
                Ok(There::Unsound(old, reason)) => wanted.push((found, Some((old, reason)))),
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

/// What is there already for a request's key.
enum There {
    Nothing,
    /// One that this authority gave for this request, and that is valid now.
    Sound(Box<Certificate>),
    /// One that is not, and why.
    Unsound(Relied, String),
}

/// A certificate for another key is in the way.
fn there(
    places: &Places,
    wanted: &Wanted,
    options: &SignOptions<'_>,
    now: Timestamp,
) -> Result<There, CredentialError> {
    let path = places.certificate(wanted.member);
    let Some(file) = reading::find_all(places.root(), &path)? else {
        return Ok(There::Nothing);
    };
    let refused = |reason: String| CredentialError::CredentialRefused {
        path: places.shown(&path),
        reason,
    };
    let mut chain =
        certificates_from_pem(&file.contents).map_err(|error| refused(error.to_string()))?;
    let request = &wanted.request;
    if !chain
        .first()
        .is_some_and(|first| request.is_of_key_of(first))
    {
        return Err(refused(
            "is a certificate for another key than the request's; move it away if the request is the one that counts".to_owned(),
        ));
    }
    let trusted = trusted(options.authorities, wanted.member.authority(), now)?;
    let key = &request.public_key_der;
    Ok(
        match accept_signed(&wanted.leaf, &chain, key, &trusted, now) {
            Ok(()) => There::Sound(Box::new(chain.remove(0))),
            Err(error) => There::Unsound(file, error.to_string()),
        },
    )
}

fn sign_all(
    places: &Places,
    sets: &Sets<'_>,
    wanted: Vec<(Wanted, Option<(Relied, String)>)>,
    options: &SignOptions<'_>,
    now: Timestamp,
) -> Result<Vec<Signed>, CredentialError> {
    let mut authorities: BTreeMap<AuthorityId, (Signer, Serials)> = BTreeMap::new();
    for id in wanted.iter().map(|(wanted, _)| wanted.member.authority()) {
        if let Entry::Vacant(place) = authorities.entry(id) {
            let signer = signer(options.authorities, id, now)?;
            let serials = Serials::open(sets, options.authorities, id)?;
            place.insert((signer, serials));
        }
    }
    let (mut signed, mut files) = (Vec::new(), Vec::new());
    for (wanted, old) in wanted {
        let Wanted {
            member,
            request,
            leaf,
        } = wanted;
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
        let (old, again) = old.unzip();
        files.push(match old {
            Some(old) => NewFile::over(path.clone(), pem, old),
            None => NewFile::new(path.clone(), pem, PUBLIC),
        });
        signed.push(Signed {
            member,
            certificate,
            path: places.shown(&path),
            is_kept: false,
            again,
        });
    }
    for (_, serials) in authorities.values() {
        serials.keep()?;
    }
    sets.put(&files)?;
    Ok(signed)
}
