//! Reasons and obstacles in an administrator's words.

use std::fmt;

use super::note::Note;
use super::obstacle::{AuthorityFault, KubeletFault, Obstacle, UnsupportedKey};
use super::reason::Reason;
use super::rotation::RotationFault;
use super::signer_words::signer_words;
use super::types::Action;
use crate::node::CertificateId;
use crate::pki::{AuthorityId, Catalogued, KubeconfigName, date};

impl Reason {
    /// Whether the new certificate may end no later than the old one, because the old one is of no use to anybody, or
    /// because it is not for its time.
    #[must_use]
    pub fn allows_earlier_end(self) -> bool {
        matches!(
            self,
            Self::KeyUnusable | Self::NotYetValid | Self::SignerChanges | Self::NamesWanted
        )
    }

    /// A word for scripts, as in the JSON output.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Due => "its time for renewal has come",
            Self::Expired => "it has expired",
            Self::NotYetValid => "it is not valid yet",
            Self::KeyUnusable => "its private key is missing, damaged or another certificate's",
            Self::SignerChanges => {
                "the CA that signs the API server's certificate changes, and renewing adds it here"
            }
            Self::Requested => "asked for",
            Self::NamesWanted => "names are added as asked for",
            Self::Answered => "the CA has answered its request",
        })
    }
}

impl Obstacle {
    /// Why that certificate is left alone, with what can be done about that very one.
    #[must_use]
    pub fn said_of(&self, id: &CertificateId) -> String {
        match (self, id) {
            (Self::Missing, CertificateId::Catalogued(Catalogued::Kubeconfig(name))) => {
                match name {
                    KubeconfigName::SuperAdmin => {
                        format!("{self}, as on every node that was joined")
                    }
                    _ => format!(
                        "{self}; `kubeadm init phase kubeconfig {}` makes it",
                        name.name().trim_end_matches(".conf")
                    ),
                }
            }
            (Self::Missing, CertificateId::Catalogued(Catalogued::Leaf(name))) => format!(
                "{self}; `kubeadm init phase certs {}` makes it",
                name.name()
            ),
            (Self::NotManaged, CertificateId::KubeletClient) => {
                "only reported, as the kubelet renews it itself unless rotateCertificates is off"
                    .to_owned()
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("there is no such file"),
            Self::Unreadable(fault) | Self::NotReplaceable(fault) | Self::NotEditable(fault) => {
                fault.fmt(formatter)
            }
            Self::AuthorityUnusable(fault) => fault.fmt(formatter),
            Self::NotSupported(key) => key.fmt(formatter),
            Self::NeedsRecovery(fault) => fault.fmt(formatter),
            Self::NotTrusted(refusal) => refusal.fmt(formatter),
            Self::ExternalAuthority {
                authority,
                request_from,
            } => {
                write!(formatter, "the key of {authority} is not on this node; ")?;
                match request_from {
                    Some(moment) => write!(
                        formatter,
                        "its request is written on {}, to be signed where that key is",
                        date(*moment)
                    ),
                    None => {
                        formatter.write_str("have it signed where that key is and put it in place")
                    }
                }
            }
            Self::ForeignIssuer {
                issuer,
                itself,
                request_from,
            } => {
                let issuer = if *itself {
                    format!("itself ({issuer})")
                } else {
                    issuer.clone()
                };
                write!(
                    formatter,
                    "issued by {issuer} and not by this node's CA, so it is not overwritten; "
                )?;
                match request_from {
                    Some(moment) => write!(
                        formatter,
                        "its request is written on {}, to be signed by its issuer",
                        date(*moment)
                    ),
                    None => formatter.write_str("renew it with its issuer"),
                }
            }
            Self::AskedElsewhere {
                issuer,
                request_from,
            } => match request_from {
                Some(moment) => write!(
                    formatter,
                    "the issuer {issuer} signs it and is asked on {}",
                    date(*moment)
                ),
                None => write!(
                    formatter,
                    "the issuer {issuer} signs it and is not asked, because of renewal.enabled = false"
                ),
            },
            Self::NotOfSigner {
                issuer,
                signer,
                because,
            } => write!(
                formatter,
                "{} ([issuer.{issuer}] gives it to {signer}); take it out of the certificates of that issuer",
                signer_words(because)
            ),
            Self::AwaitingAnswer(awaited) => awaited.fmt(formatter),
            Self::AuthorityEndsTooSoon { ends, extendable } => write!(
                formatter,
                "its CA ends on {}, so a new certificate would gain nothing; {}",
                date(*ends),
                ca_first(*extendable)
            ),
            Self::WouldNotEndLater { ends } => write!(
                formatter,
                "a new one would end on {}, no later than this one; raise renewal.validity or use --force",
                date(*ends)
            ),
            Self::RenewedJustNow { until } => write!(
                formatter,
                "made a moment ago; not renewed again before {}",
                until.strftime("%b %d, %Y %H:%M:%S UTC")
            ),
            Self::RolledBack { until } => write!(
                formatter,
                "rolled back by hand; the daemon does not renew it before {}; kubecertd renew does",
                date(*until)
            ),
            Self::Skipped { key, renewed_here } => {
                let says = if key == "renewal.skip" {
                    "names it"
                } else {
                    "is true"
                };
                write!(formatter, "{key} {says}")?;
                if *renewed_here {
                    formatter.write_str("; name it with --force to renew it nevertheless")?;
                }
                Ok(())
            }
            Self::Disabled => formatter.write_str(
                "due, but renewal.enabled is false; renew it by hand with kubecertd renew",
            ),
            Self::NotManaged => {
                formatter.write_str("only reported, as neither kubeadm nor kubecertd renews it")
            }
        }
    }
}

impl fmt::Display for AuthorityFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere { authority } => {
                write!(formatter, "the authority {authority} is not on this node")
            }
            Self::Missing { path } => write!(formatter, "{} is missing", path.display()),
            Self::File(fault) => fault.fmt(formatter),
            Self::KeyOfAnother { key, certificate } => write!(
                formatter,
                "{} is not the key of {}; restore the pair from a backup",
                key.display(),
                certificate.display()
            ),
            Self::NotComparable { path } => write!(
                formatter,
                "{} could not be compared with the certificate's issuer",
                path.display()
            ),
            Self::Expired {
                subject,
                ended,
                extendable,
            } => write!(
                formatter,
                "the CA certificate {subject} has expired on {}; {}",
                date(*ended),
                ca_first(*extendable)
            ),
            Self::NotYetValid { subject, begins } => write!(
                formatter,
                "the CA certificate {subject} is not valid before {}; check this machine's clock",
                date(*begins)
            ),
        }
    }
}

/// What to do about a CA that has ended, or is about to.
fn ca_first(extendable: Option<AuthorityId>) -> String {
    match extendable {
        Some(name) => format!("extend the CA first: kubecertd ca extend {name}"),
        None => "renew the CA first".to_owned(),
    }
}

/// What to do about a CA whose key is of no use here.
const SIGN_ELSEWHERE: &str = "renew its certificates with a tool that can sign with it, or move the cluster to a CA with an \
                              RSA, ECDSA or Ed25519 key";

impl fmt::Display for UnsupportedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthorityFile(fault) => {
                write!(formatter, "not supported: {fault}; {SIGN_ELSEWHERE}")
            }
            Self::Authority { authority, kind } => write!(
                formatter,
                "not supported: nothing can be signed here with the key of {authority}, whose kind is {kind}; {SIGN_ELSEWHERE}"
            ),
            Self::Own { kind } => write!(
                formatter,
                "not supported: renewal.reuse-key is to keep its key, which cannot be used here, as its kind is {kind}; set it \
                 to false"
            ),
        }
    }
}

impl fmt::Display for KubeletFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => formatter.write_str(
                "not valid, so the kubelet can neither start nor renew it; `kubecertd recover --expired` makes a new one, and \
                 so does the daemon",
            ),
            Self::Reference => formatter.write_str(
                "not valid, although the kubelet has rotated its certificate; `kubecertd recover --expired` makes kubelet.conf \
                 refer to that one, and so does the daemon",
            ),
            Self::Start { reason } => write!(formatter, "the kubelet cannot start: {reason}"),
        }
    }
}

impl fmt::Display for RotationFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchedOff => formatter
                .write_str("rotateCertificates is not true in the kubelet's configuration; set it"),
            Self::NoLink { path } => write!(
                formatter,
                "{} is no link, so the kubelet puts nothing there",
                path.display()
            ),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignatureNotChecked { algorithm } => write!(
                formatter,
                "its signature ({algorithm}) cannot be checked here; by issuer and key identifier it is this node's CA's"
            ),
            Self::NoSuchPod { pod } => write!(
                formatter,
                "no static pod of this node is called {pod:?}, so none is restarted for it; correct static-pod in the configuration"
            ),
            Self::RotationOverdue {
                since,
                ends,
                faults,
            } => {
                write!(
                    formatter,
                    "the kubelet should have renewed it by {}, and it ends on {}: ",
                    date(*since),
                    date(*ends)
                )?;
                for fault in faults {
                    write!(formatter, "{fault}; ")?;
                }
                if faults.is_empty() {
                    formatter.write_str(
                        "see `kubectl get csr` and `journalctl -u kubelet` for why not; ",
                    )?;
                }
                formatter.write_str("`kubecertd kubelet repair` makes a new one")
            }
            Self::NobodyRenewsIt { ends } => write!(
                formatter,
                "the kubelet never renews it; after {} whoever verifies the kubelet refuses it; `kubecertd kubelet repair` makes a new one",
                date(*ends)
            ),
            Self::HoldsItsCertificate { path, ends } => write!(
                formatter,
                "{} holds a certificate itself, which nobody renews and without which the kubelet does not start after {}; \
                 `kubecertd kubelet repair` has it refer to the one that the kubelet renews",
                path.display(),
                date(*ends)
            ),
            Self::KeyNotChecked { path } => write!(
                formatter,
                "whether {} holds its key cannot be checked here",
                path.display()
            ),
            Self::OtherKeyKind {
                old,
                new,
                configured: true,
            } => write!(
                formatter,
                "its key was {old}, the new one is {new}, as renewal.key-algorithm says so"
            ),
            Self::OtherKeyKind { old, new, .. } => write!(
                formatter,
                "its key was {old}, the new one is {new}, as {old} is not made here"
            ),
            Self::NamesMissing { names } => {
                formatter.write_str("it lacks names that are called for: ")?;
                for (index, one) in names.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(formatter, "{comma}{} (by {})", one.name, one.by)?;
                }
                formatter.write_str("; renewals keep the names as they are, and `renew --san-from-config` adds these")
            }
            Self::SaysCa => formatter.write_str(
                "it says that it is a CA's certificate (CA:TRUE), which no leaf is; the new one is none (CA:FALSE), as kubeadm \
                 makes it",
            ),
            Self::OtherFields => formatter.write_str(
                "it has unique identifiers, or fields that X.509 does not know; the new one has none",
            ),
            Self::NotTrusted {
                refusal,
                if_it_signs,
            } => write!(formatter, "{}{}", if_so(*if_it_signs), refusal.fact()),
            Self::NotRenewedIfItSigns { refusal } => {
                write!(formatter, "{}it is not renewed, as {refusal}", if_so(true))
            }
            Self::AuthorityAdded {
                authority,
                ends,
                if_it_signs,
            } => write!(
                formatter,
                "{}the CA that signs now ({authority}, until {}) is added to those it trusts; copies of it elsewhere, such as \
                 ~/.kube/config, need that too",
                if_so(*if_it_signs),
                date(*ends)
            ),
        }
    }
}

/// Of several CA certificates only some would be refused.
fn if_so(if_it_signs: bool) -> &'static str {
    if if_it_signs {
        "should that be the CA certificate whose key is here: "
    } else {
        ""
    }
}

impl Action {
    /// `renew`, `wait` or `leave`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Renew(_) => "renew",
            Self::Wait => "wait",
            Self::Leave(_) => "leave",
        }
    }
}
