//! Whether an authority of this node can sign, and with which certificates. What time changes is not looked at here.

use std::time::Duration;

use super::obstacle::{AuthorityFault, Obstacle, UnsupportedKey};
use crate::node::{Authority, AuthorityState, KeyState};
use crate::pki::{AuthorityId, Certificate};

/// The certificates of an authority that can sign.
pub(super) struct Signing<'node> {
    /// All of its file.
    pub(super) certificates: &'node [Certificate],
    /// Those that its key belongs to.
    pub(super) signing: &'node [Certificate],
}

/// A CA whose key is not on this node, or is not to be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elsewhere<'node> {
    /// The issuer to which the configuration gives it, wherever that key is.
    pub(super) given_to: Option<&'node str>,
    pub(super) authority: AuthorityId,
    /// Whether this node's CA did not sign the present certificate.
    pub(super) is_foreign: bool,
    /// So long before the end its request is written; absent where none is.
    pub(super) lead: Option<Duration>,
}

/// Why it cannot, or the certificates.
pub(super) fn signing(authority: &Authority) -> Result<Signing<'_>, Obstacle> {
    let unusable = |fault: AuthorityFault| Err(Obstacle::AuthorityUnusable(fault));
    let (certificates, key, signing) = match &authority.state {
        AuthorityState::Missing => {
            return unusable(AuthorityFault::Missing {
                path: authority.certificate_path.clone(),
            });
        }
        AuthorityState::Unreadable(problem) => {
            return unusable(AuthorityFault::File(problem.clone()));
        }
        AuthorityState::Present {
            certificates,
            key,
            signing,
        } => (certificates, key, signing),
    };
    match key {
        // Whether the key is the authority's is found out when it signs.
        KeyState::Matching(_) | KeyState::Unread => Ok(Signing {
            certificates,
            signing,
        }),
        KeyState::Missing => Err(Obstacle::ExternalAuthority {
            authority: authority.name,
            request_from: None,
        }),
        KeyState::Mismatched => unusable(AuthorityFault::KeyOfAnother {
            // What was compared lies somewhere.
            key: authority.key_path.clone().unwrap_or_default(),
            certificate: authority.certificate_path.clone(),
        }),
        KeyState::OutOfReach(problem) | KeyState::Damaged(problem) | KeyState::NotOwn(problem) => {
            unusable(AuthorityFault::File(problem.clone()))
        }
        KeyState::Unsupported(problem) => Err(Obstacle::NotSupported(
            UnsupportedKey::AuthorityFile(problem.clone()),
        )),
    }
}
