//! What a request is judged by.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::facts::ClusterFacts;
use super::request::KubeletRequest;
use crate::config::Approver;

/// A request with everything by which it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The request.
    pub request: &'a KubeletRequest,
    /// What is known of the cluster.
    pub facts: &'a ClusterFacts,
    /// What the configuration allows.
    pub settings: &'a Approver,
    /// What was approved, and is pending, besides.
    pub standing: &'a Standing,
    /// Where names lead, as far as that was looked up.
    pub lookups: &'a Lookups,
    /// Now.
    pub now: Timestamp,
}

/// What else was asked for and approved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many were approved by this program within the last minute.
    pub approved: usize,
    /// How many of this node within the last hour.
    pub of_node: usize,
    /// A request of the same node that was made later and is pending.
    pub newer: Option<String>,
}

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// To these addresses, at least one.
    To(Vec<IpAddr>),
    /// Nowhere, for this reason.
    Failed(String),
}

/// Where names lead.
pub type Lookups = BTreeMap<String, Lookup>;
