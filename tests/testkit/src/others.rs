//! Certificates on a node that are not kubeadm's.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{CertificateAuthority, NewLeaf, SubjectAltName, Validity};

use crate::node::Node;
use crate::pair::Pair;
use crate::tree::Tree;

/// Where [`Node::haproxy`] puts it.
pub const HAPROXY: (&str, &str) = ("/etc/haproxy/tls.crt", "/etc/haproxy/tls.key");

/// A table that describes it, to which more may be added.
pub const HAPROXY_TABLE: &str = "[certificate.haproxy]\nfile = \"/etc/haproxy/tls.crt\"\nkey = \"/etc/haproxy/tls.key\"\n\
                                 issuer = \"ca\"\n";

/// For a server on this machine.
pub fn server_leaf() -> NewLeaf {
    NewLeaf {
        common_name: "haproxy".to_owned(),
        organizations: vec!["edge".to_owned()],
        subject_alt_names: vec![
            SubjectAltName::Dns("api.example".to_owned()),
            SubjectAltName::Ip("127.0.0.1".parse().unwrap()),
        ],
        server_auth: true,
        client_auth: false,
    }
}

/// Due: it lasted a year and has twenty days left.
pub fn due() -> Validity {
    let now = Timestamp::now();
    Validity {
        not_before: now - SignedDuration::from_hours(24 * 345),
        not_after: now + SignedDuration::from_hours(24 * 20),
    }
}

impl Node {
    /// A certificate of the node's CA that is due, for a service of its own, in files and directories of root's.
    pub fn haproxy(&self) -> Pair {
        self.haproxy_of(due())
    }

    /// The same, valid so long.
    pub fn haproxy_of(&self, validity: Validity) -> Pair {
        let pair = Pair::sign(&server_leaf(), &self.ca, validity);
        put(self, HAPROXY, &pair);
        pair
    }
}

/// Writes certificate and key, in directories that nobody else may write to.
pub fn put(tree: &Tree, (certificate, key): (&str, &str), pair: &Pair) {
    for (path, contents, mode) in [
        (certificate, pair.certificate_pem(), 0o644),
        (key, pair.key_pem(), 0o600),
    ] {
        let path = tree.write(path, contents);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        close(tree, &path);
    }
}

/// The directories above it are its owner's alone.
pub fn close(tree: &Tree, path: &std::path::Path) {
    for directory in path.ancestors().skip(1) {
        if directory == tree.directory.path() {
            break;
        }
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    }
}

/// A certificate of that CA that is due.
pub fn due_of(authority: &CertificateAuthority) -> Pair {
    Pair::sign(&server_leaf(), authority, due())
}
