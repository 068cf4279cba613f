//! kubecertd renews the certificates of a kubeadm control-plane node, restarts what uses them and
//! proves that the new ones are in use.
//!
//! One value goes down one line, and a module knows only those to its left:
//!
//! ```text
//! host  pki  config  net  api  node ─► plan ─► issuer ─► orders ─► journal, files ─► runtime, probe, restart ─► cluster ─► checks ─► report ─► credentials, operation ─► rehearsal, daemon, cli
//! ```
//!
//! `ARCHITECTURE.md` has the drawing and the promises; `cli` and `daemon` call the same functions.

pub mod api;
pub mod checks;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod credentials;
pub mod daemon;
pub mod files;
pub mod host;
pub mod issuer;
pub mod journal;
pub mod net;
pub mod node;
pub mod operation;
pub mod orders;
pub mod pki;
pub mod plan;
pub mod probe;
pub mod rehearsal;
pub mod report;
pub mod restart;
pub mod runtime;
