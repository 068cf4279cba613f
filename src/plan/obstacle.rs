//! Why a certificate is not renewed, each reason with a code that does not change.

use std::path::PathBuf;

use jiff::Timestamp;

use super::awaited::Awaited;
use super::trust::Refusal;
use crate::host::serialize_path;
use crate::node::Problem;
use crate::pki::{AuthorityId, SignerFault};

/// Why a certificate is not renewed. [`std::fmt::Display`] says it with what to do about it; `docs/codes.md` lists the codes.
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
pub enum Obstacle {
    /// There is no such file.
    Missing,
    /// It cannot be read, or is no leaf's.
    Unreadable(Problem),
    /// One of its files must not be replaced.
    NotReplaceable(Problem),
    /// The authority's key is not on this node.
    ExternalAuthority {
        /// Which.
        authority: AuthorityId,
        /// When its request is written; absent where none is.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_from: Option<Timestamp>,
    },
    /// The configuration gives it to an issuer, wherever the authority's key is.
    AskedElsewhere {
        /// Which, by the name that the configuration gives it.
        issuer: String,
        /// When it is asked; absent where it is not.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_from: Option<Timestamp>,
    },
    /// The signer to which the configuration gives it cannot sign it.
    NotOfSigner {
        /// Which, by the name that the configuration gives it.
        issuer: String,
        /// The signer's own name.
        signer: String,
        /// Why.
        because: SignerFault,
    },
    /// Its request waits for an answer.
    AwaitingAnswer(Box<Awaited>),
    /// Its kubeconfig is written so that nothing can be put into it in place: construct and line.
    NotEditable(Problem),
    /// The local authority did not sign it.
    ForeignIssuer {
        /// Who did.
        issuer: String,
        /// Whether that is the certificate itself.
        itself: bool,
        /// When its request is written; absent where none is.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_from: Option<Timestamp>,
    },
    /// The authority cannot sign.
    AuthorityUnusable(AuthorityFault),
    /// The authority's key, or the certificate's that is to be kept, is of a kind that cannot be used here.
    NotSupported(UnsupportedKey),
    /// One that checks it does not trust the CA that would sign it, and accepts the present one.
    NotTrusted(Box<Refusal>),
    /// The authority ends so early that a new certificate would be due again at once, or not end later than the old one.
    AuthorityEndsTooSoon {
        /// When.
        ends: Timestamp,
        /// The authority, where it can be extended on this node.
        #[serde(skip_serializing_if = "Option::is_none")]
        extendable: Option<AuthorityId>,
    },
    /// The configured validity is so short that the new one would end no later than the old one.
    WouldNotEndLater {
        /// When it would end.
        ends: Timestamp,
    },
    /// It was made less than a minimum time ago, so renewing it again would be a loop.
    RenewedJustNow {
        /// Not before then.
        until: Timestamp,
    },
    /// Somebody rolled it back by hand, which the daemon does not undo for a while.
    RolledBack {
        /// Not before then.
        until: Timestamp,
    },
    /// The configuration says that it is to be left alone.
    Skipped {
        /// Where: `renewal.skip`, `certificate."admin.conf".skip`.
        key: String,
        /// Whether kubecertd would renew it otherwise.
        renewed_here: bool,
    },
    /// It is due, but the configuration says `renewal.enabled = false`.
    Disabled,
    /// It is the kubelet's own and has ended, so that the kubelet can neither start nor renew it.
    NeedsRecovery(KubeletFault),
    /// The kubelet renews it itself, or nobody told kubecertd how.
    NotManaged,
}

/// What keeps an authority on this node from signing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(
    tag = "fault",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum AuthorityFault {
    /// The node has no such authority.
    NotHere {
        /// Which.
        authority: AuthorityId,
    },
    /// Its certificate is missing.
    Missing {
        /// The certificate's file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// Its certificate or key cannot be read or used.
    File(Problem),
    /// Its key is another's.
    KeyOfAnother {
        /// The key's file.
        #[serde(serialize_with = "serialize_path")]
        key: PathBuf,
        /// The certificate's.
        #[serde(serialize_with = "serialize_path")]
        certificate: PathBuf,
    },
    /// Whether it signed the certificate cannot be told.
    NotComparable {
        /// The authority's certificate's file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// Its certificate has ended.
    Expired {
        /// Its subject.
        subject: String,
        /// When.
        ended: Timestamp,
        /// The authority, where it can be extended on this node.
        #[serde(skip_serializing_if = "Option::is_none")]
        extendable: Option<AuthorityId>,
    },
    /// Its certificate begins later.
    NotYetValid {
        /// Its subject.
        subject: String,
        /// When.
        begins: Timestamp,
    },
}

/// A key that cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(
    tag = "key",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum UnsupportedKey {
    /// The file of an authority's key.
    AuthorityFile(Problem),
    /// An authority's, by its certificate.
    Authority {
        /// Whose.
        authority: AuthorityId,
        /// Its kind.
        kind: String,
    },
    /// The certificate's own, which is to be kept.
    Own {
        /// Its kind.
        kind: String,
    },
}

/// What the kubelet lacks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(
    tag = "lacks",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum KubeletFault {
    /// A certificate.
    Certificate,
    /// That its kubeconfig refers to the one it has.
    Reference,
    /// Something that kubecertd cannot mend.
    Start {
        /// What.
        reason: String,
    },
}

impl Obstacle {
    /// Its code, which never changes: `foreign-issuer`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
