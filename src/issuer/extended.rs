//! A CA's certificate made anew for the key that it has, and the files that hold the old one.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::authorities::{Authorities, ReadKey};
use super::error::IssuanceError;
use super::files::{Given, Replacement};
use super::kubeconfig::read;
use super::order::valid_from;
use crate::node::{CertificateId, Inventory, Kubeconfig};
use crate::pki::{AuthorityId, Certificate, SignedBy, extend, is_of_one_authority, with_successor};
use crate::plan::{AuthorityPlace, Extension};

/// A CA and the certificate that is to be in all its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedAuthority {
    /// Which.
    pub name: AuthorityId,
    /// The one before.
    pub old: Certificate,
    /// That certificate: a new one, or the present one where only some places have an older one.
    pub new: Certificate,
}

/// The certificate of an authority that its key belongs to, and that key's file, which is read for it.
///
/// # Errors
/// [`IssuanceError::Authority`].
pub fn load_signing(
    inventory: &Inventory,
    name: AuthorityId,
    now: Timestamp,
) -> Result<Vec<ReadKey>, IssuanceError> {
    let authorities = Authorities::load_one(inventory, name, now);
    authorities.loaded(name)?;
    Ok(authorities.keys)
}

/// Makes the new certificate, and looks whether everything on this node that the old one vouches for is vouched for by the new one.
///
/// # Errors
/// [`IssuanceError`].
pub fn extend_authority(
    inventory: &Inventory,
    extension: &Extension,
    validity: Duration,
    now: Timestamp,
) -> Result<ExtendedAuthority, IssuanceError> {
    let (name, old) = (extension.authority, &extension.present);
    let id = CertificateId::of_authority(name);
    let authorities = Authorities::load_one(inventory, name, now);
    let signing = &authorities.loaded(name)?.signing;
    if signing.certificate() != old {
        return Err(IssuanceError::NotRenewable {
            id,
            reason: "its files were changed meanwhile; try again".to_owned(),
        });
    }
    let new =
        extend(signing, valid_from(now, validity)).map_err(|source| IssuanceError::Issue {
            id: id.clone(),
            source,
        })?;
    let lost = |signed: &Certificate| {
        signed.signed_by(old) != SignedBy::No && signed.signed_by(&new) == SignedBy::No
    };
    let entries = inventory.entries.iter();
    let lost: Vec<&str> = entries
        .filter(|entry| {
            entry
                .present()
                .is_some_and(|present| lost(&present.leaf) || present.chain.iter().any(lost))
        })
        .map(|entry| entry.id.as_str())
        .collect();
    if !is_of_one_authority(old, &new) || !new.is_self_signed() || !lost.is_empty() {
        return Err(IssuanceError::NotRenewable {
            id,
            reason: format!(
                "its new certificate would not vouch for what the present one does: {}",
                lost.join(", ")
            ),
        });
    }
    Ok(ExtendedAuthority {
        name,
        old: old.clone(),
        new,
    })
}

/// The new contents of all places that hold another certificate of these authorities; a file that holds several of them is there once.
///
/// # Errors
/// [`IssuanceError`]: a file cannot be read, or not be edited in place.
pub fn successor_files(
    inventory: &Inventory,
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
) -> Result<Vec<Replacement>, IssuanceError> {
    let mut files: Vec<Replacement> = Vec::new();
    for (authority, places) in extended {
        let id = CertificateId::of_authority(authority.name);
        for place in places {
            let edit = |reason: String| IssuanceError::Edit {
                id: id.clone(),
                path: place.path.clone(),
                reason,
            };
            let real = inventory.real(&place.path);
            let known = files
                .iter_mut()
                .find(|file| inventory.real(&file.path) == real);
            if let Some(known) = known {
                let again = with_authority(&known.contents, &authority.new).map_err(edit)?;
                known.contents = again.unwrap_or_else(|| known.contents.clone());
                continue;
            }
            let present = read(real).map_err(edit)?;
            if let Some(contents) = with_authority(&present, &authority.new).map_err(edit)? {
                files.push(replacement(&id, &place.path, contents));
            }
        }
    }
    Ok(files)
}

fn replacement(id: &CertificateId, path: &Path, contents: Zeroizing<Vec<u8>>) -> Replacement {
    Replacement {
        id: id.clone(),
        path: path.to_owned(),
        contents,
        // It is there: its mode stays.
        mode_if_new: super::files::SECRET,
        given: Given::default(),
    }
}

/// A file's contents with that certificate in the place of others of the same CA, in a kubeconfig among those that its user trusts;
/// `None` where it is so already, or holds none of that CA's.
///
/// # Errors
/// Why it cannot be edited.
pub fn with_authority(
    contents: &[u8],
    new: &Certificate,
) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let Ok(kubeconfig) = Kubeconfig::parse(contents) else {
        let edited = with_successor(contents, new).map_err(|error| error.to_string())?;
        return Ok(edited.map(Zeroizing::new));
    };
    let Some(bundle) = kubeconfig.certificate_authority else {
        return Ok(None);
    };
    let edited = with_successor(&bundle, new).map_err(|error| error.to_string())?;
    let Some(edited) = edited else {
        return Ok(None);
    };
    Kubeconfig::replace_trust(contents, &edited)
        .map(Some)
        .map_err(|error| error.to_string())
}
