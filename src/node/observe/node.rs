//! The node while its certificates are read, and an entry made of what is read.

use std::path::Path;

use super::closed::Reader;
use super::pem_files::{self, CertificateFile, Unusable};
use crate::config::Locations;
use crate::host::Root;
use crate::node::{
    Authority, CertificateId, CertificateState, Directories, Entry, KeyState, KubeletConfiguration,
    Present, Problem, Signer, StaticPod, Trust,
};
use crate::pki::{AuthorityId, Certificate, SignedBy};

/// What a node is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Report,
    Renewal,
}

/// What is known of the node while its certificates are read.
pub(super) struct Node<'a> {
    pub(super) root: &'a Root,
    pub(super) purpose: Purpose,
    pub(super) reader: &'a Reader<'a>,
    pub(super) locations: &'a Locations,
    pub(super) directories: &'a Directories,
    pub(super) kubelet: &'a KubeletConfiguration,
    pub(super) static_pods: &'a [StaticPod],
    pub(super) authorities: &'a [Authority],
    pub(super) external_etcd: bool,
}

/// An entry, and what else is in its file.
pub(super) struct Found {
    pub(super) entry: Entry,
    pub(super) trust: Option<Trust>,
    /// Why new credentials could not be put into it.
    pub(super) uneditable: Option<String>,
    /// Of a kubeconfig, the name of its user.
    pub(super) user: Option<String>,
    /// And the server of its cluster.
    pub(super) server: Option<String>,
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Self {
        Self {
            entry,
            trust: None,
            uneditable: None,
            server: None,
            user: None,
        }
    }
}

/// A certificate file and its key, as an entry is to be made of them.
pub(super) struct Wanted<'a> {
    pub(super) id: CertificateId,
    pub(super) certificate: &'a Path,
    pub(super) key: Option<&'a Path>,
    pub(super) authority: Option<AuthorityId>,
}

impl Node<'_> {
    pub(super) fn pod(&self, component: &str) -> Option<&StaticPod> {
        StaticPod::of_name(self.static_pods, component)
    }

    /// The entry of a certificate file with its key in another file or the same.
    pub(super) fn entry(&self, wanted: Wanted<'_>) -> Entry {
        let found = pem_files::certificates(self.reader, wanted.certificate);
        self.entry_of(wanted, found.map_err(Unusable::into_problem))
    }

    /// The same of what was found in it.
    pub(super) fn entry_of(
        &self,
        wanted: Wanted<'_>,
        found: Result<Option<CertificateFile>, Problem>,
    ) -> Entry {
        let mut authority = wanted.authority;
        let state = match found {
            Ok(None) => CertificateState::Missing,
            Ok(Some(file)) => {
                let key = pem_files::key(self.reader, wanted.key, &file);
                let present;
                (present, authority) = self.present(file, key, authority);
                CertificateState::Present(Box::new(present))
            }
            Err(problem) => CertificateState::Unreadable(problem),
        };
        Entry {
            id: wanted.id,
            path: wanted.certificate.to_path_buf(),
            certificate_path: wanted.certificate.to_path_buf(),
            key_path: wanted.key.map(Path::to_path_buf),
            authority,
            state,
            described: None,
        }
    }

    /// A certificate that could be read, with the authority that is to sign it or, where none is, the one that did.
    pub(super) fn present(
        &self,
        file: CertificateFile,
        key: KeyState,
        authority: Option<AuthorityId>,
    ) -> (Present, Option<AuthorityId>) {
        let CertificateFile {
            leaf,
            chain,
            modified,
            ..
        } = file;
        let authority = authority.or_else(|| self.signing_authority(&leaf));
        let signer = self.signer(&leaf, authority);
        let present = Present {
            leaf,
            chain,
            key,
            signer,
            modified,
        };
        (present, authority)
    }

    pub(super) fn signer(&self, leaf: &Certificate, authority: Option<AuthorityId>) -> Signer {
        // Where it cannot be checked, it is left alone rather than replaced.
        if leaf.signed_by(leaf) != SignedBy::No {
            return Signer::SelfSigned;
        }
        let Some(authority) = authority else {
            return Signer::Foreign(leaf.issuer.clone());
        };
        match self.certificates_of(authority) {
            None => Signer::Unknown,
            Some(certificates) => match signed_by_any(leaf, certificates) {
                SignedBy::Yes => Signer::Expected,
                SignedBy::Unchecked(what) => Signer::Unchecked(what),
                SignedBy::No => Signer::Foreign(leaf.issuer.clone()),
            },
        }
    }

    pub(super) fn signing_authority(&self, leaf: &Certificate) -> Option<AuthorityId> {
        let mut likely = None;
        for authority in self.authorities {
            match signed_by_any(leaf, authority.certificates().unwrap_or_default()) {
                SignedBy::Yes => return Some(authority.name),
                SignedBy::Unchecked(_) => likely = likely.or(Some(authority.name)),
                SignedBy::No => {}
            }
        }
        likely
    }

    fn certificates_of(&self, name: AuthorityId) -> Option<&[Certificate]> {
        self.authorities
            .iter()
            .find(|authority| authority.name == name)
            .and_then(Authority::certificates)
    }
}

/// What can be told of a signature by any of them, the surest first.
fn signed_by_any(leaf: &Certificate, authorities: &[Certificate]) -> SignedBy {
    let mut answer = SignedBy::No;
    for authority in authorities {
        match leaf.signed_by(authority) {
            SignedBy::Yes => return SignedBy::Yes,
            SignedBy::No => {}
            unchecked @ SignedBy::Unchecked(_) => answer = unchecked,
        }
    }
    answer
}
