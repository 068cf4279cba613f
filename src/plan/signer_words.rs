//! Why a signer cannot sign a certificate, in words.

use crate::pki::SignerFault;

pub(super) fn signer_words(fault: &SignerFault) -> String {
    match fault {
        SignerFault::Usages { usages, signs } => format!(
            "it is for {}, and its signer signs only for {signs}",
            usages.join(", ")
        ),
        SignerFault::UsageWithoutName { number } => {
            format!("it is for {number}, for which the certificates API has no name")
        }
        SignerFault::Masters => {
            "it is of the group system:masters, for which the API server lets no one ask this signer"
                .to_owned()
        }
        SignerFault::NotKubelets { subject } => format!(
            "its subject is {subject}, and its signer signs only for kubelets: CN=system:node:NAME, O=system:nodes"
        ),
        SignerFault::Names { name } => {
            format!("it has the name {name}, and its signer signs none")
        }
        SignerFault::NoServerNames => {
            "its signer signs only certificates with DNS names or addresses, and no other names"
                .to_owned()
        }
        SignerFault::OtherAuthority { authority } => {
            format!("{authority} signs it, and its signer has the key of the cluster's CA alone")
        }
        SignerFault::Unknown => "Kubernetes has no such signer".to_owned(),
    }
}
