//! Kubeconfigs: embedded certificates, and those that they refer to.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::node::{Found, Node, Purpose, Wanted};
use super::{pem_files, trust};
use crate::host::FILE_LIMIT;
use crate::node::{
    CertificateId, CertificateState, Document, Entry, Fault, KeyState, NamedBy, Present, Problem,
    Trust, TrustHolder,
    encoding::Text,
    kubeconfig::{Credential, Kubeconfig, KubeconfigError},
    read::{self, FileContent},
};
use crate::pki::{AuthorityId, Catalogued, KubeconfigName};

/// One of kubeadm's four.
pub(super) fn catalogued(node: &Node<'_>, name: KubeconfigName) -> Found {
    let component = match name {
        KubeconfigName::ControllerManager => Some("kube-controller-manager"),
        KubeconfigName::Scheduler => Some("kube-scheduler"),
        KubeconfigName::Admin | KubeconfigName::SuperAdmin => None,
    };
    let path = component
        .and_then(|component| node.pod(component)?.file_flag("kubeconfig"))
        .unwrap_or_else(|| node.directories.kubernetes.join(name.name()));
    let id = CertificateId::Catalogued(Catalogued::Kubeconfig(name));
    entry(node, id, &path)
}

/// The entry of a kubeconfig's client certificate, and whom its user trusts.
pub(super) fn entry(node: &Node<'_>, id: CertificateId, path: &Path) -> Found {
    match read(node, path) {
        Ok(Some(read)) => Found {
            trust: trusting(node, &id, path, &read.kubeconfig),
            entry: from_kubeconfig(node, id, path, &read),
            uneditable: read.uneditable,
            user: Some(read.kubeconfig.user),
            server: Some(read.kubeconfig.server),
        },
        Ok(None) => bare(id, path, CertificateState::Missing).into(),
        Err(reason) => bare(id, path, unreadable(path, reason)).into(),
    }
}

/// What became of a kubeconfig that kubeadm does not know.
pub(super) enum Unknown {
    /// A token, a plugin, or no kubeconfig at all: nothing that expires.
    Nothing,
    /// No such file.
    Missing,
    /// It could not be read, or is a kubeconfig with something wrong in it.
    Unreadable(Problem),
    /// One with a client certificate, and whom its user trusts.
    Entry(Box<Entry>, Option<Box<Trust>>),
}

/// A kubeconfig that kubeadm does not know; `promised` where a flag says that it is one.
pub(super) fn unknown(
    node: &Node<'_>,
    id: CertificateId,
    path: &Path,
    limit: u64,
    promised: bool,
) -> Unknown {
    let unreadable = |fault| Unknown::Unreadable(Problem::new(path, fault));
    let content = match node.reader.find(path, limit) {
        read::Found::Missing => return Unknown::Missing,
        read::Found::Unreadable(fault) => return unreadable(fault),
        read::Found::Content(content) => content,
    };
    match parse(node, &content) {
        Ok(read) => {
            let trust = trusting(node, &id, path, &read.kubeconfig);
            let mut entry = from_kubeconfig(node, id, path, &read);
            entry.authority = entry
                .present()
                .and_then(|present| node.signing_authority(&present.leaf));
            Unknown::Entry(Box::new(entry), trust.map(Box::new))
        }
        Err(NoKubeconfig::Wrong(KubeconfigError::NoCertificate(_))) => Unknown::Nothing,
        Err(NoKubeconfig::Wrong(error)) if promised || claims_a_certificate(&content) => {
            unreadable(malformed(&error))
        }
        Err(NoKubeconfig::Binary(fault)) if promised => unreadable(fault),
        // The settings of another program, say.
        Err(_) => Unknown::Nothing,
    }
}

/// Whether the text has a kubeconfig's field for a client certificate.
fn claims_a_certificate(content: &FileContent) -> bool {
    Text::decode(&content.bytes).is_ok_and(|text| text.text.contains("client-certificate"))
}

/// A kubeconfig, and what is known of its file.
struct Read {
    kubeconfig: Kubeconfig,
    /// Why new credentials could not be put into it.
    uneditable: Option<String>,
    modified: Option<Timestamp>,
}

fn read(node: &Node<'_>, path: &Path) -> Result<Option<Read>, Fault> {
    match node.reader.find(path, FILE_LIMIT) {
        read::Found::Missing => Ok(None),
        read::Found::Unreadable(fault) => Err(fault),
        read::Found::Content(content) => {
            parse(node, &content)
                .map(Some)
                .map_err(|problem| match problem {
                    NoKubeconfig::Binary(fault) => fault,
                    NoKubeconfig::Wrong(error) => malformed(&error),
                })
        }
    }
}

/// Why the content of a file is no kubeconfig with a client certificate.
enum NoKubeconfig {
    Binary(Fault),
    Wrong(KubeconfigError),
}

fn parse(node: &Node<'_>, content: &FileContent) -> Result<Read, NoKubeconfig> {
    let text = Text::decode(&content.bytes).map_err(NoKubeconfig::Binary)?;
    let (kubeconfig, uneditable) = if node.purpose == Purpose::Renewal {
        Kubeconfig::parse_to_replace(&text.text)
    } else {
        Kubeconfig::parse(&text.text).map(|kubeconfig| (kubeconfig, None))
    }
    .map_err(NoKubeconfig::Wrong)?;
    Ok(Read {
        kubeconfig,
        uneditable,
        modified: content.modified,
    })
}

fn from_kubeconfig(node: &Node<'_>, id: CertificateId, path: &Path, read: &Read) -> Entry {
    let kubeconfig = &read.kubeconfig;
    let key_path = match &kubeconfig.key {
        Credential::Embedded(_) => path.to_path_buf(),
        Credential::File(file) => beside(node, path, file),
    };
    match &kubeconfig.certificate {
        Credential::File(file) => {
            let certificate = beside(node, path, file);
            let mut entry = node.entry(Wanted {
                id,
                certificate: &certificate,
                key: Some(&key_path),
                authority: Some(AuthorityId::Kubernetes),
            });
            if let (Credential::Embedded(pem), CertificateState::Present(present)) =
                (&kubeconfig.key, &mut entry.state)
            {
                present.key = pem_files::key_of(pem, path, std::slice::from_ref(&present.leaf));
            }
            if matches!(entry.state, CertificateState::Missing) {
                entry.state = unreadable(
                    &certificate,
                    Fault::DoesNotExist {
                        named_by: NamedBy::Kubeconfig(node.root.node_path(path)),
                    },
                );
            }
            entry.path = path.to_path_buf();
            entry
        }
        Credential::Embedded(pem) => {
            let state = match pem_files::certificates_of(pem) {
                Err(fault) => unreadable(
                    path,
                    fault.in_field(format!(
                        "users[{}].client-certificate-data",
                        kubeconfig.user
                    )),
                ),
                Ok((leaf, chain)) => {
                    let own = std::slice::from_ref(&leaf);
                    let key = match &kubeconfig.key {
                        Credential::Embedded(pem) => pem_files::key_of(pem, path, own),
                        Credential::File(_) => pem_files::key_file(node.reader, &key_path, own),
                    };
                    CertificateState::Present(Box::new(Present {
                        signer: node.signer(&leaf, Some(AuthorityId::Kubernetes)),
                        key: named_in(key, &kubeconfig.user),
                        leaf,
                        chain,
                        modified: read.modified,
                    }))
                }
            };
            Entry {
                key_path: Some(key_path),
                ..bare(id, path, state)
            }
        }
    }
}

/// Whom the user of a kubeconfig trusts, if it says so. One that trusts nothing is of no use to anybody, but its certificate
/// can still be read and renewed.
fn trusting(
    node: &Node<'_>,
    id: &CertificateId,
    path: &Path,
    kubeconfig: &Kubeconfig,
) -> Option<Trust> {
    let holder = |embedded| TrustHolder::Kubeconfig {
        id: id.clone(),
        embedded,
    };
    if let Some(pem) = &kubeconfig.certificate_authority {
        let found = pem_files::first_certificates_of(pem).map_err(|fault| {
            Problem::new(
                path,
                fault.in_field(format!(
                    "clusters[{}].certificate-authority-data",
                    kubeconfig.cluster
                )),
            )
        });
        return Some(trust::trust(holder(true), trust::API_SERVER, path, found));
    }
    let file = beside(node, path, kubeconfig.certificate_authority_file.as_ref()?);
    let mut trust = trust::of_file(node, holder(false), trust::API_SERVER, &file);
    if let Some(problem) = &mut trust.problem
        && let Fault::DoesNotExist { named_by } = &mut problem.fault
    {
        *named_by = NamedBy::KubeconfigAuthority(node.root.node_path(path));
    }
    Some(trust)
}

/// Says which field of the kubeconfig a key is in.
fn named_in(key: KeyState, user: &str) -> KeyState {
    match key {
        KeyState::Damaged(problem) => KeyState::Damaged(Problem {
            fault: problem
                .fault
                .in_field(format!("users[{user}].client-key-data")),
            path: problem.path,
        }),
        other => other,
    }
}

/// The real path of a file that a kubeconfig names: relative ones start at the kubeconfig.
fn beside(node: &Node<'_>, kubeconfig: &Path, file: &Path) -> PathBuf {
    let directory = kubeconfig.parent().unwrap_or(kubeconfig);
    node.root.join(node.root.node_path(directory).join(file))
}

fn bare(id: CertificateId, path: &Path, state: CertificateState) -> Entry {
    Entry {
        id,
        path: path.to_path_buf(),
        certificate_path: path.to_path_buf(),
        key_path: Some(path.to_path_buf()),
        authority: Some(AuthorityId::Kubernetes),
        state,
        described: None,
    }
}

fn unreadable(path: &Path, fault: Fault) -> CertificateState {
    CertificateState::Unreadable(Problem::new(path, fault))
}

fn malformed(error: &KubeconfigError) -> Fault {
    Fault::Malformed {
        what: Document::Kubeconfig,
        reason: error.to_string(),
    }
}
