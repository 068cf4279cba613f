//! The key pair that signs tokens of service accounts.

use super::outcome::Initialised;
use super::setting::Setting;
use crate::credentials::error::CredentialError;
use crate::credentials::file_set::{NewFile, SECRET};
use crate::credentials::reading;
use crate::pki::{PrivateKey, is_public_key, public_key_to_pem};

const NAME: &str = "sa";

/// The pair that is there, or a new one. A public key that is missing is made again from the private one.
pub(super) fn find_or_make(
    setting: &Setting<'_>,
) -> Result<(Initialised, Vec<NewFile>), CredentialError> {
    let places = setting.places;
    let [key_path, public_path] = ["sa.key", "sa.pub"].map(|name| places.certificates.join(name));
    let refused = |path: &std::path::Path, reason: String| CredentialError::CredentialRefused {
        path: places.shown(path),
        reason,
    };
    let key = reading::find(places.root(), &key_path)?;
    let public = reading::find(places.root(), &public_path)?;
    let (key, is_kept) = match &key {
        Some(text) => {
            let key = PrivateKey::from_pem(text)
                .map_err(|error| refused(&key_path, error.to_string()))?;
            (key, true)
        }
        None if public.is_some() => {
            return Err(refused(
                &public_path,
                "is there without its private key sa.key; put that back, or move this away"
                    .to_owned(),
            ));
        }
        None => {
            let key =
                PrivateKey::generate(setting.control_plane.key_algorithm).map_err(|error| {
                    CredentialError::CredentialNotSigned {
                        name: NAME.to_owned(),
                        source: error.into(),
                    }
                })?;
            (key, false)
        }
    };
    let mut files = Vec::new();
    let mut differences = Vec::new();
    if !is_kept {
        let pem = key
            .to_pem()
            .map_err(|error| refused(&key_path, error.to_string()))?;
        files.push(NewFile::new(key_path, pem.as_bytes(), SECRET));
    }
    match public {
        Some(text) if is_public_key(&text, &key.public_key_der()) => {}
        Some(_) => {
            return Err(refused(
                &public_path,
                "does not belong to sa.key, so no token would be accepted; put the right one there"
                    .to_owned(),
            ));
        }
        None => {
            if is_kept {
                differences.push("sa.pub was missing and was made again from sa.key".to_owned());
            }
            let pem = public_key_to_pem(&key.public_key_der());
            files.push(NewFile::new(public_path, pem, SECRET));
        }
    }
    let initialised = Initialised {
        name: NAME.to_owned(),
        is_kept,
        end: None,
        differences,
    };
    Ok((initialised, files))
}
