//! The commands, as processes, on a made-up node.

mod admin_copies;
mod check_expiration;
mod described;
mod described_hands;
mod described_hosts;
mod described_patterns;
mod earlier_format;
mod exit_codes;
mod history;
mod hostile_copies;
mod hostile_files;
mod hostile_links;
mod hostile_marks;
mod hostile_root;
mod hostile_state;
mod kubelet_repair;
mod more_names;
mod opens;
mod receipts;
mod recover_expired;
mod rehearse;
mod renew;
mod renew_reach;
mod retention;
mod secrets;
mod state_directory;
