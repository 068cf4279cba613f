//! What is to be known of a renewal that goes its way: where the new certificate differs from the old one, and what could
//! not be checked.

use crate::config::{KeyPolicy, Renewal};
use crate::node::{KeyState, Present, Signer};
use crate::pki::KeyKind;

/// One sentence each, which goes on from the certificate's name.
pub(super) fn of(present: &Present, renewal: &Renewal) -> Vec<String> {
    let leaf = &present.leaf;
    let mut notes = Vec::new();
    if let Signer::Unchecked(what) = &present.signer {
        notes.push(format!(
            "its signature ({what}) cannot be checked here; by issuer and key identifier it is this node's CA's"
        ));
    }
    if let KeyState::Unsupported(problem) = &present.key {
        notes.push(format!(
            "whether {} holds its key cannot be checked here",
            problem.path.display()
        ));
    }
    notes.extend(other_key(&leaf.key_kind(), renewal));
    if leaf.is_ca {
        notes.push(
            "it says that it is a CA's certificate (CA:TRUE), which no leaf is; the new one is none (CA:FALSE), as kubeadm makes it"
                .to_owned(),
        );
    }
    if leaf.has_other_fields {
        notes.push(
            "it has unique identifiers, or fields that X.509 does not know; the new one has none"
                .to_owned(),
        );
    }
    notes
}

/// Says it where the new key is of another kind than the old one.
fn other_key(old: &KeyKind, renewal: &Renewal) -> Option<String> {
    let new = renewal.key_algorithm.after(old);
    if renewal.reuse_key || old.made() == Some(new) {
        return None;
    }
    let why = match renewal.key_algorithm {
        KeyPolicy::Keep => format!("{old} is not made here"),
        KeyPolicy::Always(_) => "renewal.key-algorithm says so".to_owned(),
    };
    Some(format!("its key was {old}, the new one is {new}, as {why}"))
}
