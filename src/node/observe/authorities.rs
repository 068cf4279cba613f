//! The three authorities and the service account's key pair.

use super::{on_all_cores, pem_files};
use crate::node::read::{self, Found};
use crate::node::{Authority, AuthorityState, Directories, KeyState, Problem, ServiceAccountKeys};
use crate::pki::AuthorityName;
use crate::root::Root;

/// Reads the authorities, in the order of kubeadm's names.
pub(super) fn read(root: &Root, directories: &Directories, external_etcd: bool) -> Vec<Authority> {
    let mut names = AuthorityName::ALL.to_vec();
    names.retain(|name| !(external_etcd && *name == AuthorityName::Etcd));
    on_all_cores(&names, |name| authority(root, directories, *name))
}

fn authority(root: &Root, directories: &Directories, name: AuthorityName) -> Authority {
    let base = directories.certificates.join(name.base());
    let certificate_path = base.with_extension("crt");
    let key_path = base.with_extension("key");
    let state = match pem_files::certificates(root, &certificate_path) {
        Ok(None) => AuthorityState::Missing,
        Err(problem) => AuthorityState::Unreadable(problem),
        Ok(Some(file)) if !file.leaf.is_ca => AuthorityState::Unreadable(Problem {
            path: certificate_path.clone(),
            reason: format!(
                "is no CA certificate but one for {} (basicConstraints say CA:FALSE or nothing); \
                 restore the CA's from a backup",
                file.leaf.subject
            ),
        }),
        Ok(Some(file)) => {
            let mut certificates = vec![file.leaf];
            certificates.extend(file.chain);
            let (key, signing) = pem_files::authority_key(root, &key_path, &certificates);
            AuthorityState::Present {
                certificates,
                key,
                signing,
            }
        }
    };
    Authority {
        name,
        certificate_path,
        key_path,
        state,
    }
}

/// Reads `sa.key` and `sa.pub`.
pub(super) fn service_account(root: &Root, directories: &Directories) -> ServiceAccountKeys {
    let key_path = directories.certificates.join("sa.key");
    let public_key_path = directories.certificates.join("sa.pub");
    let public = read::find(root, &public_key_path);
    let key = match read::find(root, &key_path) {
        Found::Missing => KeyState::Missing,
        Found::Unreadable(reason) => pem_files::out_of_reach(&key_path, reason),
        Found::Content(content) => match pem_files::private_key(&content.bytes) {
            Err(unusable) => unusable.state(&key_path),
            Ok(key) => match &public {
                Found::Missing => KeyState::Matching(key.algorithm()),
                Found::Unreadable(reason) => {
                    pem_files::out_of_reach(&public_key_path, reason.clone())
                }
                Found::Content(content) => {
                    match is_public_half(&content.bytes, &key.public_key_der()) {
                        Ok(true) => KeyState::Matching(key.algorithm()),
                        Ok(false) => KeyState::Mismatched,
                        Err(reason) => pem_files::damaged(&public_key_path, reason),
                    }
                }
            },
        },
    };
    ServiceAccountKeys {
        key,
        public_key_present: !matches!(public, Found::Missing),
        key_path,
        public_key_path,
    }
}

/// Whether one of the public keys in the file is the one given (several while the key is being changed).
fn is_public_half(text: &[u8], public_key_der: &[u8]) -> Result<bool, String> {
    let blocks = pem::parse_many(text)
        .map_err(|_| "holds damaged PEM; restore it from a backup".to_owned())?;
    if blocks.is_empty() {
        return Err("holds no PEM block PUBLIC KEY; restore it from a backup".to_owned());
    }
    Ok(blocks.iter().any(|block| match block.tag() {
        "PUBLIC KEY" => block.contents() == public_key_der,
        // PKCS#1: the last part of the other form.
        "RSA PUBLIC KEY" => public_key_der.ends_with(block.contents()),
        _ => false,
    }))
}
