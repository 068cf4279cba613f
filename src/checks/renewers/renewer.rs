//! One that renews.

/// Somebody else who renews, regularly and by himself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Renewer {
    /// Who: `k8s-certs-renew.timer (/usr/local/bin/k8s-certs-renew.sh)`.
    pub who: String,
    /// What stops it, in words that follow "take over: ".
    pub take_over: String,
}
