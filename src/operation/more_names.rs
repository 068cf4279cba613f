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

/// By certificate; none that it has already.
pub type NamesByCertificate = BTreeMap<CertificateId, Vec<SubjectAltName>>;

impl MoreNames {
    /// Refuses at once what is named and can have none of the names that it would get, whether it is renewed or not.
    ///
    /// # Errors
    /// [`OperationError::NamesRefused`].
    pub fn check(&self, node: &Inventory, request: &Request) -> Result<(), OperationError> {
        let Request::Named { names, .. } = request else {
            return Ok(());
        };
        names
            .iter()
            .filter_map(|name| node.find(name))
            .map(|entry| &entry.id)
            .filter(|id| matches!(self, Self::These(_)) || !self.gained_by(node, id).is_empty())
            .try_for_each(|id| refused(node, id))
    }

    /// The names that this certificate would get, and has not.
    #[must_use]
    pub fn gained_by(&self, node: &Inventory, id: &CertificateId) -> Vec<SubjectAltName> {
        let mut names = match self {
            Self::None => Vec::new(),
            Self::These(names) => names.clone(),
            Self::CalledFor => missing_names(node, id)
                .into_iter()
                .map(|one| one.name)
                .collect(),
        };
        if let Some(present) = node.entry(id).and_then(|entry| entry.present()) {
            names.retain(|name| !present.leaf.subject_alt_names.contains(name));
        }
        names
    }

    /// The names of each certificate that the plan renews. Of those that are called for, what cannot have them goes without.
    ///
    /// # Errors
    /// [`OperationError::NamesRefused`] where one of them can have none of those that were given.
    pub fn for_plan(
        &self,
        node: &Inventory,
        plan: &Plan,
    ) -> Result<NamesByCertificate, OperationError> {
        let mut all = BTreeMap::new();
        for item in &plan.items {
            if !matches!(item.action, Action::Renew(_)) {
                continue;
            }
            let names = self.gained_by(node, &item.id);
            if names.is_empty() {
                continue;
            }
            if *self == Self::CalledFor && why_no_more_names(node, &item.id).is_some() {
                continue;
            }
            refused(node, &item.id)?;
            all.insert(item.id.clone(), names);
        }
        Ok(all)
    }
}

/// Why a renewal cannot put names into that certificate; `None` where it can.
#[must_use]
pub fn why_no_more_names(node: &Inventory, id: &CertificateId) -> Option<&'static str> {
    let entry = node.entry(id)?;
    let Custody::Issuer(authority) = entry.custody() else {
        return Some("it is not renewed by kubecertd, so neither are its names");
    };
    if !id.is_catalogued() {
        return Some(
            "names are added to certificates of kubeadm's only; have this one signed anew with that name and put it in place, and \
             renewals keep it",
        );
    }
    if !is_servers(entry) {
        return Some(
            "it is a client's certificate: whoever checks it goes by its user and groups, and names in it are of no use",
        );
    }
    let is_elsewhere = node
        .authority(authority)
        .is_some_and(|authority| authority.is_external())
        || entry
            .present()
            .is_some_and(|present| matches!(present.signer, Signer::Foreign(_)));
    is_elsewhere.then_some(
        "its CA's key is not on this node, and a request asks for what the certificate has; have it signed with that name \
         where the key is, and put it in place",
    )
}

fn refused(node: &Inventory, id: &CertificateId) -> Result<(), OperationError> {
    why_no_more_names(node, id).map_or(Ok(()), |reason| {
        Err(OperationError::NamesRefused {
            certificate: id.clone(),
            reason: reason.to_owned(),
        })
    })
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
