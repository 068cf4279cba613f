//! Which CAs can be made to last longer with the key that they have, and where on this node their certificates lie.
//!
//! The new certificate vouches for whatever the old one signed and is vouched for by the same key, so both can be trusted beside each
//! other for as long as the old one lasts: there is no order to be kept, and no process has to learn of it at once.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::authority_place::{AuthorityPlace, authority_places};
use super::schedule::{between, later};
use crate::host::serialize_path;
use crate::node::{Authority, AuthorityState, Inventory, KeyState, PodRef, Problem};
use crate::pki::{AuthorityId, Certificate, SignedBy};

/// kubeadm's, for a CA.
pub const AUTHORITY_VALIDITY: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// The least that a new certificate has to gain; of a shorter validity a tenth.
const LEAST_GAIN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What extending a CA means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Which.
    pub authority: AuthorityId,
    /// The certificate that it signs with: the one that is followed, or that the others are to be replaced by.
    pub present: Certificate,
    /// Whether a new one gains anything.
    pub is_needed: bool,
    /// Every place where a certificate of it lies.
    pub places: Vec<AuthorityPlace>,
}

/// Why a CA cannot be extended here. [`std::fmt::Display`] says it with what to do about it; `docs/codes.md` lists the codes.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(
    tag = "code",
    content = "fields",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[strum(serialize_all = "kebab-case")]
pub enum ExtensionObstacle {
    /// This node has no certificate of it.
    NotOnThisNode,
    /// Its certificate or key cannot be read or used.
    Unusable(Problem),
    /// Its key is not on this node.
    KeyElsewhere,
    /// The key beside it is another's.
    KeyOfAnother {
        /// The key's file.
        #[serde(serialize_with = "serialize_path")]
        key: PathBuf,
    },
    /// Nothing can be signed here with a key of its kind.
    KeyKind {
        /// The kind.
        kind: String,
    },
    /// Its signature cannot be checked here, and nothing else shows that it is this CA's.
    NotVerified,
    /// Another CA signed it, which alone can make it anew.
    SignedByAnother {
        /// Which.
        issuer: String,
    },
    /// What it signed names its present certificate by issuer and serial number, and would be accepted by no other.
    NamedBySerial {
        /// Which certificates.
        certificates: Vec<String>,
    },
    /// Between it and what it vouches for are more CAs than it permits.
    PathTooLong {
        /// Which certificates.
        certificates: Vec<String>,
        /// How many it permits.
        permitted: u32,
    },
}

impl ExtensionObstacle {
    /// Its code, which never changes: `key-elsewhere`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl Extension {
    /// The places that get another certificate.
    pub fn outdated(&self) -> impl Iterator<Item = &AuthorityPlace> {
        let is_needed = self.is_needed;
        // One that lasts longer than the present one is no worse.
        let lasts = |one: &Certificate| one.not_after > self.present.not_after;
        self.places.iter().filter(move |place| {
            is_needed || (!place.holds_only(&self.present) && !place.certificates.iter().any(lasts))
        })
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outdated().next().is_none()
    }

    /// The static pods that read a place of it when they start, and never again.
    #[must_use]
    pub fn readers_at_start(&self) -> Vec<PodRef> {
        let mut pods: Vec<PodRef> = Vec::new();
        for pod in self.places.iter().flat_map(AuthorityPlace::pods_at_start) {
            if !pods.contains(pod) {
                pods.push(pod.clone());
            }
        }
        pods
    }

    /// Whether the kubelet reads one when it starts, and never again.
    #[must_use]
    pub fn kubelet_reads_at_start(&self) -> bool {
        let mut readers = self.places.iter().flat_map(|place| &place.readers);
        readers.any(|reader| reader.is_kubelet_at_start())
    }
}

/// What extending an authority to `now` and so long means.
///
/// # Errors
/// Why it cannot be done here.
pub fn extension(
    inventory: &Inventory,
    name: AuthorityId,
    validity: Duration,
    now: Timestamp,
) -> Result<Extension, ExtensionObstacle> {
    let authority = inventory
        .authority(name)
        .ok_or(ExtensionObstacle::NotOnThisNode)?;
    let present = match signing(authority) {
        Err(ExtensionObstacle::KeyElsewhere) => return without_key(inventory, authority),
        signing => signing?,
    };
    if !present.key_kind().can_sign() {
        return Err(ExtensionObstacle::KeyKind {
            kind: present.key_kind().to_string(),
        });
    }
    let signed = present.signed_by(present);
    if signed == SignedBy::No {
        return Err(ExtensionObstacle::SignedByAnother {
            issuer: present.issuer.clone(),
        });
    }
    let least = between_now_and(validity, now).min(LEAST_GAIN);
    let gain = between(present.not_after, later(now, validity));
    let extension = Extension {
        authority: name,
        present: present.clone(),
        is_needed: !gain.is_zero() && gain >= least,
        places: authority_places(inventory, present),
    };
    if extension.is_needed {
        check_signed(inventory, present)?;
    } else if signed != SignedBy::Yes && !extension.is_done() {
        // Its key signs nothing then: whoever can write this one file must not change what all the others trust.
        return Err(ExtensionObstacle::NotVerified);
    }
    Ok(extension)
}

/// A tenth of what is asked for, in so far as that comes to pass before the end of all dates.
fn between_now_and(validity: Duration, now: Timestamp) -> Duration {
    between(now, later(now, validity)) / 10
}

/// Without its key nothing is made, but a certificate of the same key that somebody put in its place can be put into all places.
fn without_key(
    inventory: &Inventory,
    authority: &Authority,
) -> Result<Extension, ExtensionObstacle> {
    let own = authority.certificates().unwrap_or_default();
    let mut verified = own
        .iter()
        .filter(|one| one.is_ca && one.signed_by(one) == SignedBy::Yes);
    // Which of two CAs is followed by which cannot be told here.
    let (Some(present), None) = (verified.next(), verified.next()) else {
        return Err(ExtensionObstacle::KeyElsewhere);
    };
    let extension = Extension {
        authority: authority.name,
        present: present.clone(),
        is_needed: false,
        places: authority_places(inventory, present),
    };
    if extension.is_done() {
        return Err(ExtensionObstacle::KeyElsewhere);
    }
    Ok(extension)
}

/// The certificate that an authority signs with: of several for its key the one that lasts longest.
fn signing(authority: &Authority) -> Result<&Certificate, ExtensionObstacle> {
    let (key, signing) = match &authority.state {
        AuthorityState::Missing => return Err(ExtensionObstacle::NotOnThisNode),
        AuthorityState::Unreadable(problem) => {
            return Err(ExtensionObstacle::Unusable(problem.clone()));
        }
        AuthorityState::Present { key, signing, .. } => (key, signing),
    };
    let another = || ExtensionObstacle::KeyOfAnother {
        key: authority.key_path.clone().unwrap_or_default(),
    };
    match key {
        KeyState::Missing => Err(ExtensionObstacle::KeyElsewhere),
        KeyState::Mismatched => Err(another()),
        KeyState::OutOfReach(problem)
        | KeyState::Damaged(problem)
        | KeyState::NotOwn(problem)
        | KeyState::Unsupported(problem) => Err(ExtensionObstacle::Unusable(problem.clone())),
        // Whose it is is found out when it signs.
        KeyState::Matching(_) | KeyState::Unread => signing
            .iter()
            .filter(|certificate| certificate.is_ca)
            .max_by_key(|certificate| certificate.not_after)
            .ok_or_else(another),
    }
}

/// Whether everything on this node that it signed will be accepted from a new certificate as well.
fn check_signed(inventory: &Inventory, authority: &Certificate) -> Result<(), ExtensionObstacle> {
    let mut named_by_serial = Vec::new();
    let mut too_deep = Vec::new();
    let permitted = authority.path_length();
    let is_by_serial = |signed: &Certificate| {
        signed.subject_der != authority.subject_der
            && signed.names_one_issuing_certificate()
            && signed.signed_by(authority) != SignedBy::No
    };
    for (entry, present) in inventory
        .entries
        .iter()
        .filter_map(|entry| Some((entry, entry.present()?)))
    {
        let chain: Vec<&Certificate> = std::iter::once(&present.leaf)
            .chain(present.issuers())
            .collect();
        if chain.iter().any(|one| is_by_serial(one)) {
            named_by_serial.push(entry.id.to_string());
        }
        let between = chain
            .iter()
            .position(|one| one.signed_by(authority) != SignedBy::No);
        if let (Some(between), Some(permitted)) = (between, permitted)
            && u32::try_from(between).is_ok_and(|between| between > permitted)
        {
            too_deep.push(entry.id.to_string());
        }
    }
    for other in &inventory.authorities {
        let certificates = other.certificates().unwrap_or_default();
        if certificates.iter().any(is_by_serial) {
            named_by_serial.push(other.name.to_string());
        }
    }
    if !named_by_serial.is_empty() {
        return Err(ExtensionObstacle::NamedBySerial {
            certificates: named_by_serial,
        });
    }
    match permitted {
        Some(permitted) if !too_deep.is_empty() => Err(ExtensionObstacle::PathTooLong {
            certificates: too_deep,
            permitted,
        }),
        _ => Ok(()),
    }
}
