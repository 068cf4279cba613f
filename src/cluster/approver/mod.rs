//! Kubelets' requests for serving certificates: which of them may be approved without a person.
//!
//! `judge` is pure: what the API says of a request, of the Nodes and of the cluster goes in, and every check with its result comes out.
//! Everything in a request was written by a kubelet that may be another's by now, and so was the status of its Node.

mod backlog;
mod case;
mod desk;
mod facts;
mod judge;
mod judgement;
mod names;
mod node_table;
mod reason;
mod request;
mod words;

pub use backlog::{AUTO_APPROVED, Backlog};
pub use case::{Case, Lookup, Lookups, Standing};
pub use desk::{RequestDesk, look_up};
pub use facts::{ApiServers, ClusterFacts};
pub use judge::judge;
pub use judgement::{Judgement, Verdict, names_to_look_up};
pub use node_table::{NodeSeen, NodeTable};
pub use reason::{Check, CheckResult, Reason};
pub use request::{KubeletRequest, RequestState, RequestText, SERVING, is_request_name};
