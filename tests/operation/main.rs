//! Operations from issuing to the receipt, on a node that runs.

mod outlook;
mod owed;
mod recovery;
mod whole;
