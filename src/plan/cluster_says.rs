//! Where the cluster's own configuration wants other certificates than this node's configuration makes. It is said and not followed:
//! whoever may write to kube-system decides nothing here.

use std::fmt;

use crate::config::{CertificateRenewal, Config, KeyPolicy, show_duration};
use crate::node::{Entry, Inventory, Present};

/// One difference. [`fmt::Display`] says it; `docs/codes.md` lists the codes.
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
pub enum ClusterSays {
    /// `certificateValidityPeriod` is not `renewal.validity`.
    OtherValidity {
        /// The cluster's.
        cluster: String,
        /// This node's.
        here: String,
    },
    /// `encryptionAlgorithm` is not what new keys are made of.
    OtherAlgorithm {
        /// The cluster's.
        cluster: String,
        /// This node's: an algorithm, or that of the old keys.
        here: String,
    },
}

impl ClusterSays {
    /// Its code, which never changes: `other-validity`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for ClusterSays {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unless = "what this node's configuration says counts";
        match self {
            Self::OtherValidity { cluster, here } => write!(
                out,
                "the cluster's kubeadm-config has certificateValidityPeriod {cluster}, and renewal.validity is {here}; {unless}"
            ),
            Self::OtherAlgorithm { cluster, here } => write!(
                out,
                "the cluster's kubeadm-config has encryptionAlgorithm {cluster}, and new keys are {here} (renewal.key-algorithm); \
                 {unless}"
            ),
        }
    }
}

/// What the cluster's own configuration says otherwise of kubeadm's certificates, as far as it is known.
#[must_use]
pub fn cluster_says(inventory: &Inventory, config: &Config) -> Vec<ClusterSays> {
    let Some(cluster) = &inventory.cluster else {
        return Vec::new();
    };
    let of_kubeadm = |entry: &&Entry| entry.id.is_catalogued() && entry.is_renewed_here();
    let made: Vec<(CertificateRenewal, &Present)> = inventory
        .entries
        .iter()
        .filter(of_kubeadm)
        .filter_map(|entry| Some((config.renewal.of(entry.id.as_str()), entry.present()?)))
        .collect();
    let other_validity = cluster.said.validity.and_then(|validity| {
        let (renewal, _) = made.iter().find(|(one, _)| one.validity != validity)?;
        Some(ClusterSays::OtherValidity {
            cluster: show_duration(validity),
            here: show_duration(renewal.validity),
        })
    });
    let other_algorithm = cluster.said.key_algorithm.and_then(|algorithm| {
        let after = |renewal: &CertificateRenewal, present: &Present| {
            renewal.key_algorithm.after(&present.leaf.key_kind())
        };
        let other = made
            .iter()
            .find(|(renewal, present)| after(renewal, present) != algorithm);
        let (renewal, present) = other?;
        let key = after(renewal, present);
        Some(ClusterSays::OtherAlgorithm {
            cluster: algorithm.to_string(),
            here: match renewal.key_algorithm {
                KeyPolicy::Keep => format!("of the old ones' kind, such as {key}"),
                KeyPolicy::Always(_) => key.to_string(),
            },
        })
    });
    other_validity.into_iter().chain(other_algorithm).collect()
}
