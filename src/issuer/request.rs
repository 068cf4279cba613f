//! Asking another for a certificate: a new key, and the request that is signed with it.

use super::error::IssuanceError;
use super::old_key::old_key;
use super::order::{KeySource, Order, Wanted};
use crate::config::Renewal;
use crate::node::{CertificateId, Inventory};
use crate::pki::{IssueError, PrivateKey, request_successor};

/// A key, and the request for a certificate for it.
#[derive(Debug)]
pub struct Asked {
    /// The key.
    pub key: PrivateKey,
    /// The request, signed with it: PEM.
    pub request: String,
}

/// What is to be asked for as the successor of that certificate.
///
/// # Errors
/// [`IssuanceError`].
pub fn ask(
    inventory: &Inventory,
    renewal: &Renewal,
    id: &CertificateId,
) -> Result<Asked, IssuanceError> {
    let wanted = Wanted {
        id: id.clone(),
        may_end_sooner: false,
        more_names: Vec::new(),
    };
    let order = Order::elsewhere(inventory, renewal, &wanted)?;
    let failed = |source: IssueError| IssuanceError::Issue {
        id: id.clone(),
        source,
    };
    let key = match order.key {
        KeySource::Old(path) => old_key(order.entry, path, &order.present.leaf)?,
        KeySource::New(algorithm) => {
            PrivateKey::generate(algorithm).map_err(|error| failed(error.into()))?
        }
    };
    let request = request_successor(&order.present.leaf, &key).map_err(failed)?;
    Ok(Asked { key, request })
}
