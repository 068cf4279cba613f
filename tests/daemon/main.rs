//! `kubecertd run` on a made-up node, and its configuration.

mod config_described;
mod config_files;
mod config_messages;
mod configuration;
mod described;
mod held_back;
mod metrics;
mod run;
mod watchdog;
