//! Keys and requests for all credentials of a control plane, as `kubeadm certs generate-csr` makes them.

use zeroize::Zeroizing;

use super::error::CredentialError;
use super::file_set::{NewFile, SECRET, Sets};
use super::kubeconfig::{NewCredential, NewKubeconfig};
use super::member::Member;
use super::places::Places;
use super::reading;
use crate::host::on_all_cores;
use crate::node::ControlPlane;
use crate::pki::{IssueError, PrivateKey};

/// Makes a key and a request for each of `members`; none of their files may be there. Gives what was made.
///
/// # Errors
/// [`CredentialError`].
pub fn generate(
    places: &Places,
    control_plane: &ControlPlane,
    members: &[Member],
) -> Result<Vec<Member>, CredentialError> {
    check_free(places, members)?;
    let made = on_all_cores(members, |member| {
        let made = PrivateKey::generate(control_plane.key_algorithm)
            .map_err(IssueError::from)
            .and_then(|key| {
                let request = member.leaf(control_plane).request(&key)?;
                let pem = key.to_pem().map_err(IssueError::from)?;
                Ok((pem, request))
            });
        made.map_err(|source| not_made(*member, source))
    });
    let mut files = Vec::new();
    for (member, made) in members.iter().zip(made) {
        let (key, request) = made?;
        let contents = if member.is_kubeconfig() {
            partial_kubeconfig(*member, control_plane, &key)
        } else {
            key
        };
        files.extend(pair(places, *member, &contents, &request));
    }
    Sets::open(places)?.put(&files)?;
    Ok(members.to_vec())
}

/// That a set can be made: said before keys are made, which takes seconds.
pub(super) fn check_free(places: &Places, members: &[Member]) -> Result<(), CredentialError> {
    let wanted = members
        .iter()
        .flat_map(|member| [places.key(*member), places.request(*member)]);
    let taken = reading::those_there(places.root(), wanted)?;
    if taken.is_empty() {
        Ok(())
    } else {
        Err(CredentialError::AlreadyThere(taken))
    }
}

/// The two files of one of them.
pub(super) fn pair(places: &Places, member: Member, key: &str, request: &str) -> [NewFile; 2] {
    [
        NewFile::new(places.key(member), key, SECRET),
        NewFile::new(places.request(member), request, SECRET),
    ]
}

pub(super) fn not_made(member: Member, source: IssueError) -> CredentialError {
    CredentialError::CredentialNotSigned {
        name: member.name().to_owned(),
        source,
    }
}

/// A kubeconfig with a key and nothing that a certificate would have to fit.
fn partial_kubeconfig(
    member: Member,
    control_plane: &ControlPlane,
    key: &str,
) -> Zeroizing<String> {
    NewKubeconfig {
        cluster: &control_plane.cluster_name,
        server: &server(member, control_plane),
        authorities: None,
        user: &member.leaf(control_plane).common_name,
        credential: NewCredential::Key(key),
    }
    .text()
}

/// The API server that a kubeconfig leads to: this node's own for what runs here, else the whole control plane's.
pub(super) fn server(member: Member, control_plane: &ControlPlane) -> String {
    use crate::pki::KubeconfigName::{ControllerManager, Scheduler};
    match member {
        Member::Kubeconfig(ControllerManager | Scheduler) => control_plane.local_server(),
        Member::Leaf(_) | Member::Kubeconfig(_) | Member::Kubelet => control_plane.server(),
    }
}
