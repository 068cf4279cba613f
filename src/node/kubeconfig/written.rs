//! A kubeconfig as it is written: everything optional, everything unknown left alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;
use zeroize::{Zeroize as _, Zeroizing};

use super::error::KubeconfigError;
use crate::node::yaml;

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Written {
    pub(super) current_context: Option<String>,
    #[serde(default)]
    pub(super) contexts: Option<Vec<Named<Context>>>,
    #[serde(default)]
    pub(super) clusters: Option<Vec<Named<Cluster>>>,
    #[serde(default)]
    pub(super) users: Option<Vec<Named<User>>>,
}

/// An entry of one of the three lists; the value's key is the list's name in the singular.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Named<T> {
    name: Option<String>,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    value: Option<T>,
}

#[derive(Deserialize)]
pub(super) struct Context {
    pub(super) cluster: Option<String>,
    pub(super) user: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: Option<Spanned<String>>,
    pub(super) tls_server_name: Option<String>,
    pub(super) certificate_authority: Option<String>,
    pub(super) certificate_authority_data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) client_certificate: Option<String>,
    pub(super) client_certificate_data: Option<Data>,
    pub(super) client_key: Option<String>,
    pub(super) client_key_data: Option<Data>,
    pub(super) token: Option<Secret>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<String>,
    pub(super) exec: Option<serde::de::IgnoredAny>,
}

/// A base64 field, with where it is in the text. Wiped when dropped.
pub(super) struct Data {
    pub(super) spanned: Spanned<String>,
}

/// A value that is only known to be there.
#[derive(Debug)]
pub(super) struct Secret;

impl Written {
    pub(super) fn parse(text: &str) -> Result<Self, KubeconfigError> {
        if text.trim().is_empty() {
            return Err(KubeconfigError::Syntax(
                "the file is empty; restore it from a backup or make it again with \
                 `kubeadm init phase kubeconfig`"
                    .to_owned(),
            ));
        }
        let written: Option<Self> = yaml::read(text).map_err(KubeconfigError::Syntax)?;
        written.ok_or_else(|| {
            KubeconfigError::Syntax(
                "its first document is empty, and kubectl reads no other".to_owned(),
            )
        })
    }
}

impl<T> Named<T> {
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub(super) fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl std::ops::Deref for Data {
    type Target = str;

    fn deref(&self) -> &str {
        &self.spanned.value
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        self.spanned.value.zeroize();
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(|spanned| Self { spanned })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Zeroizing::new(String::deserialize(deserializer)?).zeroize();
        Ok(Self)
    }
}

/// Decodes a data field as Go does: standard alphabet with padding, line breaks skipped.
///
/// # Errors
/// What is wrong, without the value.
pub(super) fn decode(data: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut joined = Zeroizing::new(String::with_capacity(data.len()));
    joined.extend(data.chars().filter(|letter| !matches!(letter, '\r' | '\n')));
    STANDARD
        .decode(joined.as_bytes())
        .map(Zeroizing::new)
        // Not the crate's own message: it shows a byte of what may be a key.
        .map_err(|_| "damaged base64; restore the file from a backup".to_owned())
}
