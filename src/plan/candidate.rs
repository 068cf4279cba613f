//! Whether one certificate can be renewed, and whether it is to be at a moment.

use std::time::Duration;

use jiff::Timestamp;

use super::fit::{check_editable, check_keys, check_says_ca, check_signer, not_valid};
use super::note::{self, Note};
use super::obstacle::{AuthorityFault, Obstacle};
use super::reason::Reason;
use super::schedule::{
    BACKDATED, begins_later, between, due_at, earlier, jitter, later, lead, lifetime, margin,
};
use super::signing::{Elsewhere, Signing, signing};
use super::types::Action;
use crate::config::{CertificateRenewal, Config};
use crate::node::{
    CertificateState, Custody, Entry, Fault, Inventory, KeyState, Present, Problem, Signer,
};
use crate::pki::{AuthorityId, Certificate};

/// What somebody wants of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Renew it when it is due.
    WhenDue,
    /// Renew it when it is due or has expired, because somebody asked for that.
    WhenDueByHand,
    /// Renew it.
    Now {
        /// Also where little or nothing is gained.
        force: bool,
        /// It was asked for by its name, not among all.
        named: bool,
        /// The new one is to have more names.
        for_names: bool,
    },
    /// Others were asked for.
    Nothing,
}

impl Wish {
    /// Whether it was asked for with `--force`.
    pub(super) fn is_forced(self) -> bool {
        matches!(self, Self::Now { force: true, .. })
    }

    /// Whether the new one is to have more names.
    fn is_for_names(self) -> bool {
        matches!(
            self,
            Self::Now {
                for_names: true,
                ..
            }
        )
    }

    /// Whether it goes by what is due, not by names.
    pub(super) fn is_whatever_is_due(self) -> bool {
        matches!(self, Self::WhenDue | Self::WhenDueByHand)
    }
}

/// A certificate that could be renewed here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'node> {
    pub(super) present: &'node Present,
    /// At least one: those that the authority's key belongs to (several where a CA was renewed with its key).
    pub(super) authority: &'node [Certificate],
    /// The authority, where its certificate can be made anew with the key that is here.
    extendable: Option<AuthorityId>,
    /// When the certificate ends that signed the present one: while a CA is being changed, another than the one that signs.
    pub(super) issuer_ends: Option<Timestamp>,
    pub(super) renewal: CertificateRenewal,
    /// How much earlier this machine is than others.
    jitter: Duration,
    /// Who signs it where that is not a key on this node.
    pub(super) elsewhere: Option<Elsewhere<'node>>,
}

impl<'node> Candidate<'node> {
    /// The certificate of an entry, unless something that time does not change stands against renewing it.
    pub(super) fn new(
        inventory: &'node Inventory,
        entry: &'node Entry,
        config: &'node Config,
        wish: Wish,
    ) -> Result<Self, Obstacle> {
        let renewal = &config.renewal;
        let authority = match entry.custody() {
            Custody::Issuer(authority) => Some(authority),
            Custody::Kubelet | Custody::Watched => None,
        };
        let skip_lifted = matches!(
            wish,
            Wish::Now {
                force: true,
                named: true,
                ..
            }
        );
        if !skip_lifted && let Some(key) = renewal.skipped_by(entry.id.as_str()) {
            return Err(Obstacle::Skipped {
                key,
                renewed_here: authority.is_some(),
            });
        }
        let Some(authority) = authority else {
            return Err(Obstacle::NotManaged);
        };
        let jitter = jitter(inventory, renewal);
        let renewal = renewal.of(entry.id.as_str());
        let present = match &entry.state {
            CertificateState::Missing => return Err(Obstacle::Missing),
            CertificateState::Unreadable(problem) => {
                return Err(Obstacle::Unreadable(problem.clone()));
            }
            CertificateState::Present(present) => present,
        };
        if entry.described.is_some() && present.leaf.is_ca {
            let fault = Fault::AuthorityInPlace;
            return Err(Obstacle::Unreadable(Problem::new(&entry.path, fault)));
        }
        if let KeyState::OutOfReach(problem) = &present.key {
            return Err(Obstacle::Unreadable(problem.clone()));
        }
        if let KeyState::NotOwn(problem) = &present.key {
            return Err(Obstacle::NotReplaceable(problem.clone()));
        }
        // What the configuration describes is renewed by the CA that it names, and by no other.
        let may_be_foreign = entry.described.is_none();
        let given_to = config.issuers.given_to(entry.id.as_str());
        if let Some(issuer) = given_to {
            check_signer(issuer, present, authority)?;
        }
        let asks = given_to.is_some() || config.issuers.asks(authority);
        match &present.signer {
            Signer::Expected | Signer::Unchecked(_) | Signer::Unknown => {}
            Signer::Foreign(_) if asks && may_be_foreign && !present.issuers().is_empty() => {
                return Self::elsewhere(
                    inventory,
                    entry,
                    (present, &present.chain, authority),
                    config,
                );
            }
            Signer::Foreign(issuer) => {
                return Err(Obstacle::ForeignIssuer {
                    issuer: issuer.clone(),
                    itself: false,
                    request_from: None,
                });
            }
            Signer::SelfSigned => {
                return Err(Obstacle::ForeignIssuer {
                    issuer: present.leaf.issuer.clone(),
                    itself: true,
                    request_from: None,
                });
            }
        }
        let authority = inventory
            .authority(authority)
            .ok_or(Obstacle::AuthorityUnusable(AuthorityFault::NotHere {
                authority,
            }))?;
        if asks
            && (given_to.is_some() || authority.is_external())
            && let Some(certificates) = authority.certificates()
        {
            let signed = (present.as_ref(), certificates, authority.name);
            return Self::elsewhere(inventory, entry, signed, config);
        }
        let Signing {
            certificates,
            signing,
        } = signing(authority)?;
        if present.signer == Signer::Unknown || signing.is_empty() {
            return Err(Obstacle::AuthorityUnusable(AuthorityFault::NotComparable {
                path: authority.certificate_path.clone(),
            }));
        }
        if present.leaf.is_ca {
            check_says_ca(entry, present, certificates)?;
        }
        check_keys(authority, signing, present, renewal)?;
        check_editable(inventory, entry)?;
        Ok(Self {
            present,
            authority: signing,
            extendable: signing
                .iter()
                .all(|one| one.subject_der == one.issuer_der)
                .then_some(authority.name),
            issuer_ends: match certificates {
                // Checking a signature takes longer than all else here, and of one there is nothing to choose.
                [only] => Some(only.not_after),
                _ => authority
                    .signer_of(&present.leaf)
                    .map(|issuer| issuer.not_after),
            },
            renewal,
            jitter,
            elsewhere: None,
        })
    }

    /// One that a CA elsewhere signs, with the CA certificates that may have.
    fn elsewhere(
        inventory: &Inventory,
        entry: &Entry,
        (present, certificates, authority): (&'node Present, &'node [Certificate], AuthorityId),
        config: &'node Config,
    ) -> Result<Self, Obstacle> {
        if present.leaf.is_ca {
            check_says_ca(entry, present, certificates)?;
        }
        check_editable(inventory, entry)?;
        let is_foreign = matches!(present.signer, Signer::Foreign(_));
        let signer = certificates
            .iter()
            .find(|one| present.leaf.is_signed_by(one));
        Ok(Self {
            present,
            authority: certificates,
            extendable: None,
            issuer_ends: signer.map(|one| one.not_after),
            renewal: config.renewal.of(entry.id.as_str()),
            jitter: jitter(inventory, &config.renewal),
            elsewhere: Some(Elsewhere {
                given_to: (config.issuers.given_to(entry.id.as_str())).map(|(name, _)| name),
                authority,
                is_foreign,
                lead: config
                    .renewal
                    .enabled
                    .then(|| config.issuers.lead(entry.id.as_str(), authority)),
            }),
        })
    }

    /// What is to be known of its renewal, one sentence each.
    pub(super) fn notes(&self) -> Vec<Note> {
        note::of(self.present, self.renewal)
    }

    /// When it becomes due. What ends first counts, the certificate or its authority. The further certificates of its file do
    /// not: they are kept as they are, so renewing does not help against their end. Jitter makes it earlier; whatever is reckoned
    /// from the end (deadlines, emergencies) goes by [`due_at`] without it.
    pub(super) fn due_at(&self) -> Timestamp {
        let threshold = due_at(self.present, self.end(), self.renewal.before);
        earlier(threshold, lead(lifetime(self.present), self.jitter))
    }

    /// When the first of it and its authority ends.
    pub(super) fn end(&self) -> Timestamp {
        let leaf_end = self.present.leaf.not_after;
        self.issuer_ends.map_or(leaf_end, |end| leaf_end.min(end))
    }

    /// What is to be done about it at that moment.
    pub(super) fn action(&self, wish: Wish, now: Timestamp) -> Action {
        let signing = self.signing(now);
        if let Some(obstacle) = not_valid(signing, self.extendable, now) {
            return Action::Leave(obstacle);
        }
        let Some(reason) = self.reason(wish, now) else {
            return Action::Wait;
        };
        if wish == Wish::WhenDue && !self.renewal.enabled {
            return Action::Leave(Obstacle::Disabled);
        }
        match self.obstacle(wish, reason, signing, now) {
            Some(obstacle) => Action::Leave(obstacle),
            None => Action::Renew(reason),
        }
    }

    /// The first moment after `now` at which the daemon would renew it (or, with renewal switched off, at which it
    /// becomes due). None if only something else than time can bring that about.
    pub(super) fn next_renewal(&self, now: Timestamp) -> Option<Timestamp> {
        let minimum = self.minimum_interval();
        let leaf_end = self.present.leaf.not_after;
        let mut moments = vec![
            earlier(later(leaf_end, minimum), self.renewal.validity),
            later(self.made_at(), minimum),
            self.due_at(),
        ];
        for certificate in self.authority {
            moments.push(certificate.not_before);
            moments.push(later(certificate.not_after, Duration::from_secs(1)));
        }
        moments.retain(|moment| *moment > now);
        moments.sort_unstable();
        // Each condition of a renewal holds from one of these moments on, so the first at which all hold is among them.
        moments.into_iter().find(|moment| {
            matches!(
                self.action(Wish::WhenDue, *moment),
                Action::Renew(_) | Action::Leave(Obstacle::Disabled)
            )
        })
    }

    pub(super) fn reason(&self, wish: Wish, now: Timestamp) -> Option<Reason> {
        if wish == Wish::Nothing {
            None
        } else if self.key_is_unusable() {
            Some(Reason::KeyUnusable)
        } else if now > self.present.leaf.not_after {
            Some(Reason::Expired)
        } else if begins_later(&self.present.leaf, now) {
            Some(Reason::NotYetValid)
        } else if wish.is_for_names() {
            Some(Reason::NamesWanted)
        } else if now >= self.due_at() {
            Some(Reason::Due)
        } else {
            matches!(wish, Wish::Now { .. }).then_some(Reason::Requested)
        }
    }

    /// What stands against a renewal that is wanted, so that none is done in vain or over and over.
    pub(super) fn obstacle(
        &self,
        wish: Wish,
        reason: Reason,
        signing: &Certificate,
        now: Timestamp,
    ) -> Option<Obstacle> {
        if wish.is_forced() {
            return None;
        }
        let minimum = self.minimum(wish);
        let wanted_end = later(now, self.renewal.validity);
        let end = wanted_end.min(signing.not_after);
        let too_soon = if signing.not_after < wanted_end {
            Obstacle::AuthorityEndsTooSoon {
                ends: signing.not_after,
                extendable: self.extendable,
            }
        } else {
            Obstacle::WouldNotEndLater { ends: end }
        };
        if end < later(self.present.leaf.not_after, minimum) && !reason.allows_earlier_end() {
            return Some(too_soon);
        }
        if wish != Wish::WhenDue {
            return None;
        }
        let new_lifetime = between(earlier(now, BACKDATED), end);
        let ahead = margin(new_lifetime, self.renewal.before) + lead(new_lifetime, self.jitter);
        let new_due = earlier(end, ahead);
        if new_due < later(now, minimum) {
            return Some(too_soon);
        }
        let made_at = self.made_at();
        let settled_at = later(made_at, minimum);
        (made_at <= now && now < settled_at)
            .then_some(Obstacle::RenewedJustNow { until: settled_at })
    }

    /// When it was made, if it was made as kubeadm and kubecertd make them. The file's age would not do: whoever restores an
    /// expired certificate wants it renewed at once.
    fn made_at(&self) -> Timestamp {
        later(self.present.leaf.not_before, BACKDATED)
    }

    /// The least that a renewal has to gain: by hand anything.
    pub(super) fn minimum(&self, wish: Wish) -> Duration {
        match wish {
            Wish::Now { .. } | Wish::WhenDueByHand => Duration::from_secs(1),
            Wish::WhenDue | Wish::Nothing => self.minimum_interval(),
        }
    }

    /// The least time between two renewals, and the least that one has to gain.
    fn minimum_interval(&self) -> Duration {
        Duration::from_secs((self.renewal.validity.as_secs() / 10).min(60))
    }

    /// The authority's certificates that may sign, the one that lasts longest first.
    pub(super) fn signers(&self, now: Timestamp) -> Vec<&'node Certificate> {
        let mut signers: Vec<&Certificate> = self
            .authority
            .iter()
            .filter(|certificate| certificate.is_valid_at(now))
            .collect();
        signers.sort_by_key(|certificate| std::cmp::Reverse(certificate.not_after));
        signers
    }

    /// The authority's certificate that would sign: the valid one that lasts longest.
    pub(super) fn signing(&self, now: Timestamp) -> &'node Certificate {
        self.authority
            .iter()
            .filter(|certificate| certificate.is_valid_at(now))
            .max_by_key(|certificate| certificate.not_after)
            .unwrap_or(&self.authority[0])
    }

    /// Whether nothing can use the certificate because its key is gone, damaged or another's. A new certificate comes with a
    /// new key, so that heals it.
    pub(super) fn key_is_unusable(&self) -> bool {
        match &self.present.key {
            KeyState::Matching(_)
            | KeyState::Unread
            | KeyState::OutOfReach(_)
            | KeyState::NotOwn(_)
            | KeyState::Unsupported(_) => false,
            KeyState::Missing | KeyState::Mismatched | KeyState::Damaged(_) => true,
        }
    }
}
