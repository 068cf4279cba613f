//! A kubeconfig: the credentials of its current context, and putting new ones in place of the old.

mod anchors;
mod current;
mod edit;
mod embed;
mod error;
mod refer;
mod sole;
#[cfg(test)]
mod tests;
mod trust;
mod users;
mod waiting;
mod written;

use zeroize::Zeroizing;

use super::encoding::Text;
use written::Written;

pub use current::{Credential, Kubeconfig};
pub use error::KubeconfigError;
pub use users::EmbeddedUser;
pub use waiting::Waiting;

impl Kubeconfig {
    /// Reads one that leaves nothing to choose: one user, one cluster and one context, certificate and key in the file itself.
    ///
    /// # Errors
    /// [`KubeconfigError`], also of any other.
    pub fn parse_sole(contents: impl AsRef<[u8]>) -> Result<Self, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        sole::sole(&Written::parse(&text.text)?)
    }

    /// The contents with the current user's embedded client certificate and key replaced (data fields only) and not one
    /// other byte changed: comments, order, other contexts, unknown fields and the CA bundle stay. The result is read
    /// back and compared.
    ///
    /// # Errors
    /// [`KubeconfigError::Edit`] when the fields are not plain embedded values, or the comparison fails.
    pub fn replace_credentials(
        contents: impl AsRef<[u8]>,
        certificate_pem: &str,
        key_pem: &str,
    ) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        let edited = edit::replace_credentials(&text.text, certificate_pem, key_pem)?;
        Ok(text.encode(&edited))
    }

    /// The contents with more certificates (PEM) behind those that the current cluster's `certificate-authority-data` has, and not
    /// one other byte changed. The result is read back and compared.
    ///
    /// # Errors
    /// [`KubeconfigError::Edit`] when the field is not a plain embedded value, or the comparison fails.
    pub fn trust(
        contents: impl AsRef<[u8]>,
        certificates_pem: &str,
    ) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        let edited = trust::add(&text.text, certificates_pem)?;
        Ok(text.encode(&edited))
    }

    /// The contents with these certificates (PEM) in the place of the current cluster's `certificate-authority-data`, and not one other
    /// byte changed. The result is read back and compared.
    ///
    /// # Errors
    /// [`KubeconfigError::Edit`] when the field is not a plain embedded value, or the comparison fails.
    pub fn replace_trust(
        contents: impl AsRef<[u8]>,
        certificates_pem: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        let edited = trust::replace(&text.text, certificates_pem)?;
        Ok(text.encode(&edited))
    }

    /// The contents with the current user's embedded client certificate and key replaced by references to a file that holds
    /// both, and not one other byte changed. The result is read back and compared.
    ///
    /// # Errors
    /// [`KubeconfigError::Edit`] when the fields are not plain embedded values, or the comparison fails.
    pub fn refer_to(
        contents: impl AsRef<[u8]>,
        file: &std::path::Path,
    ) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        let edited = refer::refer_to(&text.text, file)?;
        Ok(text.encode(&edited))
    }

    /// The contents with a client certificate beside the current user's embedded key, and with authorities for the current
    /// cluster where it has none; not one other byte is changed. The result is read back and compared.
    ///
    /// # Errors
    /// [`KubeconfigError::Edit`] when the fields are not plain embedded values, or the comparison fails.
    pub fn embed_certificate(
        contents: impl AsRef<[u8]>,
        certificate_pem: &str,
        authorities_pem: &str,
    ) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        let edited = embed::embed(&text.text, certificate_pem, authorities_pem)?;
        Ok(text.encode(&edited))
    }

    /// All users whose certificate and key are embedded, of whatever context.
    ///
    /// # Errors
    /// [`KubeconfigError`] of a file that is none. Entries in which something is wrong are left out.
    pub fn embedded_users(
        contents: impl AsRef<[u8]>,
    ) -> Result<Vec<EmbeddedUser>, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        users::embedded(&Written::parse(&text.text)?)
    }

    /// As [`Kubeconfig::replace_credentials`], in the entries of these users.
    ///
    /// # Errors
    /// [`KubeconfigError`], also where two entries have the name of one of them.
    pub fn replace_credentials_of(
        contents: impl AsRef<[u8]>,
        names: &[&str],
        certificate_pem: &str,
        key_pem: &str,
    ) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
        let text = Text::decode(contents.as_ref()).map_err(KubeconfigError::not_text)?;
        let written = Written::parse(&text.text)?;
        let entries = users::of_names(&written, names)?;
        let edited = edit::replace_in(&text.text, &entries, certificate_pem, key_pem)?;
        Ok(text.encode(&edited))
    }

    /// As [`Kubeconfig::parse`], with why its certificate and key could not be replaced, which is found by trying.
    ///
    /// # Errors
    /// [`KubeconfigError`].
    pub fn parse_to_replace(
        contents: impl AsRef<[u8]>,
    ) -> Result<(Self, Option<String>), KubeconfigError> {
        let text = Text::decode(contents.as_ref())
            .map_err(KubeconfigError::not_text)?
            .text;
        let written = Written::parse(&text)?;
        let kubeconfig = Self::of(&written)?;
        let why_not = match (&kubeconfig.certificate, &kubeconfig.key) {
            (Credential::File(_), Credential::File(_)) => None,
            (Credential::Embedded(_), Credential::Embedded(_)) => {
                // What is put in does not matter, as long as it differs from what is there.
                let tried = edit::replace_written(&text, &written, "certificate", "key");
                tried.err().map(|error| error.to_string())
            }
            _ => Some(ONE_OF_EACH.to_owned()),
        };
        Ok((kubeconfig, why_not))
    }
}

/// Of a kubeconfig with one credential embedded and the other in a file.
pub const ONE_OF_EACH: &str =
    "of certificate and key one is embedded and the other in a file; put both in the same way";
