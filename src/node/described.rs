//! What the configuration says of one certificate.

use std::sync::Arc;

use crate::config::Description;

/// What the configuration says of a certificate that is not kubeadm's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The table's name: `NAME` of `[certificate.NAME]`.
    pub table: Arc<str>,
    /// What it says.
    pub description: Arc<Description>,
    /// The number of its `owner`.
    pub owner: Option<u32>,
    /// The number of its `group`.
    pub group: Option<u32>,
}
