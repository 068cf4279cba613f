//! The certificates of a backup as they would stand on the node again.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::put_back::{EndsSoon, RollBackNote, Unfitness};
use super::restored_authority::{KeptAuthority, partition, restored_authority};
use crate::config::Renewal;
use crate::files::Kept;
use crate::host::{Root, digest, read_bounded};
use crate::issuer::{Given, Replacement};
use crate::node::{CertificateId, Credential, Entry, Inventory, Kubeconfig, Present, Signer};
use crate::pki::{Certificate, PrivateKey, SuccessorError, certificates_from_pem, check_stand_in};
use crate::plan::{jitter, lead};
use crate::report::{Described, RenewedCertificate};

/// How long the daemon leaves alone what was rolled back, and how near its end it does not.
const ROLLED_BACK_FOR: SignedDuration = SignedDuration::from_hours(24);

/// How near its end a CA is said to end soon.
const AUTHORITY_ENDS_SOON: SignedDuration = SignedDuration::from_hours(90 * 24);

/// One certificate with its files.
pub(super) struct Restored {
    pub(super) id: CertificateId,
    pub(super) files: Vec<Replacement>,
    certificate: Option<Certificate>,
    key: Option<PrivateKey>,
    /// What is there now.
    present: Option<Present>,
    in_place: bool,
    /// When its private key was removed from the backup.
    key_removed: Option<Timestamp>,
    /// Whether it is a CA's own certificate, which has a key on this node or elsewhere that stays.
    is_authority: bool,
}

impl std::fmt::Debug for Restored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Restored")
            .field("id", &self.id)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// The certificates of a generation, and which of its files are not put back.
pub(super) fn restored(
    root: &Root,
    inventory: &Inventory,
    kept: Vec<Kept>,
) -> (Vec<Restored>, Vec<RollBackNote>) {
    let (of_authorities, kept) = partition(root, inventory, kept);
    let mut all: Vec<Restored> = of_authorities
        .into_iter()
        .filter_map(|kept| Restored::of_authority(root, inventory, kept))
        .collect();
    let mut notes = Vec::new();
    let foreign = not_renewed_here(inventory, &kept);
    notes.extend(
        foreign
            .iter()
            .cloned()
            .map(|certificate| match certificate {
                CertificateId::Found(_) => RollBackNote::NotDescribed { certificate },
                _ => RollBackNote::KubeletsOwn { certificate },
            }),
    );
    for (file, contents) in kept {
        // A manifest, which only went out and back.
        let Some(id) = file.certificate.filter(|id| !foreign.contains(id)) else {
            continue;
        };
        let path = root.join(&file.path);
        if let Some(held) = &file.contents
            && held.removed.is_some()
        {
            let index = index_of(&mut all, &id, inventory);
            let one = &mut all[index];
            let now = root.read(&path).map(Zeroizing::new);
            one.in_place &= now.is_ok_and(|now| digest(&now) == held.sha256);
            one.key_removed = held.removed;
            continue;
        }
        let (Some(contents), Some(held)) = (contents, file.contents) else {
            notes.push(RollBackNote::NotThereBefore { path });
            continue;
        };
        let index = index_of(&mut all, &id, inventory);
        let one = &mut all[index];
        let now = root.read(&path).map(Zeroizing::new);
        one.in_place &= now.is_ok_and(|now| now == contents);
        one.take_from(&contents);
        one.files.push(Replacement {
            id,
            path,
            contents,
            mode_if_new: held.attributes.mode,
            given: Given::default(),
        });
    }
    for one in all.iter_mut().filter(|one| !one.is_authority) {
        one.complete_from_node(inventory);
    }
    (all, notes)
}

/// Where a certificate is in the list, at its end if it was not there yet.
fn index_of(all: &mut Vec<Restored>, id: &CertificateId, inventory: &Inventory) -> usize {
    all.iter().position(|one| one.id == *id).unwrap_or_else(|| {
        all.push(Restored::new(id, inventory));
        all.len() - 1
    })
}

/// The kubelet's certificates, which are renewed here only when they have expired: going back would stop it again. And those that the
/// configuration does not describe any more.
fn not_renewed_here(inventory: &Inventory, kept: &[Kept]) -> BTreeSet<CertificateId> {
    kept.iter()
        .filter_map(|(file, _)| file.certificate.clone())
        .filter(|id| !inventory.entry(id).is_some_and(Entry::is_renewed_here))
        .collect()
}

impl Restored {
    fn new(id: &CertificateId, inventory: &Inventory) -> Self {
        let present = inventory.entry(id).and_then(|entry| entry.present());
        Self {
            id: id.clone(),
            files: Vec::new(),
            certificate: None,
            key: None,
            present: present.cloned(),
            in_place: true,
            key_removed: None,
            is_authority: false,
        }
    }

    /// A CA's certificate from before it was extended.
    fn of_authority(root: &Root, inventory: &Inventory, kept: KeptAuthority<'_>) -> Option<Self> {
        let found = restored_authority(root, inventory, &kept)?;
        Some(Self {
            id: kept.id,
            in_place: found.files.is_empty(),
            files: found.files,
            certificate: Some(found.certificate),
            key: None,
            present: Some(found.present),
            key_removed: None,
            is_authority: true,
        })
    }

    /// When its private key was removed from the backup, if it was.
    pub(super) fn key_removed(&self) -> Option<Timestamp> {
        self.key_removed
    }

    /// Whether every file is as the backup has it.
    pub(super) fn is_in_place(&self) -> bool {
        self.in_place
    }

    /// Whether nothing speaks against its certificate's dates. One that is not in the backup has none.
    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.certificate
            .as_ref()
            .is_none_or(|certificate| certificate.is_valid_at(now))
    }

    /// When its certificate begins and ends, if the backup holds one.
    pub(super) fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        let certificate = self.certificate.as_ref()?;
        Some((certificate.not_before, certificate.not_after))
    }

    /// Whether what is there now is of use, if anything is.
    pub(super) fn replaces_valid_at(&self, now: Timestamp) -> bool {
        self.present
            .as_ref()
            .is_none_or(|present| present.leaf.is_valid_at(now))
    }

    /// What stands against it; `force` lifts that it is not valid now, or lacks something.
    pub(super) fn obstacle(
        &self,
        inventory: &Inventory,
        force: bool,
        now: Timestamp,
    ) -> Option<Unfitness> {
        self.unfitness(inventory, now)
            .filter(|why| !(force && why.is_lifted_by_force()))
    }

    fn unfitness(&self, inventory: &Inventory, now: Timestamp) -> Option<Unfitness> {
        if let Some(removed) = self.key_removed {
            return Some(Unfitness::KeysRemoved { removed });
        }
        let Some(certificate) = &self.certificate else {
            return Some(Unfitness::NoCertificate);
        };
        if self.is_authority {
            return self.unfitness_of_authority(certificate, now);
        }
        let Some(key) = &self.key else {
            return Some(Unfitness::NoKey);
        };
        let trusted = inventory
            .entry(&self.id)
            .and_then(|entry| entry.authority)
            .and_then(|authority| inventory.authority(authority))
            .and_then(|authority| authority.certificates());
        let Some(trusted) = trusted else {
            return Some(Unfitness::AuthorityUnreadable);
        };
        let stands_for = self
            .present
            .as_ref()
            .map_or(certificate, |present| &present.leaf);
        let why = match check_stand_in(stands_for, certificate, key, trusted, now) {
            Ok(()) => None,
            Err(SuccessorError::NotValidNow(_)) if now < certificate.not_before => {
                Some(Unfitness::NotYetValid {
                    begins: certificate.not_before,
                })
            }
            Err(SuccessorError::NotValidNow(_)) => Some(Unfitness::Expired {
                ended: certificate.not_after,
            }),
            Err(SuccessorError::Lacks(what)) => Some(Unfitness::Lacks { what }),
            Err(SuccessorError::Untrusted { issuer }) => Some(Unfitness::ForeignIssuer { issuer }),
            Err(SuccessorError::KeyMismatch) => Some(Unfitness::KeyMismatch),
            Err(error) => Some(Unfitness::NotAccepted {
                reason: error.to_string(),
            }),
        };
        let is_choice = why.as_ref().is_none_or(Unfitness::is_lifted_by_force);
        match self.foreign_issuer().filter(|_| is_choice) {
            Some(issuer) => Some(Unfitness::ForeignPresent {
                issuer: issuer.to_owned(),
            }),
            None => why,
        }
    }

    /// A CA's certificate is as good as another of it, but for its time.
    fn unfitness_of_authority(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Option<Unfitness> {
        if now < certificate.not_before {
            let begins = certificate.not_before;
            return Some(Unfitness::NotYetValid { begins });
        }
        let ended = certificate.not_after;
        (now > ended).then_some(Unfitness::Expired { ended })
    }

    /// The serial of the certificate that is there now, if there is one.
    pub(super) fn present_serial(&self) -> Option<&str> {
        let present = self.present.as_ref()?;
        Some(&present.leaf.serial)
    }

    /// Whether the certificate of the backup is valid but near its end, by what `renewal` says of it;
    /// `None` where it is not, or where what is there now ends no later.
    pub(super) fn ends_soon(
        &self,
        inventory: &Inventory,
        renewal: &Renewal,
        now: Timestamp,
    ) -> Option<EndsSoon> {
        let certificate = self.certificate.as_ref()?;
        let end = certificate.not_after;
        let is_no_worse = self
            .present
            .as_ref()
            .is_some_and(|present| present.leaf.not_after <= end);
        if is_no_worse || !certificate.is_valid_at(now) {
            return None;
        }
        let left = end.duration_since(now);
        if self.is_authority {
            return (left <= AUTHORITY_ENDS_SOON).then(|| EndsSoon {
                certificate: self.id.clone(),
                ends: end,
                at: now,
                at_once: false,
                is_authority: true,
            });
        }
        let lifetime = end.duration_since(certificate.not_before);
        let before = renewal.of(self.id.as_str()).before;
        let before = SignedDuration::try_from(before).unwrap_or(SignedDuration::MAX);
        let lived = Duration::try_from(lifetime).unwrap_or_default();
        let lead = lead(lived, jitter(inventory, renewal));
        let lead = SignedDuration::try_from(lead).unwrap_or_default();
        if left > before.min(lifetime / 3).saturating_add(lead) {
            return None;
        }
        Some(EndsSoon {
            certificate: self.id.clone(),
            ends: end,
            at: now,
            at_once: left <= ROLLED_BACK_FOR,
            is_authority: false,
        })
    }

    /// Who issued the present certificate, if that was not the local CA: then nothing is put over it.
    fn foreign_issuer(&self) -> Option<&str> {
        let present = self.present.as_ref()?;
        let is_foreign = matches!(present.signer, Signer::SelfSigned | Signer::Foreign(_));
        is_foreign.then_some(present.leaf.issuer.as_str())
    }

    /// Its kubeconfigs that were changed in other ways than by a renewal since they were backed up: that goes as well.
    pub(super) fn changed_otherwise(&self) -> impl Iterator<Item = &Path> {
        let files = self.files.iter().filter(|_| !self.is_authority);
        files
            .filter(|file| is_changed_otherwise(&file.path, &file.contents))
            .map(|file| file.path.as_path())
    }

    /// For the receipt and the table.
    pub(super) fn line(&self) -> Option<RenewedCertificate> {
        let certificate = self.certificate.as_ref()?;
        let before = self
            .present
            .as_ref()
            .map_or(certificate, |present| &present.leaf);
        Some(RenewedCertificate {
            id: self.id.clone(),
            path: self.files.last()?.path.clone(),
            old_serial: before.serial.clone(),
            new_serial: certificate.serial.clone(),
            old_not_after: before.not_after,
            new_not_after: certificate.not_after,
            old: self
                .present
                .as_ref()
                .map(|present| Described::of(&present.leaf)),
            new: Some(Described::of(certificate)),
        })
    }

    /// Finds certificate and key in a file: PEM, or a kubeconfig with both embedded.
    fn take_from(&mut self, contents: &[u8]) {
        let kubeconfig = Kubeconfig::parse(contents).ok();
        match &kubeconfig {
            Some(kubeconfig) => {
                for credential in [&kubeconfig.certificate, &kubeconfig.key] {
                    if let Credential::Embedded(pem) = credential {
                        self.take_from_pem(pem);
                    }
                }
            }
            None => self.take_from_pem(contents),
        }
    }

    fn take_from_pem(&mut self, pem: &[u8]) {
        if let Ok(certificates) = certificates_from_pem(pem)
            && let Some(first) = certificates.into_iter().next()
        {
            self.certificate.get_or_insert(first);
        }
        if self.key.is_none() {
            self.key = PrivateKey::from_pem(pem).ok();
        }
    }

    /// A key that was used again was not backed up: it is still there.
    fn complete_from_node(&mut self, inventory: &Inventory) {
        let key_path = inventory
            .entry(&self.id)
            .and_then(|entry| entry.key_path.as_ref());
        if self.key.is_none()
            && let Some(path) = key_path
            && let Ok(pem) = read_bounded(inventory.real(path)).map(Zeroizing::new)
        {
            self.key = PrivateKey::from_pem(&pem).ok();
        }
    }
}

/// Whether a kubeconfig differs from an earlier one by more than its client certificate and key.
fn is_changed_otherwise(path: &Path, earlier: &[u8]) -> bool {
    let Ok(kubeconfig) = Kubeconfig::parse(earlier) else {
        return false;
    };
    let (Credential::Embedded(certificate), Credential::Embedded(key)) =
        (&kubeconfig.certificate, &kubeconfig.key)
    else {
        return false;
    };
    let Ok(now) = read_bounded(path).map(Zeroizing::new) else {
        return false;
    };
    let texts = (std::str::from_utf8(certificate), std::str::from_utf8(key));
    let (Ok(certificate), Ok(key)) = texts else {
        return true;
    };
    // The same in both, so that only the rest is compared.
    let [now, earlier] = [now.as_slice(), earlier]
        .map(|contents| Kubeconfig::replace_credentials(contents, certificate, key).ok());
    now != earlier
}
