//! The cluster's own configuration, as kubeadm keeps it in kube-system/kubeadm-config.

use std::sync::Arc;

use crate::api::{Access, ApiError, ConfigMaps};
use crate::net::Address;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kubeadm-config";
const KEY: &str = "ClusterConfiguration";
/// More than any has: bytes. Whoever may write the ConfigMap may write a megabyte.
const LONGEST: usize = 64 << 10;

/// What a cluster has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnConfiguration {
    /// This text.
    Text(String),
    /// None: kubeadm did not make it.
    Absent,
    /// None that is kept: it is too long, or has letters that no configuration has.
    Unfit,
}

/// Asks each server in turn until one answers.
///
/// # Errors
/// [`ApiError`].
pub async fn read_own_configuration(
    access: &Arc<Access>,
    servers: &[Address],
) -> Result<OwnConfiguration, ApiError> {
    let mut last = None;
    for server in servers {
        match ConfigMaps::at(access, server, NAMESPACE)
            .text(NAME, KEY)
            .await
        {
            Err(error) if error.may_differ_elsewhere() => last = Some(error),
            answer => {
                return answer.map(|text| match text {
                    None => OwnConfiguration::Absent,
                    Some(text) if can_be_kept(&text) => OwnConfiguration::Text(text),
                    Some(_) => OwnConfiguration::Unfit,
                });
            }
        }
    }
    last.map_or(Ok(OwnConfiguration::Absent), Err)
}

/// Whether it is of a size that any has, and of letters that take no more than two each where it is kept: no text of others may make
/// that file larger than it may be, since it holds what this node acts by when the API is away.
fn can_be_kept(text: &str) -> bool {
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t');
    text.len() <= LONGEST && !text.contains(is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_that_makes_a_file_too_large() {
        assert!(can_be_kept("kind: ClusterConfiguration\r\n\tx: \"\\\"\n"));
        assert!(can_be_kept(&"\"".repeat(LONGEST)));
        assert!(!can_be_kept(&"x".repeat(LONGEST + 1)));
        // Six letters each in JSON.
        assert!(!can_be_kept("\u{1}"));
        let longest = serde_json::to_string(&"\"".repeat(LONGEST)).unwrap();
        assert!(longest.len() < 130 << 10);
    }
}
