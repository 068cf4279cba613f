//! Whether the certificates in the files are the ones in use.

use std::time::{Duration, Instant};

use super::in_memory::OwnCertificates;
use super::old_authorities::OldAuthorities;
use super::pending::Pending;
use crate::node::{CertificateId, Inventory};
use crate::operation::Context;
use crate::probe::look_at_use;
use crate::report::{History, InUse, PendingUse, Receipt, UseState, in_use};

/// No look follows another sooner, however often files change.
const PAUSE: Duration = Duration::from_secs(10);
/// How often is looked at what is not in use yet: somebody may restart it at any time.
const NOT_YET_INTERVAL: Duration = Duration::from_secs(60);

/// What is known since the last look.
#[derive(Debug, Clone, Default)]
pub(super) struct Uses {
    known: Vec<Use>,
    at: Option<Instant>,
    /// Whether the last look showed something new.
    is_new: bool,
    /// What components have only in memory.
    own: OwnCertificates,
    /// Pods that go on with a CA's certificate from before it was extended, whose end comes near.
    old_authorities: OldAuthorities,
    /// Components that have still to show that they read their new files by themselves.
    pending: Pending,
    /// How long the next look has to wait, where the last was asked for too soon.
    too_soon: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    id: CertificateId,
    serial: String,
    in_use: InUse,
}

impl Uses {
    /// Of the certificate that is in the file now.
    pub(super) fn of(&self, inventory: &Inventory, id: &CertificateId) -> Option<InUse> {
        let serial = &inventory.entry(id)?.present()?.leaf.serial;
        let mut known = self.known.iter();
        known
            .find(|known| known.id == *id && known.serial == *serial)
            .map(|known| known.in_use.clone())
    }

    /// What goes on with another certificate than the file's, one sentence each.
    pub(super) fn notes(&self, inventory: &Inventory) -> Vec<String> {
        self.known
            .iter()
            .filter_map(|known| self.of(inventory, &known.id)?.note(&known.id))
            .chain(self.own.notes())
            .chain(self.old_authorities.notes())
            .chain(self.pending.notes(crate::host::now()))
            .collect()
    }

    /// Components that are to be restarted, since what they have only in memory is about to end, or since they do not show that they
    /// use their new files.
    pub(super) fn to_be_restarted(&self) -> Vec<String> {
        let mut all = self.pending.to_be_restarted(crate::host::now());
        let old = self.old_authorities.to_be_restarted();
        for component in self.own.to_be_restarted().chain(old) {
            if !all.contains(component) {
                all.push(component.clone());
            }
        }
        all
    }

    /// What components have still to show.
    pub(super) fn pending(&self) -> Vec<PendingUse> {
        self.pending.uses(crate::host::now())
    }

    /// What components have only in memory.
    pub(super) fn own(&self) -> &OwnCertificates {
        &self.own
    }

    /// Whether the last look showed something new.
    pub(super) fn are_new(&self) -> bool {
        self.is_new
    }

    /// When to look again although nothing changed.
    pub(super) fn look_again_after(&self) -> Option<Duration> {
        let not_yet = |known: &Use| known.in_use.state == UseState::NotYet;
        let again = self.known.iter().any(not_yet).then_some(NOT_YET_INTERVAL);
        // A look that follows sooner asks nothing.
        let ask = self.pending.ask_after(crate::host::now());
        let ask = ask.map(|wait| wait.max(PAUSE));
        self.too_soon.into_iter().chain(again).chain(ask).min()
    }

    /// How long a look has to wait, if it has to: for certificates that have been looked at.
    fn pause(&self, inventory: &Inventory) -> Option<Duration> {
        let are_known = inventory
            .entries
            .iter()
            .filter(|entry| entry.present().is_some())
            .all(|entry| self.of(inventory, &entry.id).is_some());
        let pause = PAUSE.saturating_sub(self.at?.elapsed());
        (are_known && !pause.is_zero()).then_some(pause)
    }
}

impl Uses {
    /// Looks at what the running components use.
    pub(super) async fn look(&mut self, context: &Context, inventory: &Inventory) {
        self.is_new = false;
        if !context.is_live() {
            return;
        }
        self.too_soon = self.pause(inventory);
        if self.too_soon.is_some() {
            return;
        }
        let seen = look_at_use(inventory, &context.config.restart).await;
        // What is wrong with the history is a finding; what can be read of it is of use.
        let receipts: Vec<Receipt> = History::new(&context.store())
            .entries()
            .map(|entries| entries.into_iter().flatten().collect())
            .unwrap_or_default();
        let own = OwnCertificates::look(context, inventory, &receipts).await;
        let old_authorities = OldAuthorities::look(context, inventory, &receipts).await;
        let before = self.pending.clone();
        let looked = (seen.as_slice(), receipts.as_slice());
        self.pending.look(context, inventory, looked).await;
        let known: Vec<Use> = in_use(inventory, &seen, &receipts, crate::host::now())
            .into_iter()
            .filter_map(|(id, in_use)| {
                let serial = inventory.entry(&id)?.present()?.leaf.serial.clone();
                Some(Use { id, serial, in_use })
            })
            .collect();
        self.is_new = !is_same(&known, &self.known)
            || own != self.own
            || old_authorities != self.old_authorities
            || before != self.pending;
        (self.known, self.own) = (known, own);
        self.old_authorities = old_authorities;
        self.at = Some(Instant::now());
    }
}

#[cfg(test)]
impl Uses {
    /// What a look kept that saw what this component has in memory about to end.
    pub(super) fn about_to_end(component: &str) -> Self {
        Self {
            own: OwnCertificates::about_to_end(component),
            ..Self::default()
        }
    }

    /// What a look that showed something new would have kept.
    pub(super) fn new_ones() -> Self {
        Self {
            is_new: true,
            ..Self::default()
        }
    }
}

/// But for the moments: every handshake has its own.
fn is_same(known: &[Use], before: &[Use]) -> bool {
    let told = |known: &Use| {
        let InUse {
            state, evidence, ..
        } = &known.in_use;
        (
            known.id.clone(),
            known.serial.clone(),
            *state,
            evidence.clone(),
        )
    };
    known.iter().map(told).eq(before.iter().map(told))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use jiff::SignedDuration;

    use super::*;
    use crate::config::Config;
    use crate::host::Root;
    use crate::node::{CertificateState, Entry, KeyState, Present, Signer};
    use crate::pki::{
        CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, Validity,
    };

    fn entry() -> Entry {
        let now = crate::host::now();
        let validity = Validity {
            not_before: now,
            not_after: now + SignedDuration::from_hours(1),
        };
        let authority = CertificateAuthority::generate(&NewAuthority {
            common_name: "kubernetes".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: validity.not_before,
            not_after: validity.not_after,
        })
        .unwrap();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let leaf = NewLeaf {
            common_name: "x".to_owned(),
            organizations: Vec::new(),
            subject_alt_names: Vec::new(),
            server_auth: true,
            client_auth: false,
        };
        Entry {
            id: "apiserver".into(),
            path: PathBuf::from("/x"),
            certificate_path: PathBuf::from("/x"),
            key_path: None,
            authority: None,
            described: None,
            state: CertificateState::Present(Box::new(Present {
                leaf: leaf.sign(&key, &authority, validity).unwrap(),
                chain: Vec::new(),
                key: KeyState::Missing,
                signer: Signer::Unknown,
                modified: None,
            })),
        }
    }

    fn known(entry: &Entry, state: UseState) -> Uses {
        Uses {
            known: vec![Use {
                id: entry.id.clone(),
                serial: entry.present().unwrap().leaf.serial.clone(),
                in_use: InUse {
                    state,
                    evidence: "kube-apiserver serves another one".to_owned(),
                    at: None,
                    component: Some("kube-apiserver".to_owned()),
                    used_until: None,
                },
            }],
            at: Some(Instant::now()),
            ..Uses::default()
        }
    }

    #[test]
    fn who_goes_on_with_an_old_certificate_is_restarted_once_with_the_others_and_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let inventory = Context::new(root, Config::default(), None).observe();
        let mut uses = Uses {
            pending: Pending::old_in_use("kube-apiserver"),
            ..Uses::about_to_end("kube-apiserver")
        };
        assert_eq!(uses.to_be_restarted(), ["kube-apiserver"]);
        assert_eq!(uses.notes(&inventory).len(), 2);
        assert_eq!(uses.pending().len(), 1);
        uses.own = OwnCertificates::about_to_end("kube-scheduler");
        assert_eq!(uses.to_be_restarted(), ["kube-apiserver", "kube-scheduler"]);
        let wait = uses.look_again_after().unwrap();
        assert!(
            wait > PAUSE && wait <= Duration::from_secs(3600),
            "{wait:?}"
        );
    }

    #[test]
    fn what_was_known_of_another_certificate_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let mut inventory = Context::new(root, Config::default(), None).observe();
        inventory.entries = vec![entry()];
        let uses = known(&inventory.entries[0], UseState::NotYet);
        assert_eq!(uses.notes(&inventory).len(), 1);
        assert_eq!(uses.look_again_after(), Some(NOT_YET_INTERVAL));
        assert!(uses.pause(&inventory).is_some(), "looked at just now");
        inventory.entries = vec![entry()];
        assert_eq!(uses.of(&inventory, &"apiserver".into()), None);
        assert!(uses.notes(&inventory).is_empty());
        assert_eq!(
            uses.pause(&inventory),
            None,
            "a new one is looked at at once"
        );
        let uses = known(&inventory.entries[0], UseState::Proved);
        assert!(uses.notes(&inventory).is_empty());
        assert_eq!(uses.look_again_after(), None);
    }
}
