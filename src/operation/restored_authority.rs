//! A CA's certificate from before it was extended, in its places again.
//!
//! What else was changed in those files since stays: a kubeconfig may have a newer client certificate by now.

use zeroize::Zeroizing;

use crate::files::Kept;
use crate::host::{Root, read_bounded};
use crate::issuer::{Given, Replacement, with_authority};
use crate::node::{Authority, CertificateId, Inventory, KeyState, Kubeconfig, Present, Signer};
use crate::pki::{Certificate, certificates_from_pem, is_of_one_authority};

/// What a backup keeps of the files that held a CA's certificate.
pub(super) struct KeptAuthority<'node> {
    pub(super) id: CertificateId,
    authority: &'node Authority,
    kept: Vec<Kept>,
}

/// A CA's certificate and the files that are to have it.
pub(super) struct RestoredAuthority {
    pub(super) certificate: Certificate,
    pub(super) present: Present,
    /// Those that have another one now; the CA's own is the last.
    pub(super) files: Vec<Replacement>,
}

/// What was kept of authorities, and the rest. A described certificate that is called as one is told from it by its file; without one
/// of that name it is the authority's, of which perhaps only another place was changed.
pub(super) fn partition<'node>(
    root: &Root,
    inventory: &'node Inventory,
    kept: Vec<Kept>,
) -> (Vec<KeptAuthority<'node>>, Vec<Kept>) {
    let mut authorities: Vec<KeptAuthority<'node>> = inventory
        .authorities
        .iter()
        .map(|authority| KeptAuthority {
            id: CertificateId::of_authority(authority.name),
            authority,
            kept: Vec::new(),
        })
        .filter(|one| {
            let own = inventory.real(&one.authority.certificate_path);
            let is_alone = inventory.entry(&one.id).is_none();
            kept.iter().any(|(file, _)| {
                file.certificate.as_ref() == Some(&one.id)
                    && (is_alone || root.join(&file.path) == own)
            })
        })
        .collect();
    let mut rest = Vec::new();
    for (file, contents) in kept {
        let its = authorities
            .iter_mut()
            .find(|one| file.certificate.as_ref() == Some(&one.id));
        match its {
            Some(one) => one.kept.push((file, contents)),
            None => rest.push((file, contents)),
        }
    }
    authorities.retain(|one| !one.kept.is_empty());
    (authorities, rest)
}

/// `None` where the backup holds no certificate of the CA that is on the node now.
pub(super) fn restored_authority(
    root: &Root,
    inventory: &Inventory,
    kept: &KeptAuthority<'_>,
) -> Option<RestoredAuthority> {
    let (present, certificate) = before_and_now(kept)?;
    let mut files: Vec<Replacement> = kept
        .kept
        .iter()
        .filter_map(|(file, earlier)| {
            let path = root.join(&file.path);
            let now = read_bounded(inventory.real(&path))
                .map(Zeroizing::new)
                .ok()?;
            let earlier = earlier.as_ref().filter(|earlier| {
                let follows = with_authority(earlier, present);
                follows.is_ok_and(|follows| follows.as_ref() == Some(&now))
            });
            let contents = match earlier {
                Some(earlier) => earlier.clone(),
                None => with_authority(&now, &certificate).ok().flatten()?,
            };
            Some(Replacement {
                id: kept.id.clone(),
                path,
                contents,
                mode_if_new: 0o600,
                given: Given::default(),
            })
        })
        .collect();
    let own = inventory.real(&kept.authority.certificate_path);
    files.sort_by_key(|file| file.path == own);
    Some(RestoredAuthority {
        certificate,
        present: as_present(present),
        files,
    })
}

/// A certificate of the CA that is there now, and the one in its place that was kept. A file may hold several CAs' while one follows
/// another, of which one was changed.
fn before_and_now<'node>(kept: &KeptAuthority<'node>) -> Option<(&'node Certificate, Certificate)> {
    let contents = kept
        .kept
        .iter()
        .filter_map(|(_, contents)| contents.as_deref());
    let earlier: Vec<Certificate> = contents.flat_map(|one| authorities_in(one)).collect();
    let mut pairs: Vec<(&Certificate, &Certificate)> = Vec::new();
    for present in kept.authority.certificates()? {
        let same = earlier
            .iter()
            .filter(|one| is_of_one_authority(one, present));
        pairs.extend(same.map(|one| (present, one)));
    }
    let changed = pairs.iter().find(|(present, earlier)| present != earlier);
    let (present, earlier) = changed.or(pairs.first())?;
    Some((present, (*earlier).clone()))
}

fn authorities_in(contents: &[u8]) -> Vec<Certificate> {
    let bundle = Kubeconfig::parse(contents)
        .ok()
        .and_then(|kubeconfig| kubeconfig.certificate_authority);
    certificates_from_pem(bundle.as_deref().unwrap_or(contents)).unwrap_or_default()
}

/// Whoever puts it back looks at it as at any certificate.
fn as_present(certificate: &Certificate) -> Present {
    Present {
        leaf: certificate.clone(),
        chain: Vec::new(),
        key: KeyState::Unread,
        signer: Signer::Expected,
        modified: None,
    }
}
