//! kubeadm's configuration, as far as it decides over certificates: `ClusterConfiguration` and `InitConfiguration` of v1beta3,
//! v1beta4 and v1.
//!
//! Whoever writes the file decides which names the new certificates have; it is read within bounds, and nothing of it reaches a
//! certificate that is no name or address.

mod control_plane;
mod endpoint;
mod error;
mod fields;
mod names;
mod networks;
mod version;
mod written;

use std::path::Path;

use super::{read, yaml};
use crate::host::Root;
use written::{Document, Written};

pub use control_plane::{ControlPlane, Defaults};
pub use error::KubeadmConfigError;
pub(crate) use names::is_dns_name;
pub use names::subject_alt_name;
pub(super) use networks::first_service_address;

/// Reads a configuration at a real path. What it leaves open is `defaults`'.
///
/// # Errors
/// [`KubeadmConfigError`].
pub fn read_kubeadm_config(
    root: &Root,
    path: &Path,
    defaults: &Defaults,
) -> Result<ControlPlane, KubeadmConfigError> {
    let at = |reason: String| KubeadmConfigError::new(root.node_path(path), reason);
    let text = match read::find_text(root, path) {
        Ok(Some(text)) => text,
        Ok(None) => return Err(at("there is no such file".to_owned())),
        Err(fault) => return Err(at(fault.to_string())),
    };
    parse(&text, defaults).map_err(at)
}

/// Reads the text of one that comes from no file.
///
/// # Errors
/// What is wrong, and in which line.
pub fn parse_kubeadm_config(text: &str, defaults: &Defaults) -> Result<ControlPlane, String> {
    parse(text, defaults)
}

/// Reads the text of one.
fn parse(text: &str, defaults: &Defaults) -> Result<ControlPlane, String> {
    let documents: Vec<Document> = yaml::read_all(text)?;
    let mut written = Written::default();
    for document in documents {
        written.take(document)?;
    }
    if written.is_empty() {
        return Err(
            "has no ClusterConfiguration and no InitConfiguration of kubeadm; give one of them with apiVersion: \
             kubeadm.k8s.io/v1beta4"
                .to_owned(),
        );
    }
    ControlPlane::of(&written, defaults)
}

#[cfg(test)]
mod tests;
