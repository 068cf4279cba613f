//! The name of a CA that is not kubeadm's: the path of its certificate, as the configuration has it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// As cheap to copy as the names that kubeadm's have. Two of one path are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthorityName(&'static str);

/// Every name that was ever met. A configuration has a handful, which are kept: one that is read again makes none anew.
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl AuthorityName {
    /// The name of the CA with that certificate.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(path) {
            return Self(known);
        }
        let name: &'static str = Box::leak(path.to_owned().into_boxed_str());
        names.insert(name);
        Self(name)
    }

    /// The path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_is_one_name_that_is_kept_once() {
        let one = AuthorityName::of("/etc/etcd/pki/ca.crt");
        let same = AuthorityName::of(&format!("/etc/{}", "etcd/pki/ca.crt"));
        assert_eq!(one, same);
        assert!(std::ptr::eq(one.as_str(), same.as_str()));
        assert_ne!(one, AuthorityName::of("/etc/etcd/ca.crt"));
    }
}
