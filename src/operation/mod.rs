//! One operation from plan to receipt: recover, observe, plan, issue, install, restart, prove, record.
//!
//! The daemon and the commands are two callers of the same functions here; what happens meanwhile reaches them as
//! [`Event`]s.

mod addresses;
mod adopted;
mod checks;
mod context;
mod ending;
mod error;
mod etcd;
mod event;
mod execute;
mod expired;
mod gate;
mod give_up;
mod in_flight;
mod issue;
mod known_keys;
mod kubelet;
mod log;
mod not_renewed;
mod old_keys;
mod past;
mod proof;
mod put_back;
mod recover;
mod remark;
mod renew;
mod report;
mod restart;
mod restarts;
mod restored;
mod right;
mod roll_back;
mod roll_back_error;
mod run;
mod table;
mod trusted;
mod turn;
mod turn_by_hand;
mod twins;
mod undo;
mod unfinished;
mod waiting;
mod witness;
mod words;

pub use addresses::{UnknownAddresses, look_at_addresses, needed_addresses};
pub use checks::{look_ahead, preflight, preflight_for};
pub use context::{Context, Machine};
pub use error::{Fault, OperationError};
pub use event::Event;
pub use expired::{recover_expired, recover_expired_holding};
pub use give_up::{GivenUp, give_up};
pub use log::{EventLog, log_line, log_summary};
pub use old_keys::tidy_backups;
pub use put_back::{Crossed, EndsSoon, RollBackNote, RollBackObstacle, Unfit, Unfitness};
pub use recover::{RecoveryReport, finish_recovery};
pub use remark::Remark;
pub use renew::renew;
pub use report::{NotRenewed, Options, RenewalReport};
pub use restart::{restart, unknown_component};
pub use roll_back::{LAST, RollBack, roll_back};
pub use roll_back_error::RollBackError;
pub use turn_by_hand::{clear_halt, look_at_whose_turn};
pub use witness::witnesses;
