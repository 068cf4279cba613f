//! The kubelet's client certificate, for a kubelet that cannot start and therefore cannot ask for one itself.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use super::files::{Given, Replacement, SECRET, replacements};
use super::{IssuanceError, Issued, Wanted, issue, kubeconfig};
use crate::config::{KeyPolicy, Renewal};
use crate::host::Root;
use crate::node::{CertificateId, Entry, Inventory, KUBELET_CLIENT, Kubeconfig};
use crate::pki::{KeyAlgorithm, certificates_to_pem};
use crate::plan::KubeletNeed;

/// What [`kubelet_client`] makes: the certificate, if a new one is needed, and the files it goes into.
pub type KubeletClient = (Option<Issued>, Vec<Replacement>);

/// Makes what the kubelet needs to start, as the kubelet does it: a file of its own for certificate and key (EC P-256),
/// and the link to it. A kubelet.conf that holds its certificate itself is made to refer to the link.
///
/// # Errors
/// [`IssuanceError`].
pub fn kubelet_client(
    root: &Root,
    inventory: &Inventory,
    renewal: &Renewal,
    need: &KubeletNeed,
    now: Timestamp,
) -> Result<KubeletClient, IssuanceError> {
    let refuse = |reason: String| IssuanceError::NotRenewable {
        id: CertificateId::KubeletClient,
        reason,
    };
    if *need == KubeletNeed::Nothing {
        return Ok((None, Vec::new()));
    }
    let config = inventory
        .entry(&CertificateId::KubeletConfig)
        .ok_or_else(|| refuse(NO_CONFIG.to_owned()))?;
    let current = inventory.directories.kubelet_pki.join(KUBELET_CLIENT);
    let like = match need {
        KubeletNeed::Nothing => return Ok((None, Vec::new())),
        KubeletNeed::Impossible(reason) => return Err(refuse(reason.clone())),
        KubeletNeed::Reference => {
            return Ok((None, vec![reference(root, config, &current)?]));
        }
        KubeletNeed::Certificate { like } => like,
    };
    let issued = sign(inventory, renewal, like, now)?;
    let files = kubelet_files(root, inventory, &issued, now)?;
    Ok((Some(issued), files))
}

/// The files into which a new client certificate of the kubelet's goes: as the kubelet itself keeps it, with kubelet.conf made to refer to
/// it where that held one itself, and to trust the CA that signed it where it did not.
///
/// # Errors
/// [`IssuanceError`].
pub fn kubelet_files(
    root: &Root,
    inventory: &Inventory,
    issued: &Issued,
    now: Timestamp,
) -> Result<Vec<Replacement>, IssuanceError> {
    let current = inventory.directories.kubelet_pki.join(KUBELET_CLIENT);
    let config = inventory
        .entry(&CertificateId::KubeletConfig)
        .ok_or_else(|| IssuanceError::NotRenewable {
            id: CertificateId::KubeletClient,
            reason: NO_CONFIG.to_owned(),
        })?;
    let embedded = config.certificate_path == config.path;
    if !embedded && config.certificate_path != current {
        // Somebody keeps the kubelet's certificate elsewhere and no kubelet rotates it: where it is, it is replaced.
        return replacements(inventory, issued);
    }
    let mut files = rotated(root, &current, issued, now)?;
    let learns = kubeconfig::trust_to_add(inventory, config, issued);
    if embedded || learns.is_some() {
        files.push(edited(root, config, |contents| {
            let contents = if embedded {
                refer_to(root, &contents, &current)?
            } else {
                contents
            };
            match learns {
                Some(signer) => kubeconfig::with_trust(&contents, signer),
                None => Ok(contents),
            }
        })?);
    }
    Ok(files)
}

const NO_CONFIG: &str = "there is no kubelet.conf on this node";

fn sign(
    inventory: &Inventory,
    renewal: &Renewal,
    like: &CertificateId,
    now: Timestamp,
) -> Result<Issued, IssuanceError> {
    let as_the_kubelet = Renewal {
        key_algorithm: KeyPolicy::Always(KeyAlgorithm::EcdsaP256),
        reuse_key: false,
        validity: renewal.of(like.as_str()).validity,
        ..Renewal::default()
    };
    let wanted = Wanted {
        id: like.clone(),
        may_end_sooner: false,
        more_names: Vec::new(),
    };
    issue(inventory, &as_the_kubelet, &[wanted], now)
        .into_iter()
        .next()
        .unwrap_or_else(|| {
            Err(IssuanceError::NotRenewable {
                id: like.clone(),
                reason: "nothing was made".to_owned(),
            })
        })
}

/// The file with certificate and key, and the link that makes it the current one; in this order.
fn rotated(
    root: &Root,
    current: &Path,
    issued: &Issued,
    now: Timestamp,
) -> Result<Vec<Replacement>, IssuanceError> {
    let key = issued.key.to_pem().map_err(|error| IssuanceError::Edit {
        id: CertificateId::KubeletClient,
        path: current.to_path_buf(),
        reason: error.to_string(),
    })?;
    let certificates =
        certificates_to_pem(std::iter::once(&issued.certificate).chain(&issued.chain));
    // The kubelet's names have the local time.
    let moment = now.to_zoned(TimeZone::system());
    let file = current.with_file_name(format!(
        "kubelet-client-{}.pem",
        moment.strftime("%Y-%m-%d-%H-%M-%S")
    ));
    let link = Replacement::link(
        CertificateId::KubeletClient,
        current.to_path_buf(),
        &root.node_path(&file),
    );
    let contents = [certificates.as_str(), key.as_str()].concat();
    Ok(vec![
        Replacement {
            id: CertificateId::KubeletClient,
            path: file,
            contents: Zeroizing::new(contents.into_bytes()),
            mode_if_new: SECRET,
            given: Given::default(),
        },
        link,
    ])
}

fn reference(root: &Root, config: &Entry, current: &Path) -> Result<Replacement, IssuanceError> {
    edited(root, config, |contents| refer_to(root, &contents, current))
}

/// The kubeconfig with a reference to the link.
fn refer_to(root: &Root, contents: &[u8], current: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let current = root.node_path(current);
    Kubeconfig::refer_to(contents, &current).map_err(|error| {
        format!(
            "{error}; make client-certificate and client-key of its user lead to {} by hand",
            current.display()
        )
    })
}

/// The kubelet's kubeconfig, edited.
fn edited(
    root: &Root,
    config: &Entry,
    edit: impl FnOnce(Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, String>,
) -> Result<Replacement, IssuanceError> {
    let contents = root
        .resolve(&config.path)
        .map_err(|error| error.to_string())
        .and_then(|real| kubeconfig::read(&real))
        .and_then(edit)
        .map_err(|reason| IssuanceError::Edit {
            id: config.id.clone(),
            path: config.path.clone(),
            reason,
        })?;
    Ok(Replacement {
        id: config.id.clone(),
        path: config.path.clone(),
        contents,
        mode_if_new: SECRET,
        given: Given::default(),
    })
}
