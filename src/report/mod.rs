//! What is told to people and machines: the expiration table, the status file, the history.

mod address_filter;
mod approver;
mod authorities;
mod authority_change;
mod coded;
mod columns;
mod configuration;
mod copies;
mod duration;
mod expiration;
mod findings;
mod fleet;
mod halted;
mod history;
mod in_memory;
mod in_use;
mod log;
mod metrics;
mod pending_use;
mod plan;
mod plan_users;
mod requests;
mod status;

pub use crate::journal::{Described, RenewedCertificate};
pub use address_filter::address_filter;
pub use approver::ApproverStatus;
pub use authorities::{AuthoritiesView, AuthorityKnown};
pub use authority_change::{AuthorityChange, with_old_authority};
pub use coded::Coded;
pub(crate) use coded::fields;
pub(crate) use columns::columns;
pub use configuration::ConfigurationView;
pub use copies::CopiesView;
pub use duration::{human_duration, in_words};
pub use expiration::{CertificateRow, ExpirationInfo, Found, Within};
pub use findings::PreflightView;
pub use fleet::{FleetRow, FleetView};
pub use halted::halted;
pub use history::{Comparison, History, HistoryError, Receipt, Witness};
pub use in_memory::{InMemoryNext, InMemoryStatus};
pub use in_use::{InUse, UseState, in_use};
pub(crate) use log::EVENTS;
pub use log::{Level, start, start_for_command};
pub use metrics::{MetricsError, metrics, write_metrics};
pub use pending_use::{PendingNext, PendingUse};
pub use plan::PlanView;
pub use plan_users::PlanUser;
pub use requests::{RequestRow, RequestsView, ReviewView};
pub(crate) use status::count;
pub use status::{
    CertificateStatus, Failure, LastOperation, Next, State, Status, StatusError, read_status,
    status_file, write_status,
};
