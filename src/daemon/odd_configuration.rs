//! What is valid in the configuration and probably not meant, of itself or on this node.

use crate::config::{Loaded, NamedCertificate, load};
use crate::node::Inventory;
use crate::operation::Context;

/// What is valid in the configuration on disk and probably not meant.
#[derive(Debug, Default)]
pub(super) struct OddConfiguration {
    sentences: Vec<String>,
    /// What it names, to be compared with the node.
    named: Vec<NamedCertificate>,
}

impl OddConfiguration {
    pub(super) fn of(loaded: &Loaded) -> Self {
        Self {
            sentences: loaded.warnings.iter().map(ToString::to_string).collect(),
            named: loaded.named.clone(),
        }
    }

    /// One each, on a node with those certificates.
    pub(super) fn sentences(&self, inventory: &Inventory) -> Vec<String> {
        let known = inventory.names();
        let unknown = self.named.iter().filter_map(|named| named.unknown(&known));
        self.sentences
            .iter()
            .cloned()
            .chain(unknown.map(|odd| odd.to_string()))
            .collect()
    }
}

/// What is odd about the configuration on disk.
pub(super) fn odd(context: &Context) -> OddConfiguration {
    load(&context.root, context.config_file.as_deref())
        .map(|loaded| OddConfiguration::of(&loaded))
        .unwrap_or_default()
}
