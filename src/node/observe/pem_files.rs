//! Certificate and key files: what is in them, or why it cannot be used.

use std::path::Path;

use jiff::Timestamp;

use super::closed::Reader;
use crate::host::FILE_LIMIT;
use crate::node::{
    Block, Fault, KeyState, Problem,
    read::{FileContent, Found},
};
use crate::pki::{
    Certificate, CertificateError, ForeignKey, KeyError, PrivateKey, certificates_from_pem,
};

/// Certificates of one file: more than any chain or bundle of CAs that sign here.
const CERTIFICATES: usize = 64;

/// The text of the certificates of one file, in bytes.
const TEXT: usize = 1 << 20;

/// The largest file with a key, which may hold certificates and comments as well.
pub(super) const KEY_FILE: u64 = 1 << 20;

/// A file with at least one certificate.
pub(super) struct CertificateFile {
    pub(super) leaf: Certificate,
    pub(super) chain: Vec<Certificate>,
    /// Whether there are more certificates in the file than these.
    pub(super) is_cut: bool,
    pub(super) modified: Option<Timestamp>,
    /// The file itself, for a key in the same file.
    path: std::path::PathBuf,
    content: FileContent,
}

impl CertificateFile {
    /// Its certificates, in order.
    pub(super) fn all(self) -> Vec<Certificate> {
        let mut all = self.chain;
        all.insert(0, self.leaf);
        all
    }
}

/// Why there is no certificate to show.
pub(super) enum Unusable {
    /// The file could not be read, so nobody knows.
    OutOfReach(Problem),
    /// It was read, and nothing in it says that there is to be a certificate: it may be a key, or parameters.
    Other(Problem),
    /// A certificate that cannot be used.
    Damaged(Problem),
}

impl Unusable {
    pub(super) fn into_problem(self) -> Problem {
        match self {
            Self::OutOfReach(problem) | Self::Other(problem) | Self::Damaged(problem) => problem,
        }
    }
}

/// The certificates of a file of kubeadm's or the kubelet's, all of them; `None` when there is no such file.
pub(super) fn certificates(
    reader: &Reader<'_>,
    path: &Path,
) -> Result<Option<CertificateFile>, Unusable> {
    match some_certificates(reader, path, FILE_LIMIT)? {
        Some(file) if file.is_cut => Err(Unusable::Damaged(Problem::new(path, TOO_MANY))),
        file => Ok(file),
    }
}

/// The first certificates of a file of at most so many bytes; `None` when there is no such file.
pub(super) fn some_certificates(
    reader: &Reader<'_>,
    path: &Path,
    limit: u64,
) -> Result<Option<CertificateFile>, Unusable> {
    let problem = |fault| Problem::new(path, fault);
    match reader.find(path, limit) {
        Found::Missing => Ok(None),
        Found::Unreadable(fault) => Err(Unusable::OutOfReach(problem(fault))),
        Found::Content(content) => match parse(&content.bytes) {
            Ok((leaf, chain, is_cut)) => Ok(Some(CertificateFile {
                leaf,
                chain,
                is_cut,
                modified: content.modified,
                path: path.to_path_buf(),
                content,
            })),
            Err(fault) if holds(&content.bytes, CERTIFICATE) || is_der(&content.bytes) => {
                Err(Unusable::Damaged(problem(fault)))
            }
            Err(fault) => Err(Unusable::Other(problem(fault))),
        },
    }
}

/// The first certificate and the others, or what is wrong with them.
pub(super) fn certificates_of(bytes: &[u8]) -> Result<(Certificate, Vec<Certificate>), Fault> {
    match parse(bytes)? {
        (_, _, true) => Err(TOO_MANY),
        (leaf, chain, false) => Ok((leaf, chain)),
    }
}

/// All certificates that somebody trusts, `None` where they are many, or what is wrong with the first ones.
pub(super) fn first_certificates_of(bytes: &[u8]) -> Result<Option<Vec<Certificate>>, Fault> {
    let (first, mut others, is_cut) = parse(bytes)?;
    others.insert(0, first);
    Ok((!is_cut).then_some(others))
}

pub(super) const TOO_MANY: Fault = Fault::TooManyCertificates { most: CERTIFICATES };

/// What begins a certificate of either of the two labels in use.
const CERTIFICATE: &[u8] = b"CERTIFICATE-----";

/// The first certificate, the next ones, and whether there are still more.
fn parse(bytes: &[u8]) -> Result<(Certificate, Vec<Certificate>, bool), Fault> {
    let (some, is_cut) = match nth(bytes, b"-----BEGIN CERTIFICATE-----", CERTIFICATES) {
        Some(end) => (bytes.get(..end).unwrap_or_default(), true),
        None => (bytes, false),
    };
    if some.len() > TEXT {
        return Err(Fault::TooMuchText { most: TEXT >> 20 });
    }
    let found = certificates_from_pem(some).and_then(|mut certificates| {
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate(None));
        }
        let chain = certificates.split_off(1);
        Ok((certificates.remove(0), chain, is_cut))
    });
    found.map_err(|error| certificate_fault(bytes, error))
}

/// Where the occurrence begins before which there are `skipped` others.
fn nth(bytes: &[u8], text: &[u8], skipped: usize) -> Option<usize> {
    let windows = bytes.windows(text.len()).enumerate();
    windows
        .filter(|(_, window)| *window == text)
        .map(|(at, _)| at)
        .nth(skipped)
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    nth(bytes, text, 0).is_some()
}

fn is_der(bytes: &[u8]) -> bool {
    bytes.len() <= TEXT && Certificate::from_der(bytes).is_ok()
}

/// What was found where the key of a certificate should be.
pub(super) fn key(
    reader: &Reader<'_>,
    path: Option<&Path>,
    certificate: &CertificateFile,
) -> KeyState {
    match path {
        None => KeyState::Missing,
        Some(path) if path == certificate.path => key_of(
            &certificate.content.bytes,
            path,
            std::slice::from_ref(&certificate.leaf),
        ),
        Some(path) => key_file(reader, path, std::slice::from_ref(&certificate.leaf)),
    }
}

/// Whether the file holds a private key besides.
pub(super) fn holds_key(certificate: &CertificateFile) -> bool {
    holds(&certificate.content.bytes, b"PRIVATE KEY-----")
}

/// What was found in a key file that should hold the key of one of the certificates.
pub(super) fn key_file(reader: &Reader<'_>, path: &Path, certificates: &[Certificate]) -> KeyState {
    match reader.find(path, KEY_FILE) {
        Found::Missing => KeyState::Missing,
        Found::Unreadable(fault) => KeyState::OutOfReach(Problem::new(path, fault)),
        Found::Content(content) => key_of(&content.bytes, path, certificates),
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
    Damaged(Fault),
    Unsupported(Box<ForeignKey>),
}

impl UnusableKey {
    pub(super) fn state(self, path: &Path) -> KeyState {
        match self {
            Self::Damaged(fault) => KeyState::Damaged(Problem::new(path, fault)),
            Self::Unsupported(key) => KeyState::Unsupported(Problem::new(
                path,
                Fault::UnsupportedKey {
                    reason: key.to_string(),
                },
            )),
        }
    }
}

/// The key in the bytes, or what is wrong with it.
pub(super) fn private_key(bytes: &[u8]) -> Result<PrivateKey, UnusableKey> {
    PrivateKey::from_pem(bytes).map_err(|error| {
        if let KeyError::Unsupported(key) = error {
            return UnusableKey::Unsupported(Box::new(key));
        }
        UnusableKey::Damaged(common_fault(bytes, "key").unwrap_or_else(|| match error {
            KeyError::NoKey(label) => Fault::OtherContent {
                wanted: Block::PrivateKey,
                label,
            },
            other => Fault::Undecodable {
                reason: other.to_string(),
            },
        }))
    })
}

fn certificate_fault(bytes: &[u8], error: CertificateError) -> Fault {
    if is_der(bytes) {
        return Fault::Der;
    }
    if let Some(fault) = common_fault(bytes, "certificate") {
        return fault;
    }
    match error {
        CertificateError::NoCertificate(label) => Fault::OtherContent {
            wanted: Block::Certificate,
            label,
        },
        CertificateError::Pem(_) | CertificateError::Der(_) => Fault::Undecodable {
            reason: format!("holds a {error}; restore it from a backup"),
        },
    }
}

/// What is wrong with a file of either kind, seen from its bytes alone.
fn common_fault(bytes: &[u8], what: &'static str) -> Option<Fault> {
    let text = std::str::from_utf8(bytes);
    match text {
        Ok(text) if text.trim().is_empty() => Some(Fault::Empty {
            kubeadm_makes_it: true,
        }),
        Ok(text)
            if text
                .lines()
                .any(|line| line.starts_with("-----BEGIN") && line.contains("-----END")) =>
        {
            Some(Fault::NoLineBreaks)
        }
        Ok(text) if text.matches("-----BEGIN").count() > text.matches("-----END").count() => {
            Some(Fault::Truncated { what })
        }
        Ok(_) => None,
        Err(_) if bytes.windows(10).any(|window| window == b"-----BEGIN") => None,
        Err(_) => Some(Fault::BinaryData { what }),
    }
}
