//! `kubecertd run`: watch, plan, sleep until the next due moment, act, and tell systemd about it.

mod act;
mod alive;
mod clock;
mod configuration;
mod expired;
mod held;
mod others;
mod pass;
mod retry;
mod run;
mod say;
mod service;
mod systemd;
mod tidy;
mod uses;
mod watch;

pub use run::{DaemonError, StopSignals, run, stop_on_signal};
