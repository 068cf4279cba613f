//! Where the cluster's own configuration wants other certificates than this node's configuration makes. It is said and not followed:
//! whoever may write to kube-system decides nothing here.

use std::fmt;

use crate::config::{Config, KeyPolicy, show_duration};
use crate::node::Inventory;

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

/// What the cluster's own configuration says otherwise, as far as it is known.
#[must_use]
pub fn cluster_says(inventory: &Inventory, config: &Config) -> Vec<ClusterSays> {
    let Some(cluster) = &inventory.cluster else {
        return Vec::new();
    };
    let renewal = &config.renewal;
    let mut said = Vec::new();
    if let Some(validity) = cluster.said.validity
        && validity != renewal.validity
    {
        said.push(ClusterSays::OtherValidity {
            cluster: show_duration(validity),
            here: show_duration(renewal.validity),
        });
    }
    if let Some(algorithm) = cluster.said.key_algorithm {
        let mut made = inventory
            .entries
            .iter()
            .filter(|entry| entry.is_renewed_here())
            .filter_map(|entry| entry.present())
            .map(|present| renewal.key_algorithm.after(&present.leaf.key_kind()));
        if let Some(other) = made.find(|made| *made != algorithm) {
            said.push(ClusterSays::OtherAlgorithm {
                cluster: algorithm.to_string(),
                here: match renewal.key_algorithm {
                    KeyPolicy::Keep => format!("of the old ones' kind, such as {other}"),
                    KeyPolicy::Always(_) => other.to_string(),
                },
            });
        }
    }
    said
}
