//! What is to be known of a renewal that goes its way: where the new certificate differs from the old one, what could not be
//! checked, and who does not trust the CA or is made to.

use std::path::PathBuf;

use jiff::Timestamp;

use super::rotation::RotationFault;
use super::trust::Refusal;
use crate::config::{CertificateRenewal, KeyPolicy};
use crate::host::serialize_path;
use crate::node::{CalledFor, CertificateId, Inventory, KeyState, Present, Signer, missing_names};
use crate::pki::{Certificate, KeyKind};

/// What is to be known of a renewal. [`std::fmt::Display`] says it in a sentence that goes on from the certificate's name;
/// `docs/codes.md` lists the codes.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(
    tag = "code",
    content = "fields",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[strum(serialize_all = "kebab-case")]
pub enum Note {
    /// Its signature cannot be checked, as it is of another kind than those that can.
    SignatureNotChecked {
        /// Of which.
        algorithm: String,
    },
    /// Whether its key is in that file cannot be checked.
    KeyNotChecked {
        /// The key's file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// The new key is of another kind.
    OtherKeyKind {
        /// The old one's.
        old: String,
        /// The new one's.
        new: String,
        /// Whether `renewal.key-algorithm` asks for it; otherwise the old kind is not made here.
        configured: bool,
    },
    /// It lacks names that are called for, and so will the new one, unless they are asked for.
    NamesMissing {
        /// Which, and what calls for each.
        names: Vec<CalledFor>,
    },
    /// It says that it is a CA's, and the new one does not.
    SaysCa,
    /// It has fields that the new one has not.
    OtherFields,
    /// One that checks it does not trust the CA.
    NotTrusted {
        /// Who.
        refusal: Refusal,
        /// Whether that depends on which of several CA certificates signs.
        if_it_signs: bool,
    },
    /// It is not renewed if that of several CA certificates signs, since one that checks it does not trust that one.
    NotRenewedIfItSigns {
        /// Who.
        refusal: Refusal,
    },
    /// The configuration says that a static pod uses it, and this node has none of that name.
    NoSuchPod {
        /// The name.
        pod: String,
    },
    /// The kubelet should have renewed it by itself by now.
    RotationOverdue {
        /// When that was due at the latest.
        since: Timestamp,
        /// When it ends.
        ends: Timestamp,
        /// What on this node keeps the kubelet from it; none where nothing is seen here.
        faults: Vec<RotationFault>,
    },
    /// It is the one that the kubelet makes once, when it first starts, and neither it nor anybody else renews.
    NobodyRenewsIt {
        /// When it ends, or has ended.
        ends: Timestamp,
    },
    /// kubelet.conf holds a certificate itself, beside one that the kubelet renews: when that ends, the kubelet does not start.
    HoldsItsCertificate {
        /// Which file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// When the certificate in it ends.
        ends: Timestamp,
    },
    /// The CA is added to those that a kubeconfig trusts.
    AuthorityAdded {
        /// The CA's subject.
        authority: String,
        /// When the CA ends.
        ends: Timestamp,
        /// Whether that depends on which of several CA certificates signs.
        if_it_signs: bool,
    },
}

impl Note {
    /// Its code, which never changes: `other-key-kind`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// The kubeconfig learns of the CA that signs.
    #[must_use]
    pub fn authority_added(signer: &Certificate, if_it_signs: bool) -> Self {
        Self::AuthorityAdded {
            authority: signer.subject.clone(),
            ends: signer.not_after,
            if_it_signs,
        }
    }
}

/// What the certificate itself gives.
pub(super) fn of(present: &Present, renewal: CertificateRenewal) -> Vec<Note> {
    let leaf = &present.leaf;
    let mut notes = Vec::new();
    if let Signer::Unchecked(algorithm) = &present.signer {
        notes.push(Note::SignatureNotChecked {
            algorithm: algorithm.to_string(),
        });
    }
    if let KeyState::Unsupported(problem) = &present.key {
        notes.push(Note::KeyNotChecked {
            path: problem.path.clone(),
        });
    }
    notes.extend(other_key(&leaf.key_kind(), renewal));
    if leaf.is_ca {
        notes.push(Note::SaysCa);
    }
    if leaf.has_other_fields {
        notes.push(Note::OtherFields);
    }
    notes
}

/// What the node calls for and it has not.
pub(super) fn of_names(inventory: &Inventory, id: &CertificateId) -> Option<Note> {
    let names = missing_names(inventory, id);
    (!names.is_empty()).then_some(Note::NamesMissing { names })
}

/// Where the new key is of another kind than the old one.
fn other_key(old: &KeyKind, renewal: CertificateRenewal) -> Option<Note> {
    let new = renewal.key_algorithm.after(old);
    if renewal.reuse_key || old.made() == Some(new) {
        return None;
    }
    Some(Note::OtherKeyKind {
        old: old.to_string(),
        new: new.to_string(),
        configured: matches!(renewal.key_algorithm, KeyPolicy::Always(_)),
    })
}
