//! Certificate and key files: what is in them, or why it cannot be used.

use std::path::Path;

use jiff::Timestamp;

use crate::node::read::{self, FileContent, Found};
use crate::node::{KeyState, Problem};
use crate::pki::{
    Certificate, CertificateError, ForeignKey, KeyError, PrivateKey, certificates_from_pem,
};
use crate::root::Root;

/// A file with at least one certificate.
pub(super) struct CertificateFile {
    pub(super) leaf: Certificate,
    pub(super) chain: Vec<Certificate>,
    pub(super) modified: Option<Timestamp>,
    /// The file itself, for a key in the same file.
    path: std::path::PathBuf,
    content: FileContent,
}

/// The certificates of a file; `None` when there is no such file.
pub(super) fn certificates(root: &Root, path: &Path) -> Result<Option<CertificateFile>, Problem> {
    let problem = |reason| Problem {
        path: path.to_path_buf(),
        reason,
    };
    match read::find(root, path) {
        Found::Missing => Ok(None),
        Found::Unreadable(reason) => Err(problem(reason)),
        Found::Content(content) => {
            let (leaf, chain) = certificates_of(&content.bytes).map_err(problem)?;
            Ok(Some(CertificateFile {
                leaf,
                chain,
                modified: content.modified,
                path: path.to_path_buf(),
                content,
            }))
        }
    }
}

/// The first certificate and the others, or what is wrong with them.
pub(super) fn certificates_of(bytes: &[u8]) -> Result<(Certificate, Vec<Certificate>), String> {
    let found = certificates_from_pem(bytes).and_then(|mut certificates| {
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate(None));
        }
        let chain = certificates.split_off(1);
        Ok((certificates.remove(0), chain))
    });
    found.map_err(|error| certificate_reason(bytes, &error))
}

/// What was found where the key of a certificate should be.
pub(super) fn key(root: &Root, path: Option<&Path>, certificate: &CertificateFile) -> KeyState {
    match path {
        None => KeyState::Missing,
        Some(path) if path == certificate.path => key_of(
            &certificate.content.bytes,
            path,
            std::slice::from_ref(&certificate.leaf),
        ),
        Some(path) => key_file(root, path, std::slice::from_ref(&certificate.leaf)),
    }
}

/// What was found in a key file that should hold the key of one of the certificates.
pub(super) fn key_file(root: &Root, path: &Path, certificates: &[Certificate]) -> KeyState {
    match read::find(root, path) {
        Found::Missing => KeyState::Missing,
        Found::Unreadable(reason) => out_of_reach(path, reason),
        Found::Content(content) => key_of(&content.bytes, path, certificates),
    }
}

/// What was found where an authority's key should be, and those of its certificates that it belongs to.
pub(super) fn authority_key(
    root: &Root,
    path: &Path,
    certificates: &[Certificate],
) -> (KeyState, Vec<Certificate>) {
    let content = match read::find(root, path) {
        Found::Content(content) => content,
        Found::Missing => return (KeyState::Missing, Vec::new()),
        Found::Unreadable(reason) => return (out_of_reach(path, reason), Vec::new()),
    };
    match private_key(&content.bytes) {
        Err(unusable) => (unusable.state(path), Vec::new()),
        Ok(key) => {
            let own = certificates
                .iter()
                .filter(|certificate| key.matches(certificate));
            let own: Vec<Certificate> = own.cloned().collect();
            let state = if own.is_empty() {
                KeyState::Mismatched
            } else {
                KeyState::Matching(key.algorithm())
            };
            (state, own)
        }
    }
}

/// What is in the bytes that should hold the key of one of the certificates.
pub(super) fn key_of(bytes: &[u8], path: &Path, certificates: &[Certificate]) -> KeyState {
    match private_key(bytes) {
        Err(UnusableKey::Unsupported(key)) => foreign_key_of(*key, path, certificates),
        Err(unusable) => unusable.state(path),
        Ok(key)
            if certificates
                .iter()
                .any(|certificate| key.matches(certificate)) =>
        {
            KeyState::Matching(key.algorithm())
        }
        Ok(_) => KeyState::Mismatched,
    }
}

/// A key of a kind that is not supported: whose it is may be known all the same.
fn foreign_key_of(key: ForeignKey, path: &Path, certificates: &[Certificate]) -> KeyState {
    let answers: Vec<Option<bool>> = certificates
        .iter()
        .map(|certificate| key.fits(certificate))
        .collect();
    if answers.contains(&Some(true)) {
        KeyState::Matching(None)
    } else if answers.contains(&None) {
        UnusableKey::Unsupported(Box::new(key)).state(path)
    } else {
        KeyState::Mismatched
    }
}

/// Why there is no private key to be used.
pub(super) enum UnusableKey {
    Damaged(String),
    Unsupported(Box<ForeignKey>),
}

impl UnusableKey {
    pub(super) fn state(self, path: &Path) -> KeyState {
        match self {
            Self::Damaged(reason) => damaged(path, reason),
            Self::Unsupported(key) => KeyState::Unsupported(Problem {
                path: path.to_path_buf(),
                reason: key.to_string(),
            }),
        }
    }
}

/// A key that cannot be read at all.
pub(super) fn out_of_reach(path: &Path, reason: String) -> KeyState {
    KeyState::OutOfReach(Problem {
        path: path.to_path_buf(),
        reason,
    })
}

/// A key that was read and is none.
pub(super) fn damaged(path: &Path, reason: String) -> KeyState {
    KeyState::Damaged(Problem {
        path: path.to_path_buf(),
        reason,
    })
}

/// The key in the bytes, or what is wrong with it.
pub(super) fn private_key(bytes: &[u8]) -> Result<PrivateKey, UnusableKey> {
    PrivateKey::from_pem(bytes).map_err(|error| {
        if let KeyError::Unsupported(key) = error {
            return UnusableKey::Unsupported(Box::new(key));
        }
        if let Some(reason) = common_reason(bytes, "key") {
            return UnusableKey::Damaged(reason);
        }
        UnusableKey::Damaged(match error {
            KeyError::NoKey(Some(label)) => format!(
                "holds a PEM block {label} where a private key should be; another file was put in its place"
            ),
            KeyError::NoKey(None) => {
                "holds no PEM block with a private key; restore it from a backup".to_owned()
            }
            other => other.to_string(),
        })
    })
}

fn certificate_reason(bytes: &[u8], error: &CertificateError) -> String {
    if Certificate::from_der(bytes).is_ok() {
        return "is a certificate in DER form, not PEM; convert it with `openssl x509 -inform DER`"
            .to_owned();
    }
    if let Some(reason) = common_reason(bytes, "certificate") {
        return reason;
    }
    match error {
        CertificateError::NoCertificate(Some(label)) => format!(
            "holds a PEM block {label} where CERTIFICATE should be; another file was put in its place"
        ),
        CertificateError::NoCertificate(None) => {
            "holds no PEM block CERTIFICATE; restore it from a backup".to_owned()
        }
        CertificateError::Pem(_) | CertificateError::Der(_) => {
            format!("holds a {error}; restore it from a backup")
        }
    }
}

/// What is wrong with a file of either kind, seen from its bytes alone.
fn common_reason(bytes: &[u8], what: &str) -> Option<String> {
    let text = std::str::from_utf8(bytes);
    match text {
        Ok(text) if text.trim().is_empty() => Some(
            "is empty; restore it from a backup, or remove it and make it again with kubeadm"
                .to_owned(),
        ),
        Ok(text)
            if text
                .lines()
                .any(|line| line.starts_with("-----BEGIN") && line.contains("-----END")) =>
        {
            Some("is PEM without its line breaks; restore it from a backup".to_owned())
        }
        Ok(text) if text.matches("-----BEGIN").count() > text.matches("-----END").count() => Some(
            format!("is truncated, the end of the {what} is missing; restore it from a backup"),
        ),
        Ok(_) => None,
        Err(_) if bytes.windows(10).any(|window| window == b"-----BEGIN") => None,
        Err(_) => Some(format!(
            "holds binary data and no PEM {what}; restore it from a backup"
        )),
    }
}
