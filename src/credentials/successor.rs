//! Requests for successors of the certificates that a node has.

use super::error::CredentialError;
use super::file_set::Sets;
use super::generate::{check_free, not_made, pair};
use super::kubeconfig::{NewCredential, NewKubeconfig};
use super::member::Member;
use super::places::Places;
use crate::host::{on_all_cores, read_bounded};
use crate::node::{CertificateId, Inventory, Kubeconfig};
use crate::pki::{
    Catalogued, Certificate, IssueError, KeyAlgorithm, PrivateKey, request_successor,
};
use zeroize::Zeroizing;

/// Makes a new key and a request for each of `members` that the node has, with subject, names and usages of the certificate
/// that is there; `algorithm` says of what kind the key is. Kubeconfigs are copies of the node's with the new key and without
/// a certificate. Gives what was made, and what is not there.
///
/// # Errors
/// [`CredentialError`].
pub fn generate_successors(
    places: &Places,
    inventory: &Inventory,
    members: &[Member],
    algorithm: impl Fn(&CertificateId, &Certificate) -> KeyAlgorithm + Sync,
) -> Result<(Vec<Member>, Vec<Member>), CredentialError> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for member in members {
        let id = id_of(*member);
        match inventory
            .entry(&id)
            .and_then(|entry| Some((entry, entry.present()?)))
        {
            // The kubelet makes successors of what it keeps in its own files.
            Some((entry, present))
                if *member != Member::Kubelet || entry.path == entry.certificate_path =>
            {
                found.push((*member, entry, &present.leaf));
            }
            Some(_) | None => missing.push(*member),
        }
    }
    let those: Vec<Member> = found.iter().map(|(member, ..)| *member).collect();
    if those.is_empty() {
        return Err(CredentialError::NothingThere(
            "none of these certificates is on this node, so there is nothing to follow".to_owned(),
        ));
    }
    check_free(places, &those)?;
    let made: Vec<Result<_, CredentialError>> = on_all_cores(&found, |(member, entry, old)| {
        let key = PrivateKey::generate(algorithm(&entry.id, old))
            .map_err(|error| not_made(*member, error.into()))?;
        let request = request_successor(old, &key).map_err(|source| not_made(*member, source))?;
        let pem = key
            .to_pem()
            .map_err(|error| not_made(*member, IssueError::from(error)))?;
        let contents = if member.is_kubeconfig() {
            let path = inventory.real(&entry.path);
            let refused = |reason: String| CredentialError::CredentialRefused {
                path: entry.path.clone(),
                reason,
            };
            let text = read_bounded(path)
                .map(Zeroizing::new)
                .map_err(|error| refused(error.to_string()))?;
            let old =
                Kubeconfig::parse(text.as_slice()).map_err(|error| refused(error.to_string()))?;
            carrier(&old, &pem)
        } else {
            pem
        };
        Ok(pair(places, *member, &contents, &request))
    });
    let mut files = Vec::new();
    for made in made {
        files.extend(made?);
    }
    Sets::open(places)?.put(&files)?;
    Ok((those, missing))
}

/// A kubeconfig with what the node's says of cluster and user, that carries the new key.
fn carrier(old: &Kubeconfig, key: &str) -> Zeroizing<String> {
    let authorities = old
        .certificate_authority
        .as_deref()
        .map(String::from_utf8_lossy);
    NewKubeconfig {
        cluster: &old.cluster,
        server: &old.server,
        authorities: authorities.as_deref(),
        user: &old.user,
        credential: NewCredential::Key(key),
    }
    .text()
}

/// Which certificate of a node it is.
fn id_of(member: Member) -> CertificateId {
    match member {
        Member::Leaf(leaf) => CertificateId::Catalogued(Catalogued::Leaf(leaf)),
        Member::Kubeconfig(name) => CertificateId::Catalogued(Catalogued::Kubeconfig(name)),
        Member::Kubelet => CertificateId::KubeletConfig,
    }
}
