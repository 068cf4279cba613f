//! `kubecertd run`: watch, plan, sleep until the next due moment, act, and tell systemd about it.

mod act;
mod alive;
mod approver;
mod aside;
mod clock;
mod configuration;
mod effect;
mod ending;
mod error;
mod event_loop;
mod expired;
mod held;
mod in_memory;
mod look;
mod odd_configuration;
mod of_its_own;
mod old_authorities;
mod others;
mod outside;
mod pass;
mod pending;
mod retry;
mod run;
mod say;
mod service;
mod signal;
mod state;
mod stop;
mod systemd;
mod tidy;
mod unkept;
mod uses;
mod watch;

pub use error::DaemonError;
pub use run::run;
pub use stop::{StopSignals, stop_on_signal};
