//! Whether the controller-manager of this node signs what is approved in the certificates API. The authority's key is not opened for that.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::host::{Root, serialize_path};
use crate::node::{Inventory, KeyState, StaticPod};
use crate::pki::{AuthorityId, Certificate, certificates_from_pem, date};

const CONTROLLER_MANAGER: &str = "kube-controller-manager";
/// The controller that signs, by its name and the one that every release takes.
const CONTROLLERS: [&str; 2] = ["certificatesigningrequest-signing-controller", "csrsigning"];
/// Kubernetes' own signers, and what their flags are called (`pkg/controller/certificates/signer`).
const SIGNERS: [(&str, &str); 3] = [
    (
        "kubernetes.io/kube-apiserver-client",
        "kube-apiserver-client",
    ),
    (
        "kubernetes.io/kube-apiserver-client-kubelet",
        "kubelet-client",
    ),
    ("kubernetes.io/kubelet-serving", "kubelet-serving"),
];

/// One of Kubernetes' own signers as this node's controller-manager has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ClusterSigner {
    /// `spec.signerName`
    pub signer: &'static str,
    /// What keeps it from signing; `None` where nothing does, as far as is seen without its key.
    pub fault: Option<ClusterSignerFault>,
}

/// What keeps a signer from signing.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(
    tag = "code",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[strum(serialize_all = "kebab-case")]
pub enum ClusterSignerFault {
    /// No controller-manager runs as a static pod of this node.
    NoControllerManager,
    /// `--controllers` leaves the one out that signs.
    SigningOff {
        /// The flag.
        controllers: String,
    },
    /// The flags for certificate and key are not there, or empty.
    SigningFilesNotSet {
        /// The first that lacks.
        flag: String,
    },
    /// Flags for all signers beside those of one: the controller-manager does not start with both.
    SigningFlagsMixed {
        /// One of the latter.
        flag: String,
    },
    /// A file that the container cannot see.
    SigningFileNotMounted {
        /// The flag.
        flag: String,
    },
    /// The certificate cannot be read.
    SigningCertificateUnreadable {
        /// Its file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file has to hold exactly one certificate.
    SigningCertificateNotAlone {
        /// Its file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// How many it holds.
        count: usize,
    },
    /// What it signs, nobody of this cluster trusts.
    SigningCertificateForeign {
        /// Its file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
    },
    /// The certificate has ended, or has not begun.
    SigningCertificateNotValid {
        /// Its file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// When it ends.
        ends: Timestamp,
    },
    /// The key is not there, or not the certificate's.
    SigningKeyUnusable {
        /// Its file.
        #[serde(serialize_with = "serialize_path")]
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl ClusterSignerFault {
    /// Its code, which never changes: `signing-off`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl std::fmt::Display for ClusterSignerFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoControllerManager => formatter.write_str(
                "no kube-controller-manager runs here as a static pod; run this where one does",
            ),
            Self::SigningOff { controllers } => write!(
                formatter,
                "--controllers={controllers} leaves csrsigning out; add it"
            ),
            Self::SigningFilesNotSet { flag } => write!(
                formatter,
                "--{flag} is not set, as kubeadm makes it where the CA's key is elsewhere; have `kubeadm init phase control-plane \
                 controller-manager` make the manifest with the key in place, or run a kube-controller-manager with --controllers=csrsigning \
                 where the key is"
            ),
            Self::SigningFlagsMixed { flag } => write!(
                formatter,
                "--{flag} is set beside --cluster-signing-cert-file, and it starts with only one of the two; leave one out"
            ),
            Self::SigningFileNotMounted { flag } => write!(
                formatter,
                "--{flag} names a file that no volume of the pod has; mount it"
            ),
            Self::SigningCertificateUnreadable { path, reason } => {
                write!(formatter, "{}: {reason}; restore it", path.display())
            }
            Self::SigningCertificateNotAlone { path, count } => write!(
                formatter,
                "{} holds {count} certificates, and the signer takes a file with exactly one; give it one of its own with the CA \
                 certificate that the key belongs to",
                path.display()
            ),
            Self::SigningCertificateForeign { path } => write!(
                formatter,
                "{} is no certificate of this cluster's CA, so what it signs is accepted by no one here",
                path.display()
            ),
            Self::SigningCertificateNotValid { path, ends } => write!(
                formatter,
                "{} is not valid now (it ends on {}); `kubecertd ca extend` where its key is",
                path.display(),
                date(*ends)
            ),
            Self::SigningKeyUnusable { path, reason } => {
                write!(formatter, "{}: {reason}", path.display())
            }
        }
    }
}

/// Each of Kubernetes' own signers, as this node's controller-manager would start now.
#[must_use]
pub fn cluster_signers(root: &Root, inventory: &Inventory, now: Timestamp) -> Vec<ClusterSigner> {
    SIGNERS
        .into_iter()
        .map(|(signer, own)| ClusterSigner {
            signer,
            fault: files(inventory, own)
                .and_then(|files| check(root, inventory, &files, now))
                .err(),
        })
        .collect()
}

/// Certificate and key of a signer. Real paths.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

fn files(inventory: &Inventory, own: &str) -> Result<Files, ClusterSignerFault> {
    let pod = inventory
        .static_pod(CONTROLLER_MANAGER)
        .ok_or(ClusterSignerFault::NoControllerManager)?;
    let controllers = pod.flag("controllers").unwrap_or("*");
    if !is_on(controllers) {
        return Err(ClusterSignerFault::SigningOff {
            controllers: controllers.to_owned(),
        });
    }
    let is_set = |flag: &str| pod.flag(flag).is_some_and(|value| !value.is_empty());
    let ends = ["cert-file", "key-file"];
    let mut of_some = SIGNERS
        .iter()
        .flat_map(|(_, one)| ends.map(|end| format!("cluster-signing-{one}-{end}")))
        .filter(|flag| is_set(flag))
        .peekable();
    let of_all = ends.map(|end| format!("cluster-signing-{end}"));
    let flags = match of_some.peek() {
        None => of_all,
        Some(flag) if of_all.iter().any(|flag| is_set(flag)) => {
            return Err(ClusterSignerFault::SigningFlagsMixed { flag: flag.clone() });
        }
        Some(_) => ends.map(|end| format!("cluster-signing-{own}-{end}")),
    };
    if let Some(flag) = flags.iter().find(|flag| !is_set(flag)) {
        return Err(ClusterSignerFault::SigningFilesNotSet { flag: flag.clone() });
    }
    let [certificate, key] = flags.map(|flag| real(pod, flag));
    Ok(Files {
        certificate: certificate?,
        key: key?,
    })
}

fn real(pod: &StaticPod, flag: String) -> Result<PathBuf, ClusterSignerFault> {
    let path = pod.file_flag(&flag);
    path.ok_or(ClusterSignerFault::SigningFileNotMounted { flag })
}

/// As the controller-manager reads its flag: the first word about a controller counts, and `*` for those that nothing else is said of.
fn is_on(controllers: &str) -> bool {
    let mut words = controllers.split(',').map(str::trim);
    let about = words.find_map(|word| {
        let (is_on, name) = match word.strip_prefix('-') {
            Some(name) => (false, name),
            None => (true, word),
        };
        CONTROLLERS.contains(&name).then_some(is_on)
    });
    about.unwrap_or_else(|| controllers.split(',').any(|word| word.trim() == "*"))
}

fn check(
    root: &Root,
    inventory: &Inventory,
    files: &Files,
    now: Timestamp,
) -> Result<(), ClusterSignerFault> {
    let path = files.certificate.clone();
    let unreadable = |reason: String| ClusterSignerFault::SigningCertificateUnreadable {
        path: path.clone(),
        reason,
    };
    let text = root
        .read(&path)
        .map_err(|error| unreadable(error.to_string()))?;
    let certificates =
        certificates_from_pem(&text).map_err(|error| unreadable(error.to_string()))?;
    let [certificate] = certificates.as_slice() else {
        let count = certificates.len();
        return Err(ClusterSignerFault::SigningCertificateNotAlone { path, count });
    };
    let authority = inventory.authority(AuthorityId::Kubernetes);
    let known = authority
        .and_then(|authority| authority.certificates())
        .unwrap_or_default();
    if !known.iter().any(|one| is_same_authority(one, certificate)) {
        return Err(ClusterSignerFault::SigningCertificateForeign { path });
    }
    if !certificate.is_valid_at(now) {
        let ends = certificate.not_after;
        return Err(ClusterSignerFault::SigningCertificateNotValid { path, ends });
    }
    let unusable = |reason: &str| ClusterSignerFault::SigningKeyUnusable {
        path: files.key.clone(),
        reason: reason.to_owned(),
    };
    match root.resolve(&files.key).and_then(|real| root.look(&real)) {
        Ok(Some(found)) if found.is_file() => {}
        Ok(Some(_)) => return Err(unusable("it is no file")),
        Ok(None) => {
            return Err(unusable(
                "the key is not on this node, and the controller-manager that is started anew does not start; put it there, or make \
                 the manifest anew without it",
            ));
        }
        Err(error) => return Err(unusable(&error.to_string())),
    }
    // What is known of the authority's key was found out when it last signed.
    let is_its =
        |authority: &&crate::node::Authority| authority.key_path.as_ref() == Some(&files.key);
    match authority.filter(is_its).map(|authority| &authority.state) {
        Some(crate::node::AuthorityState::Present {
            key: KeyState::Mismatched,
            ..
        }) => Err(unusable("it is not the key of the certificate")),
        _ => Ok(()),
    }
}

fn is_same_authority(one: &Certificate, other: &Certificate) -> bool {
    one.public_key_der == other.public_key_der && one.subject_der == other.subject_der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_about_the_controller_counts() {
        for (flag, expected) in [
            ("*", true),
            ("*,bootstrapsigner,tokencleaner", true),
            ("csrsigning", true),
            ("certificatesigningrequest-signing-controller", true),
            ("*,-csrsigning", false),
            ("-csrsigning,*", false),
            ("*,-certificatesigningrequest-signing-controller", false),
            ("csrsigning,-csrsigning", true),
            ("bootstrapsigner", false),
            ("", false),
            (" * , -csrsigning", false),
        ] {
            assert_eq!(is_on(flag), expected, "{flag:?}");
        }
    }
}
