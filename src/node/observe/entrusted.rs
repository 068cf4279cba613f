//! What is renewed for an owner who is not root.
//!
//! Whatever is in his files he may have put there. So it has to prove what root's files need not: that the CA signed it, that
//! he has its key, and that it opens nothing to him but the service that it was made for.

use super::node::Node;
use super::trust;
use crate::node::{Authority, KeyState, Present, Signer};
use crate::pki::{Certificate, SignedBy};

/// Why the certificate in the hands of that user is not renewed, and what to do.
pub(super) fn refusal(node: &Node<'_>, present: &Present, uid: u32) -> Option<String> {
    let signed = match &present.signer {
        // By its names the CA's: but names are what he can write.
        Signer::Unchecked(what) => Some(format!(
            "has a signature that cannot be checked ({what}) and is in the hands of user {uid}, who could have written it himself \
             to have any names signed"
        )),
        _ => None,
    };
    // Of a key that is not understood only what the file says is known: that, too, he can write.
    let proved = || match &present.key {
        KeyState::Matching(None) | KeyState::Unsupported(_) => Some(format!(
            "has a key of a kind that cannot be compared with it for sure and is in the hands of user {uid}, who could have put \
             the certificate of another there"
        )),
        _ => None,
    };
    let opens = || {
        let may_open = present.leaf.may_be_shown_by_clients() && lets_clients_in(node, present);
        may_open.then(|| {
            format!(
                "may be shown to the API server by a client and is in the hands of user {uid}, who could put any other there and \
                 have that renewed"
            )
        })
    };
    let reason = signed.or_else(proved).or_else(opens)?;
    Some(format!(
        "{reason}; give its files and their directories to root"
    ))
}

/// Whether a CA by which the API server, or an extension of it, knows its clients vouches for it, however far above it that is.
/// Where that cannot be told, one may.
fn lets_clients_in(node: &Node<'_>, present: &Present) -> bool {
    let Some(anchors) = trust::of_clients(node) else {
        return true;
    };
    let may_have_signed = |one: &Certificate, by: &Certificate| one.signed_by(by) != SignedBy::No;
    let authorities: Vec<&Certificate> = node
        .authorities
        .iter()
        .filter_map(Authority::certificates)
        .flatten()
        .chain(present.chain.iter().filter(|one| one.is_ca))
        .collect();
    let mut above = vec![&present.leaf];
    let mut at = 0;
    while let Some(one) = above.get(at).copied() {
        if anchors.iter().any(|anchor| may_have_signed(one, anchor)) {
            return true;
        }
        for authority in &authorities {
            if !above.contains(authority) && may_have_signed(one, authority) {
                above.push(authority);
            }
        }
        at += 1;
    }
    false
}
