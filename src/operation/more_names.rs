//! Names that a renewal puts into a server's certificate because an administrator asks for them. Every other renewal keeps the names as
//! they are, and those that were added are among them from then on.

use std::collections::BTreeMap;

use super::OperationError;
use crate::node::{CertificateId, Custody, Entry, Inventory, Signer, missing_names};
use crate::pki::SubjectAltName;
use crate::plan::{Action, Plan, Request};

/// Which names new certificates get besides those of the old ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MoreNames {
    /// None.
    #[default]
    None,
    /// These, each of them.
    These(Vec<SubjectAltName>),
    /// Those that the node and the cluster's configuration call for.
    CalledFor,
}

/// By certificate.
pub(super) type NamesByCertificate = BTreeMap<CertificateId, Vec<SubjectAltName>>;

impl MoreNames {
    /// Refuses at once what can have no further names, whether it is renewed or not.
    ///
    /// # Errors
    /// [`OperationError::NamesRefused`].
    pub fn check(&self, node: &Inventory, request: &Request) -> Result<(), OperationError> {
        let (Self::These(_), Request::Named { names, .. }) = (self, request) else {
            return Ok(());
        };
        let named = names.iter().filter_map(|name| node.find(name));
        named
            .map(|entry| &entry.id)
            .try_for_each(|id| check(node, id))
    }

    /// The names of each certificate that the plan renews.
    ///
    /// # Errors
    /// [`OperationError::NamesRefused`] where one of them can have none.
    pub(super) fn for_plan(
        &self,
        node: &Inventory,
        plan: &Plan,
    ) -> Result<NamesByCertificate, OperationError> {
        let is_renewed = |action: &Action| matches!(action, Action::Renew(_));
        let mut all = BTreeMap::new();
        for item in plan.items.iter().filter(|item| is_renewed(&item.action)) {
            let names = match self {
                Self::None => Vec::new(),
                Self::These(names) => names.clone(),
                Self::CalledFor => missing_names(node, &item.id)
                    .into_iter()
                    .map(|one| one.name)
                    .collect(),
            };
            if !names.is_empty() {
                check(node, &item.id)?;
                all.insert(item.id.clone(), names);
            }
        }
        Ok(all)
    }
}

fn check(node: &Inventory, id: &CertificateId) -> Result<(), OperationError> {
    let refused = |reason: &str| {
        Err(OperationError::NamesRefused {
            certificate: id.clone(),
            reason: reason.to_owned(),
        })
    };
    let Some(entry) = node.entry(id) else {
        return Ok(());
    };
    let Custody::Issuer(authority) = entry.custody() else {
        return refused("it is not renewed by kubecertd, so neither are its names");
    };
    if !is_servers(entry) {
        return refused(
            "it is a client's certificate: whoever checks it goes by its user and groups, and names in it are of no use",
        );
    }
    let is_elsewhere = node
        .authority(authority)
        .is_some_and(|authority| authority.is_external())
        || entry
            .present()
            .is_some_and(|present| matches!(present.signer, Signer::Foreign(_)));
    if is_elsewhere {
        return refused(
            "its CA's key is not on this node, and a request asks for what the certificate has; have it signed with that name \
             where the key is, and put it in place",
        );
    }
    Ok(())
}

/// Whether a server proves its name by it. Without extended key usages it is good for everything.
fn is_servers(entry: &Entry) -> bool {
    const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
    let has_names = entry.present().is_some_and(|present| {
        let usages = &present.leaf.extended_key_usage;
        usages.is_empty() || usages.iter().any(|usage| usage == SERVER_AUTH)
    });
    entry.id.is_server() && has_names
}
