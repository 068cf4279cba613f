//! kubecertd's own configuration, in three steps: what a file says (all optional), what all files say
//! together (drop-ins merged), and what it means ([`Config`], checked, with defaults).

mod address;
mod approver;
mod certificate_table;
mod description;
mod description_check;
mod error;
mod fragment;
mod issuer;
mod issuer_check;
mod issuer_table;
mod keys;
mod lists;
mod load;
mod merge;
mod named;
mod nearest;
mod network;
mod odd;
mod quantity;
mod renewal;
mod signer_name;
mod source;
mod table_section;
mod tables;
mod types;
mod unknown;
mod value;
mod window;
mod written_name;

pub use approver::{Approver, ApproverMode, NamePattern};
pub use description::{CertificateUser, Description, ServedAt, UnitAction};
pub use error::{ConfigError, ConfigWarning, Mistake, Oddity};
pub use issuer::{ApiSigner, IssuerWay, Issuers, NamedIssuer, RequestFiles};
pub use load::{Loaded, Origin, directories, load, load_what_is_right, parse};
pub use named::NamedCertificate;
pub(crate) use nearest::nearest;
pub use network::Network;
pub(crate) use quantity::show_duration;
pub use renewal::{CertificateRenewal, KeyPolicy, OtherRenewer, OwnRenewal, Renewal};
pub use types::{
    AdminCopies, Backup, ClusterApi, Config, Discover, Drain, Events, Hooks, Kubelet,
    KubeletRepair, Locations, Log, LogFormat, Metrics, Restart, RestartBy, RestartMode,
    RestartWait, Turn, TurnMode,
};
pub(crate) use value::check_filter;
pub use window::Window;
