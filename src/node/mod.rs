//! What is on this node: certificates, keys, kubeconfigs, authorities, static pods, kubelet.
//!
//! [`observe`] reads the disk and never fails as a whole; a file that cannot be read is an entry with a
//! [`Problem`]. Parsers here are pure functions over text; reading is one bounded function beside them.

mod accounts;
mod called_for;
mod certificate_id;
mod described;
mod encoding;
mod go_duration;
mod hard_links;
mod inventory;
mod known_keys;
mod kubeadm_config;
mod kubeconfig;
mod kubelet;
mod kubelet_files;
mod lot;
mod manifest;
mod name_servers;
mod observe;
mod owners;
mod pod_ref;
mod problem;
mod read;
mod replaceable;
mod trust;
mod units;
mod words;
mod yaml;

pub use accounts::{Account, accounts};
pub use called_for::{CalledFor, all_missing_names, called_for, missing_names};
pub use certificate_id::{CertificateId, listed};
pub use described::Described;
pub use hard_links::{HardLinks, hard_links};
pub use inventory::{
    Authority, AuthorityState, CertificateState, ClientLink, Custody, Directories, Entry,
    Inventory, KeyState, Present, ServiceAccountKeys, Signer,
};
pub use known_keys::{KeyFile, KnownKey, known_keys, known_keys_file};
pub(crate) use kubeadm_config::is_dns_name;
pub use kubeadm_config::{
    ControlPlane, Defaults, KubeadmConfigError, parse_kubeadm_config, read_kubeadm_config,
    subject_alt_name,
};
pub use kubeconfig::{Credential, EmbeddedUser, Kubeconfig, KubeconfigError, ONE_OF_EACH, Waiting};
pub use kubelet::{BootstrapEdit, KubeletConfiguration, with_serving_bootstrap};
pub use kubelet_files::KUBELET_CLIENT;
pub use lot::Lot;
pub use manifest::{
    Container, FlagFiles, HttpProbe, ManifestError, RESTARTED_AT, StaticPod, annotated,
};
pub use name_servers::name_servers;
pub(crate) use observe::host_name;
pub use observe::{observe, observe_to_report};
pub use pod_ref::{PodRef, components};
pub use problem::{Block, Document, Fault, NamedBy, Problem};
pub use replaceable::{Replaceable, trusted};
pub use trust::{Trust, TrustHolder};
pub use units::{ServiceSetting, service_settings};
