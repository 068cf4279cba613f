//! The serving certificate that a kubelet made itself, anew: of the cluster's CA, so that whoever verifies kubelets by that can, or
//! else as the kubelet makes it.

use jiff::Timestamp;

use super::accept::accept_fresh;
use super::authorities::Authorities;
use super::error::IssuanceError;
use super::order::{Issued, valid_from};
use crate::config::Renewal;
use crate::node::Inventory;
use crate::pki::{
    AuthorityId, Certificate, CertificateAuthority, IssueError, NewAuthority, NewLeaf, PrivateKey,
};
use crate::plan::ServingNeed;

/// Whose certificates say so (kubelet-serving signer: O exactly `system:nodes`, CN `system:node:NAME`).
const NODES: &str = "system:nodes";

/// Makes it, with a new key and the names of the old one.
///
/// # Errors
/// [`IssuanceError`].
pub fn kubelet_serving(
    inventory: &Inventory,
    renewal: &Renewal,
    need: &ServingNeed,
    now: Timestamp,
) -> Result<Option<Issued>, IssuanceError> {
    let id = match need {
        ServingNeed::Nothing => return Ok(None),
        ServingNeed::Signed { id, .. } | ServingNeed::SignedForOnce { id } => id,
    };
    let not_there = || IssuanceError::NotRenewable {
        id: id.clone(),
        reason: "it is not there any more".to_owned(),
    };
    let failed = |source: IssueError| IssuanceError::Issue {
        id: id.clone(),
        source,
    };
    let entry = inventory.entry(id).ok_or_else(not_there)?;
    let old = &entry.present().ok_or_else(not_there)?.leaf;
    let own = renewal.of(id.as_str());
    let algorithm = own.key_algorithm.after(&old.key_kind());
    let key = PrivateKey::generate(algorithm).map_err(|error| failed(error.into()))?;
    let validity = valid_from(now, own.validity);
    let leaf = |common_name: String, organizations| NewLeaf {
        common_name,
        organizations,
        subject_alt_names: old.subject_alt_names.clone(),
        server_auth: true,
        client_auth: false,
    };
    let issue = |leaf: &NewLeaf, by: &CertificateAuthority, trusted: &[Certificate]| {
        let new = leaf.sign(&key, by, validity).map_err(failed)?;
        accept_fresh(leaf, &new, &key.public_key_der(), trusted, now).map_err(|source| {
            IssuanceError::Check {
                id: id.clone(),
                source,
            }
        })?;
        Ok(new)
    };
    let (certificate, chain, signer) = match need {
        ServingNeed::Signed { node, .. } => {
            let authorities = Authorities::load_one(inventory, AuthorityId::Kubernetes, now);
            let authority = authorities.loaded(AuthorityId::Kubernetes)?;
            let leaf = leaf(format!("system:node:{node}"), vec![NODES.to_owned()]);
            let certificate = issue(&leaf, &authority.signing, &authority.trusted)?;
            let signer = authority.signing.certificate().clone();
            (certificate, Vec::new(), signer)
        }
        ServingNeed::SignedForOnce { .. } | ServingNeed::Nothing => {
            let (host, made) = (host(old), now.as_second());
            let authority = CertificateAuthority::generate(&NewAuthority {
                common_name: format!("{host}-ca@{made}"),
                algorithm,
                not_before: validity.not_before,
                not_after: validity.not_after,
            })
            .map_err(failed)?;
            let signer = authority.certificate().clone();
            let trusted = std::slice::from_ref(&signer);
            let leaf = leaf(format!("{host}@{made}"), Vec::new());
            let certificate = issue(&leaf, &authority, trusted)?;
            (certificate, vec![signer.clone()], signer)
        }
    };
    Ok(Some(Issued {
        id: id.clone(),
        old: old.clone(),
        certificate,
        chain,
        key,
        signer,
        made: now,
    }))
}

/// The kubelet calls its own `HOST@SECONDS`, by `HOST-ca@SECONDS` (client-go, util/cert).
fn host(old: &Certificate) -> &str {
    let name = old.common_name.as_deref().unwrap_or_default();
    let name = name.strip_prefix("system:node:").unwrap_or(name);
    name.split('@').next().unwrap_or_default()
}
