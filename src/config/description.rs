//! `[certificate.NAME]` with a `file`: a certificate that is not kubeadm's, as the configuration describes it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::pki::{AuthorityId, AuthorityName};

/// A certificate that kubeadm does not know, or several that lie beside each other. Paths are the node's, without the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// `file`: where it lies; its last part may hold one `*`.
    pub file: PathBuf,
    /// `key`: where its private key lies, with a `*` where `file` has one; `None` for the same file.
    pub key: Option<PathBuf>,
    /// `issuer`: which of kubeadm's CAs signs it; this, or `ca`, is always there in a configuration that was checked.
    pub issuer: Option<AuthorityId>,
    /// `ca`: the certificate of the CA that signs it, where that is not kubeadm's.
    pub ca: Option<PathBuf>,
    /// `ca-key`: that one's key; `None` where it is elsewhere.
    pub ca_key: Option<PathBuf>,
    /// `owner`: a user besides root, by name or number, to whom files and directories may belong, and to whom new files do.
    pub owner: Option<String>,
    /// `group`: the group of new files, by name or number.
    pub group: Option<String>,
    /// `mode`: that of a new file with the private key.
    pub mode: Option<u32>,
    /// `static-pod`, `unit` or `command`: who uses it.
    pub user: CertificateUser,
    /// `unit-action`: what is done with the unit; `None` where nothing says it.
    pub unit_action: Option<UnitAction>,
    /// `address`: where it is served.
    pub address: Option<ServedAt>,
}

/// Who uses a certificate, and has to be told of a new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CertificateUser {
    /// Whoever it is reads new files by himself.
    #[default]
    Unsaid,
    /// A static pod of this node, by the name of its component.
    StaticPod(String),
    /// A unit of systemd: `haproxy.service`.
    Unit(String),
    /// Whoever this command tells: the program, an absolute path, and its arguments.
    Command(Vec<String>),
}

impl CertificateUser {
    /// `haproxy.service`, `the command /usr/local/bin/reload`; nothing for those who are told by a restart, or not at all.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        match self {
            Self::Unit(unit) => Some(unit.clone()),
            Self::Command(words) => {
                let program = words.first().map_or("", String::as_str);
                Some(format!("the command {program}"))
            }
            Self::StaticPod(_) | Self::Unsaid => None,
        }
    }
}

/// What is done with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum UnitAction {
    /// `systemctl reload`
    #[default]
    Reload,
    /// `systemctl restart`
    Restart,
}

/// Where a certificate is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedAt {
    /// An IP address without brackets, or `localhost`.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Description {
    /// Which CA signs it.
    #[must_use]
    pub fn authority(&self) -> Option<AuthorityId> {
        let own = self.ca.as_ref().map(|path| path.to_string_lossy());
        let own = own.map(|path| AuthorityId::Other(AuthorityName::of(&path)));
        own.or(self.issuer)
    }

    /// What is done with its unit.
    #[must_use]
    pub fn unit_action(&self) -> UnitAction {
        self.unit_action.unwrap_or_default()
    }

    /// Whether it may describe several certificates.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        stars(&self.file) > 0
    }

    /// The name of a file beside `file` that the pattern has for `*`; `None` where it does not fit.
    #[must_use]
    pub fn stem_of<'name>(&self, name: &'name OsStr) -> Option<&'name OsStr> {
        let (before, after) = halves(self.file.file_name()?)?;
        let rest = name.as_bytes().strip_prefix(before)?;
        let stem = rest.strip_suffix(after)?;
        (!stem.is_empty()).then(|| OsStr::from_bytes(stem))
    }

    /// The file with the private key of that one whose name has `stem` for `*`.
    #[must_use]
    pub fn key_of(&self, stem: &OsStr) -> Option<PathBuf> {
        let key = self.key.as_ref()?;
        let (before, after) = halves(key.file_name()?)?;
        let name = [before, stem.as_bytes(), after].concat();
        Some(key.with_file_name(OsStr::from_bytes(&name)))
    }
}

/// How many stars a path has.
pub(super) fn stars(path: &Path) -> usize {
    let bytes = path.as_os_str().as_bytes();
    bytes.iter().filter(|byte| **byte == b'*').count()
}

/// What a name has before and after its star.
fn halves(name: &OsStr) -> Option<(&[u8], &[u8])> {
    let name = name.as_bytes();
    let at = name.iter().position(|byte| *byte == b'*')?;
    Some((name.get(..at)?, name.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may

    use super::*;

    #[test]
    fn a_star_stands_for_something_and_the_key_has_the_same() {
        let described = Description {
            file: "/etc/etcd/pki/tls-*.crt".into(),
            key: Some("/etc/etcd/keys/*.pem".into()),
            ..Description::default()
        };
        let stem = |name: &'static str| described.stem_of(name.as_ref());
        assert_eq!(stem("tls-peer.crt"), Some("peer".as_ref()));
        for other in ["tls-.crt", "tls-peer.key", "xtls-peer.crt", "tls-peer.crt~"] {
            assert_eq!(stem(other), None, "{other}");
        }
        assert_eq!(
            described.key_of("peer".as_ref()).unwrap(),
            Path::new("/etc/etcd/keys/peer.pem")
        );
        // Shorter than what stands around the star.
        let narrow = Description {
            file: "/x/aa*aa".into(),
            ..Description::default()
        };
        assert_eq!(narrow.stem_of("aaa".as_ref()), None);
    }
}
