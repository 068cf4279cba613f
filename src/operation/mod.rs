//! One operation from plan to receipt: recover, observe, plan, issue, install, restart, prove, record.
//!
//! The daemon and the commands are two callers of the same functions here; what happens meanwhile reaches them as
//! [`Event`]s.

mod addresses;
mod carry_out;
mod context;
mod ending;
mod error;
mod event;
mod expired;
mod give_up;
mod hand_over;
mod known_keys;
mod log;
mod old_keys;
mod past;
mod preflight;
mod recover;
mod renew;
mod restart;
mod restarts;
mod restored;
mod roll_back;
mod shared;
mod trusted;
mod waiting;
mod witness;

pub use addresses::{UnknownAddresses, look_at_addresses, needed_addresses};
pub use context::{Context, Machine};
pub use error::OperationError;
pub use event::Event;
pub use expired::{recover_expired, recover_expired_holding};
pub use give_up::{GivenUp, give_up};
pub use log::{EVENTS, EventLog, log_line, log_summary};
pub use old_keys::tidy_backups;
pub use preflight::{look_ahead, preflight, preflight_for};
pub use recover::{RecoveryReport, finish_recovery};
pub use renew::{Options, RenewalReport, renew};
pub use restart::{restart, unknown_component};
pub use roll_back::{LAST, RollBack, RollBackError, roll_back};
pub use witness::witnesses;
