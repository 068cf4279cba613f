//! What Kubernetes' own signers sign, and how the certificates API calls usages (`pkg/apis/certificates/helpers.go`,
//! `pkg/controller/certificates/signer`, `plugin/pkg/admission/certificates/subjectrestriction`).

use super::key_usage;
use super::{AuthorityId, Certificate, SubjectAltName};

/// Signs what clients show the API server.
pub const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// Signs what kubelets show it.
const KUBELET_CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Signs what kubelets serve.
const KUBELET_SERVING_SIGNER: &str = "kubernetes.io/kubelet-serving";
/// Every signer in this domain is Kubernetes' own.
const OWN_DOMAIN: &str = "kubernetes.io/";

const MASTERS: &str = "system:masters";
const NODES: &str = "system:nodes";
const NODE_USER: &str = "system:node:";

const SERVER_AUTH: &str = "server auth";
const CLIENT_AUTH: &str = "client auth";
const DIGITAL_SIGNATURE: &str = "digital signature";
const KEY_ENCIPHERMENT: &str = "key encipherment";

/// As `spec.usages` calls the bits of the key usage, from the first.
const KEY_USAGES: [&str; 9] = [
    DIGITAL_SIGNATURE,
    "content commitment",
    KEY_ENCIPHERMENT,
    "data encipherment",
    "key agreement",
    "cert sign",
    "crl sign",
    "encipher only",
    "decipher only",
];

/// The same of extended key usages.
const EXTENDED_KEY_USAGES: [(&str, &str); 12] = [
    ("2.5.29.37.0", "any"),
    ("1.3.6.1.5.5.7.3.1", SERVER_AUTH),
    ("1.3.6.1.5.5.7.3.2", CLIENT_AUTH),
    ("1.3.6.1.5.5.7.3.3", "code signing"),
    ("1.3.6.1.5.5.7.3.4", "email protection"),
    ("1.3.6.1.5.5.7.3.5", "ipsec end system"),
    ("1.3.6.1.5.5.7.3.6", "ipsec tunnel"),
    ("1.3.6.1.5.5.7.3.7", "ipsec user"),
    ("1.3.6.1.5.5.7.3.8", "timestamping"),
    ("1.3.6.1.5.5.7.3.9", "ocsp signing"),
    ("1.3.6.1.4.1.311.10.3.3", "microsoft sgc"),
    ("2.16.840.1.113730.4.1", "netscape sgc"),
];

/// Why a signer cannot sign the successor of a certificate, so that it is not even asked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(
    tag = "fault",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum SignerFault {
    /// It signs no such usage, or not without another.
    Usages {
        /// What the certificate is for.
        usages: Vec<String>,
        /// What the signer signs.
        signs: String,
    },
    /// The certificate is for something that the API has no word for.
    UsageWithoutName {
        /// Its number.
        number: String,
    },
    /// The API server lets nobody ask this signer for a certificate of the group `system:masters`.
    Masters,
    /// It signs for kubelets alone.
    NotKubelets {
        /// The certificate's subject.
        subject: String,
    },
    /// It signs no names at all.
    Names {
        /// The first.
        name: String,
    },
    /// It signs no certificate without a name or an address, or with a name of that kind.
    NoServerNames,
    /// Another CA of the cluster signs it.
    OtherAuthority {
        /// Which.
        authority: AuthorityId,
    },
    /// Kubernetes has no such signer.
    Unknown,
}

/// What the certificate is for, as `spec.usages` says it.
///
/// # Errors
/// [`SignerFault::UsageWithoutName`].
pub fn api_usages(certificate: &Certificate) -> Result<Vec<&'static str>, SignerFault> {
    let bits = key_usage::of_a_leaf(certificate.key_usage.unwrap_or_default());
    let of_key = KEY_USAGES
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, name)| Ok(name));
    let extended = certificate.extended_key_usage.iter().map(|number| {
        let mut known = EXTENDED_KEY_USAGES.iter();
        let found = known.find(|(known, _)| known == number);
        found
            .map(|(_, name)| *name)
            .ok_or_else(|| SignerFault::UsageWithoutName {
                number: number.clone(),
            })
    });
    of_key.chain(extended).collect()
}

/// Why that signer cannot sign the successor of `leaf`, which `authority` signs; `None` where nothing is known that it could not.
/// What signers that are not Kubernetes' own sign is their own decision.
#[must_use]
pub fn signer_fault(
    signer: &str,
    leaf: &Certificate,
    authority: AuthorityId,
) -> Option<SignerFault> {
    let usages = match api_usages(leaf) {
        Ok(usages) => usages,
        Err(fault) => return Some(fault),
    };
    if !signer.starts_with(OWN_DOMAIN) {
        return None;
    }
    if authority != AuthorityId::Kubernetes {
        return Some(SignerFault::OtherAuthority { authority });
    }
    let (purpose, is_exact) = match signer {
        CLIENT_SIGNER => (CLIENT_AUTH, false),
        KUBELET_CLIENT_SIGNER => (CLIENT_AUTH, true),
        KUBELET_SERVING_SIGNER => (SERVER_AUTH, true),
        _ => return Some(SignerFault::Unknown),
    };
    wrong_usages(&usages, purpose, is_exact)
        .or_else(|| match signer {
            CLIENT_SIGNER => leaf
                .organizations
                .iter()
                .any(|group| group == MASTERS)
                .then_some(SignerFault::Masters),
            _ => not_kubelets(leaf),
        })
        .or_else(|| match signer {
            KUBELET_CLIENT_SIGNER => {
                leaf.subject_alt_names
                    .first()
                    .map(|name| SignerFault::Names {
                        name: name.to_string(),
                    })
            }
            KUBELET_SERVING_SIGNER => {
                (!has_server_names_alone(leaf)).then_some(SignerFault::NoServerNames)
            }
            _ => None,
        })
}

/// `is_exact`: the signer wants a digital signature, and takes a key encipherment beside it.
fn wrong_usages(usages: &[&str], purpose: &str, is_exact: bool) -> Option<SignerFault> {
    let allowed = [DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, purpose];
    let signs = usages.contains(&purpose)
        && usages.iter().all(|usage| allowed.contains(usage))
        && (!is_exact || usages.contains(&DIGITAL_SIGNATURE));
    (!signs).then(|| SignerFault::Usages {
        usages: usages.iter().map(ToString::to_string).collect(),
        signs: allowed.join(", "),
    })
}

fn not_kubelets(leaf: &Certificate) -> Option<SignerFault> {
    let is_node = leaf.common_name.as_deref().is_some_and(|name| {
        name.strip_prefix(NODE_USER)
            .is_some_and(|rest| !rest.is_empty())
    });
    (!is_node || leaf.organizations != [NODES]).then(|| SignerFault::NotKubelets {
        subject: leaf.subject.clone(),
    })
}

fn has_server_names_alone(leaf: &Certificate) -> bool {
    let is_servers =
        |name: &SubjectAltName| matches!(name, SubjectAltName::Dns(_) | SubjectAltName::Ip(_));
    !leaf.subject_alt_names.is_empty() && leaf.subject_alt_names.iter().all(is_servers)
}

#[cfg(test)]
mod tests;
