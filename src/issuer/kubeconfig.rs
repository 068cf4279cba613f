//! Kubeconfigs as places where a certificate and its key lie.

use std::path::Path;

use zeroize::Zeroizing;

use super::Issued;
use crate::host::read_bounded;
use crate::node::{CertificateId, Entry, Inventory, Kubeconfig, TrustHolder};
use crate::pki::{Catalogued, Certificate, certificates_to_pem};
use crate::plan::is_trusted;

/// Whether the entry's file is a kubeconfig.
pub(super) fn is_kubeconfig(entry: &Entry) -> bool {
    matches!(
        entry.id,
        CertificateId::Catalogued(Catalogued::Kubeconfig(_)) | CertificateId::KubeletConfig
    )
}

/// The CA that signed the new certificate, where the kubeconfig itself says whom its user trusts and does not have it: the API
/// server that it leads to gets its certificate from the same CA.
pub(super) fn trust_to_add<'a>(
    inventory: &Inventory,
    entry: &Entry,
    issued: &'a Issued,
) -> Option<&'a Certificate> {
    let own = inventory.trusts.iter().find(|trust| {
        matches!(
            &trust.holder,
            TrustHolder::Kubeconfig { id, embedded: true } if *id == entry.id
        )
    })?;
    let trusted = own.authorities.as_deref()?;
    (!is_trusted(trusted, &issued.signer, &[], issued.made)).then_some(&issued.signer)
}

/// The kubeconfig with one more CA that its user trusts.
pub(super) fn with_trust(
    contents: &[u8],
    signer: &Certificate,
) -> Result<Zeroizing<Vec<u8>>, String> {
    Kubeconfig::trust(contents, &certificates_to_pem([signer])).map_err(|error| {
        format!("{error}; add the CA's certificate to its certificate-authority-data by hand")
    })
}

/// A kubeconfig, which may hold a key.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    read_bounded(path)
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())
}
