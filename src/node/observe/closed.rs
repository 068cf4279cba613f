//! Files that observing never opens: the private keys of the authorities and of the service account. They are opened only to
//! sign, whatever other name or link leads to them.

use std::path::{Path, PathBuf};

use crate::config::Locations;
use crate::host::Root;
use crate::node::{
    Directories, Fault, StaticPod,
    read::{self, Found},
};
use crate::pki::AuthorityId;

/// Flags that name the private key of an authority or of the service account.
const KEY_FLAGS: [(&str, &str); 6] = [
    ("kube-apiserver", "service-account-signing-key-file"),
    ("kube-apiserver", "service-account-key-file"),
    (
        "kube-controller-manager",
        "service-account-private-key-file",
    ),
    ("kube-controller-manager", "cluster-signing-key-file"),
    (
        "kube-controller-manager",
        "cluster-signing-kube-apiserver-client-key-file",
    ),
    (
        "kube-controller-manager",
        "cluster-signing-kubelet-client-key-file",
    ),
];

/// Reads files, but not those.
pub(super) struct Reader<'a> {
    pub(super) root: &'a Root,
    /// Their devices and numbers.
    closed: Vec<(u64, u64)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        root: &'a Root,
        directories: &Directories,
        locations: &Locations,
        static_pods: &[StaticPod],
    ) -> Self {
        let authorities = AuthorityId::ALL.map(AuthorityId::base);
        let own = authorities.iter().chain(&["sa"]).map(|base| {
            let base: &str = base;
            directories.certificates.join(base).with_extension("key")
        });
        let named = KEY_FLAGS.iter().filter_map(|(component, flag)| {
            StaticPod::of_name(static_pods, component)?.file_flag(flag)
        });
        let described = locations.described.values();
        let described = described.filter_map(|one| Some(root.join(one.ca_key.as_ref()?)));
        // A public key may be shown as well as read.
        let is_private = |path: &PathBuf| path.extension().is_none_or(|ending| ending != "pub");
        Self {
            root,
            closed: own
                .chain(described)
                .chain(named.filter(is_private))
                .filter_map(|path| identity(root, &path))
                .collect(),
        }
    }

    /// Reads a real path of at most so many bytes, following links as the node would.
    pub(super) fn find(&self, path: &Path, limit: u64) -> Found {
        if identity(self.root, path).is_some_and(|identity| self.closed.contains(&identity)) {
            return Found::Unreadable(Fault::KeyOfAuthority);
        }
        read::find_at_most(self.root, path, limit)
    }
}

/// Which file it is, whatever its name; opens nothing.
fn identity(root: &Root, path: &Path) -> Option<(u64, u64)> {
    let found = root.end(path).ok()?.1?;
    found.is_file().then_some(found.identity)
}
