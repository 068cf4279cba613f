//! What has copies, and what they are given.

use std::collections::BTreeSet;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::fault::CopyFault;
use crate::host::read_bounded;
use crate::node::{CertificateId, Credential, Kubeconfig};
use crate::pki::{Certificate, PrivateKey, certificates_from_pem};

/// One of the two files that have copies, as it was seen.
#[derive(Debug, Clone)]
pub struct Original {
    /// Which.
    pub id: CertificateId,
    /// Where it really lies.
    pub path: PathBuf,
    /// Its certificate.
    pub certificate: Certificate,
    /// SHA-256 of every certificate that was replaced in it, by the record.
    pub replaced: BTreeSet<String>,
}

/// Certificate and key as PEM, wiped when dropped.
pub(super) struct Credentials {
    /// With its chain.
    pub(super) certificate: Zeroizing<String>,
    /// Its key.
    pub(super) key: Zeroizing<String>,
}

impl Original {
    /// What copies are given, read only now: as long as nobody needs it, no key is in memory.
    ///
    /// # Errors
    /// [`CopyFault::OriginalElsewhere`] where it refers to files; [`CopyFault::OriginalUnusable`] where it has not the certificate that
    /// was seen, or not its key.
    pub(super) fn credentials(&self) -> Result<Credentials, CopyFault> {
        let contents = read_bounded(&self.path).map_err(unusable)?;
        let kubeconfig = Kubeconfig::parse(&*Zeroizing::new(contents)).map_err(unusable)?;
        let (Credential::Embedded(certificate), Credential::Embedded(key)) =
            (&kubeconfig.certificate, &kubeconfig.key)
        else {
            return Err(CopyFault::OriginalElsewhere);
        };
        let leaf = certificates_from_pem(certificate).map_err(unusable)?;
        if leaf.first() != Some(&self.certificate) {
            return Err(unusable("it has another certificate by now"));
        }
        if !PrivateKey::from_pem(key).is_ok_and(|key| key.matches(&self.certificate)) {
            return Err(unusable("its key does not belong to its certificate"));
        }
        let text = |pem: &[u8]| {
            let text = std::str::from_utf8(pem).map_err(unusable)?;
            Ok::<_, CopyFault>(Zeroizing::new(text.to_owned()))
        };
        Ok(Credentials {
            certificate: text(certificate)?,
            key: text(key)?,
        })
    }
}

fn unusable(reason: impl std::fmt::Display) -> CopyFault {
    CopyFault::OriginalUnusable {
        reason: reason.to_string(),
    }
}
