//! All users of a kubeconfig, whether a context leads to them or not.

use zeroize::Zeroizing;

use super::error::KubeconfigError;
use super::written::{User, Written, decode};

/// More than an embedded certificate with its chain has, and a key: bytes.
const LONGEST: usize = 64 << 10;

/// A user with embedded credentials, decoded; wiped when dropped.
pub struct EmbeddedUser {
    /// What the entry is called.
    pub name: String,
    /// PEM, as far as anybody knows.
    pub certificate: Zeroizing<Vec<u8>>,
    /// The same of the key.
    pub key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for EmbeddedUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EmbeddedUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Those with both a certificate and a key.
pub(super) fn embedded(written: &Written) -> Result<Vec<EmbeddedUser>, KubeconfigError> {
    let entries = written.users.iter().flatten();
    let users = entries.filter_map(|entry| {
        let user = entry.value()?;
        Some(EmbeddedUser {
            name: entry.name().to_owned(),
            certificate: decoded(user.client_certificate_data.as_deref())?,
            key: decoded(user.client_key_data.as_deref())?,
        })
    });
    Ok(users.collect())
}

fn decoded(data: Option<&str>) -> Option<Zeroizing<Vec<u8>>> {
    let data = data.filter(|data| !data.is_empty() && data.len() <= LONGEST)?;
    decode(data).ok()
}

/// The entries of these names.
pub(super) fn of_names<'w>(
    written: &'w Written,
    names: &[&'w str],
) -> Result<Vec<(&'w str, &'w User)>, KubeconfigError> {
    let entry = |name: &'w str| {
        let mut found = written
            .users
            .iter()
            .flatten()
            .filter(|one| one.name() == name);
        let first = found.next().and_then(|entry| entry.value());
        if found.next().is_some() {
            return Err(KubeconfigError::Duplicate(format!(
                "two users are called {name:?}, so which one counts cannot be told; remove one of them"
            )));
        }
        let user = first
            .ok_or_else(|| KubeconfigError::NoCertificate(format!("the user {name:?} is empty")))?;
        Ok((name, user))
    };
    names.iter().map(|name| entry(name)).collect()
}
