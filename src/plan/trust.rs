//! Whether those who check a certificate will accept what a CA is about to sign.
//!
//! While a CA is being changed, its file holds the old and the new certificate, and clients may know only one of them. A
//! server with a certificate that its clients refuse is as good as away, so that is looked at before it is put in place.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use super::reason::Reason;
use super::schedule::{LAST_MOMENT, later};
use crate::host::serialize_path;
use crate::node::{CertificateId, Entry, Inventory, Present, Trust, TrustHolder};
use crate::pki::{Certificate, date};

/// One that checks a certificate and does not trust what is to sign it.
#[derive(Debug, Clone, Copy)]
pub struct Doubter<'node> {
    /// Who, and what it trusts.
    pub trust: &'node Trust,
    /// The first of those that may sign and that it does not trust.
    pub signer: &'node Certificate,
    /// Whether it trusts none of those that may sign; else only some of them.
    pub of_all: bool,
    /// Whether it accepts the present certificate, so that it would lose something.
    pub accepts_present: bool,
}

/// Those of this node that check the certificate and do not trust one of `signers`. Whose authorities cannot be read is
/// not among them: nobody can tell.
#[must_use]
pub fn doubters<'node>(
    inventory: &'node Inventory,
    id: &CertificateId,
    signers: &[&'node Certificate],
    now: Timestamp,
) -> Vec<Doubter<'node>> {
    let Some(present) = inventory.entry(id).and_then(Entry::present) else {
        return Vec::new();
    };
    let concerned = inventory.trusts.iter().filter(|trust| trust.concerns(id));
    concerned
        .filter_map(|trust| {
            let authorities = trust.authorities.as_deref()?;
            let refused: Vec<&Certificate> = signers
                .iter()
                .copied()
                .filter(|signer| !is_trusted(authorities, signer, &present.chain, now))
                .collect();
            let signer = refused.first()?;
            let accepts_present = accepts(authorities, present, now);
            // A kubeconfig that kubeadm does not know and that never trusted this server is for another cluster.
            let is_concerned = accepts_present || !is_of_unknown_origin(trust);
            is_concerned.then_some(Doubter {
                trust,
                signer,
                of_all: refused.len() == signers.len(),
                accepts_present,
            })
        })
        .collect()
}

fn is_of_unknown_origin(trust: &Trust) -> bool {
    let TrustHolder::Kubeconfig { id, .. } = &trust.holder else {
        return false;
    };
    matches!(id, CertificateId::Found(_))
}

/// Whether one who trusts `authorities` accepts what `signer` signs, with `chain` sent along.
#[must_use]
pub fn is_trusted(
    authorities: &[Certificate],
    signer: &Certificate,
    chain: &[Certificate],
    now: Timestamp,
) -> bool {
    let is_anchor = |certificate: &Certificate| {
        authorities
            .iter()
            .any(|authority| is_same(authority, certificate) && authority.is_valid_at(now))
    };
    // Each of the chain leads one step up at most.
    let mut reached = vec![signer];
    for _ in 0..=chain.len() {
        if reached.iter().any(|certificate| is_anchor(certificate)) {
            return true;
        }
        let sent: Vec<&Certificate> = chain
            .iter()
            .filter(|sent| reached.iter().any(|reached| is_same(sent, reached)))
            .collect();
        reached = authorities
            .iter()
            .chain(chain)
            .filter(|above| sent.iter().any(|sent| sent.is_signed_by(above)))
            .collect();
        if reached.is_empty() {
            break;
        }
    }
    false
}

/// Whether one who trusts `authorities` accepts the present certificate.
fn accepts(authorities: &[Certificate], present: &Present, now: Timestamp) -> bool {
    authorities
        .iter()
        .chain(&present.chain)
        .filter(|signer| present.leaf.is_signed_by(signer))
        .any(|signer| is_trusted(authorities, signer, &present.chain, now))
}

/// Whether what the one signs, the other signs: a CA that was renewed with its key is trusted as before.
fn is_same(one: &Certificate, other: &Certificate) -> bool {
    one.subject_der == other.subject_der && one.public_key_der == other.public_key_der
}

/// Whether a certificate is renewed all the same: when nobody accepts the present one, or soon will not, or by `force`.
#[must_use]
pub fn is_renewed_nevertheless(
    present: &Present,
    reason: Reason,
    force: bool,
    now: Timestamp,
) -> bool {
    let is_of_use = match reason {
        Reason::Expired | Reason::NotYetValid | Reason::KeyUnusable => false,
        Reason::Due
        | Reason::SignerChanges
        | Reason::Requested
        | Reason::NamesWanted
        | Reason::Answered => true,
    };
    force || !is_of_use || later(now, LAST_MOMENT) >= present.leaf.not_after
}

/// Old and new CA often have one name: then the end tells them apart.
fn described(signer: &Certificate) -> String {
    format!("{}, until {}", signer.subject, date(signer.not_after))
}

/// Who would refuse a new certificate, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    holder: TrustHolder,
    #[serde(serialize_with = "serialize_path")]
    path: PathBuf,
    signer: String,
    /// Whether renewing the kubeconfig with it would be the way out.
    by_renewal: bool,
    /// When it is renewed all the same.
    pub(super) until: Timestamp,
}

impl Refusal {
    /// By a doubter. `can_be_renewed`: the doubter is a kubeconfig that could be renewed with it.
    #[must_use]
    pub fn by(doubter: &Doubter<'_>, present: &Present, can_be_renewed: bool) -> Self {
        Self {
            holder: doubter.trust.holder.clone(),
            path: doubter.trust.path.clone(),
            signer: described(doubter.signer),
            by_renewal: can_be_renewed,
            until: super::schedule::earlier(present.leaf.not_after, LAST_MOMENT),
        }
    }

    /// The fact alone, for a certificate that is renewed all the same.
    #[must_use]
    pub fn fact(&self) -> String {
        format!(
            "{} does not trust the CA that signs it now ({}): {} lacks it",
            self.who(),
            self.signer,
            self.path.display()
        )
    }

    fn who(&self) -> String {
        match &self.holder {
            TrustHolder::Kubeconfig { id, .. } => format!("a client that uses {id}"),
            TrustHolder::Pod { component, flag } => format!("{component} (--{flag})"),
            TrustHolder::Kubelet => "the kubelet (clientCAFile)".to_owned(),
        }
    }

    fn way_out(&self) -> String {
        match &self.holder {
            TrustHolder::Kubeconfig { id, .. } if self.by_renewal => {
                format!("renew {id} with it, which adds the CA there")
            }
            TrustHolder::Kubeconfig {
                id: CertificateId::KubeletConfig,
                embedded: true,
            } => {
                "add the CA's certificate to its certificate-authority-data and restart the kubelet"
                    .to_owned()
            }
            TrustHolder::Kubeconfig { embedded: true, .. } => {
                "add the CA's certificate to its certificate-authority-data".to_owned()
            }
            TrustHolder::Kubeconfig { .. } => "append the CA's certificate to that file".to_owned(),
            TrustHolder::Pod { component, .. } => {
                format!("append the CA's certificate to that file and restart {component}")
            }
            TrustHolder::Kubelet => {
                "append the CA's certificate to that file and restart the kubelet".to_owned()
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}; {}, or use --force",
            self.fact(),
            self.way_out()
        )
    }
}
