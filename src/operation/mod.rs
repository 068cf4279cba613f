//! One operation from plan to receipt: recover, observe, plan, issue, install, restart, prove, record.
//!
//! The daemon and the commands are two callers of the same functions here; what happens meanwhile reaches them as
//! [`Event`]s.

mod addresses;
mod adopted;
mod api_access;
mod approver;
mod ask_again;
mod authority_proof;
mod authority_use;
mod checks;
mod context;
mod copies;
mod ending;
mod error;
mod etcd;
mod event;
mod execute;
mod expired;
mod extend;
mod extension;
mod fleet;
mod gate;
mod give_up;
mod hooks;
mod in_flight;
mod in_memory;
mod issue;
mod kept_configuration;
mod known_keys;
mod kubelet;
mod kubelet_accept;
mod kubelet_repair;
mod log;
mod machine;
mod maintenance;
mod more_names;
mod needed;
mod neighbours;
mod node_events;
mod not_renewed;
mod old_keys;
mod orders;
mod other_node;
mod own_configuration;
mod part;
mod past;
mod pending;
mod proof;
mod put_back;
mod recover;
mod remark;
mod renew;
mod report;
mod requests;
mod restart;
mod restarts;
mod restored;
mod restored_authority;
mod right;
mod roll_back;
mod roll_back_error;
mod roll_back_words;
mod run;
mod schedule;
mod serving_bootstrap;
mod table;
mod trusted;
mod turn;
mod turn_ahead;
mod turn_by_hand;
mod twins;
mod undo;
mod unfinished;
mod users;
mod waiting;
mod witness;
mod words;

pub use addresses::{UnknownAddresses, look_at_addresses, needed_addresses};
pub use approver::ApproverDuty;
pub use ask_again::{ask_again, pending_here};
pub use authority_use::{OldAuthority, authority_changed, old_authorities};
pub use checks::{look_ahead, preflight, preflight_for};
pub use context::{Context, Machine};
pub use copies::{catch_up_copies, look_at_copies};
pub use error::{Fault, OperationError};
pub use event::Event;
pub use expired::{recover_expired, recover_expired_holding};
pub use extend::{
    ExtensionPreview, ExtensionReport, authorities_called, extend_authorities, preview_extension,
};
pub use extension::{ExtensionWish, Readers};
pub use fleet::give_back_old_slot;
pub use give_up::{GivenUp, give_up};
pub use hooks::hooks;
pub use kubelet_accept::{Accepted, Admission, accept_kubelet, look_at_admission};
pub use kubelet_repair::{look_at_kubelet_repair, repair_kubelet};
pub use log::{EventLog, log_line, log_summary};
pub use machine::MachineTeller;
pub use more_names::{MoreNames, NamesByCertificate, why_no_more_names};
pub use neighbours::{FleetSeen, Neighbours, look_at_fleet, own_report};
pub use node_events::{Happened, NodeEvents};
pub use old_keys::tidy_backups;
pub use orders::{ask_issuers, keep_orders, look_at_orders};
pub use other_node::{cluster_has_node, is_control_plane};
pub use own_configuration::{Learned, look_at_own_configuration};
pub use pending::{
    LastAnswer, PendingProof, PendingStep, is_started_since, pending_proofs, what_to_do,
};
pub use put_back::{Crossed, EndsSoon, RollBackNote, RollBackObstacle, Unfit, Unfitness};
pub use recover::{RecoveryReport, finish_recovery};
pub use remark::Remark;
pub use renew::renew;
pub use report::{NotRenewed, Options, RenewalReport};
pub use requests::{Decided, Reviewed, Wanted, decide_request, list_requests, review_request};
pub use restart::{look_at_restarts, restart, restart_due, unknown_component};
pub use roll_back::{LAST, RollBack, roll_back};
pub use roll_back_error::RollBackError;
pub use schedule::{Schedule, schedule};
pub use serving_bootstrap::{
    BootstrapChanges, BootstrapReport, ServingSeen, bootstrap_changes, set_serving_bootstrap,
};
pub use turn_by_hand::{clear_halt, look_at_whose_turn};
pub use users::plan_users;
pub use witness::witnesses;
