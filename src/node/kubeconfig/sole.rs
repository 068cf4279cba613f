//! A kubeconfig that leaves nothing to choose: one user with certificate and key in it, one cluster, one context.

use super::current::{Credential, Kubeconfig};
use super::error::KubeconfigError;
use super::written::Written;

/// Its context, if it has no other and all that this refers to is in the file.
pub(super) fn sole(written: &Written) -> Result<Kubeconfig, KubeconfigError> {
    let counts = [
        ("users", written.users.as_ref().map_or(0, Vec::len)),
        ("clusters", written.clusters.as_ref().map_or(0, Vec::len)),
        ("contexts", written.contexts.as_ref().map_or(0, Vec::len)),
    ];
    if let Some((what, count)) = counts.into_iter().find(|(_, count)| *count != 1) {
        return Err(KubeconfigError::Context(format!(
            "it has {count} {what}, and exactly one is wanted"
        )));
    }
    let user = written.users.iter().flatten().find_map(|one| one.value());
    if user.is_some_and(|user| {
        user.token.is_some() || user.token_file.is_some() || user.exec.is_some()
    }) {
        return Err(KubeconfigError::NoCertificate(
            "its user has other credentials besides a certificate".to_owned(),
        ));
    }
    let kubeconfig = Kubeconfig::of(written)?;
    let is_embedded = |one: &Credential| matches!(one, Credential::Embedded(_));
    if !is_embedded(&kubeconfig.certificate)
        || !is_embedded(&kubeconfig.key)
        || kubeconfig.certificate_authority_file.is_some()
    {
        return Err(KubeconfigError::NoCertificate(
            "it refers to other files, and what it has must be in it".to_owned(),
        ));
    }
    Ok(kubeconfig)
}
