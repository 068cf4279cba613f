//! Throw-away keys and certificates in the place of the node's.

use std::collections::BTreeMap;

use crate::host::on_all_cores;
use crate::pki::{Certificate, IssueError, KeyAlgorithm, PrivateKey, SignedBy, double};

/// A double of each certificate, signed by the double of what signed it, each with a key of its own. Certificates that
/// share a key have doubles that share one, and who trusts a certificate's double trusts what that signed, as with the
/// originals.
#[derive(Debug)]
pub(super) struct Doubles {
    /// By the DER of the original.
    certificates: BTreeMap<Vec<u8>, Certificate>,
    /// By the DER of the original's public key.
    keys: BTreeMap<Vec<u8>, PrivateKey>,
}

impl Doubles {
    /// Makes them. What none of `originals` signed is signed by a stranger of the issuer's name.
    pub(super) fn of(originals: &[Certificate]) -> Result<Self, IssueError> {
        let kinds: BTreeMap<&[u8], KeyAlgorithm> = originals
            .iter()
            .map(|original| (original.public_key_der.as_slice(), kind(original)))
            .collect();
        let keys = generate(kinds)?;
        let key = |of: &Certificate| {
            keys.get(&of.public_key_der)
                .ok_or_else(|| IssueError::Signing(format!("{} has no key", of.subject)))
        };
        let mut certificates = BTreeMap::new();
        for original in originals {
            if certificates.contains_key(original.der()) {
                continue;
            }
            let made = match signer(original, originals) {
                Some(signer) => double(original, key(original)?, key(signer)?),
                None => {
                    let stranger = PrivateKey::generate(KeyAlgorithm::EcdsaP256)?;
                    double(original, key(original)?, &stranger)
                }
            };
            certificates.insert(original.der().to_vec(), made?);
        }
        Ok(Self { certificates, keys })
    }

    /// The double of a certificate.
    pub(super) fn certificate(&self, original: &Certificate) -> Option<&Certificate> {
        self.certificates.get(original.der())
    }

    /// The key of a certificate's double.
    pub(super) fn key(&self, original: &Certificate) -> Option<&PrivateKey> {
        self.keys.get(&original.public_key_der)
    }
}

/// The one of `originals` that signed a certificate, itself included.
fn signer<'all>(
    certificate: &Certificate,
    originals: &'all [Certificate],
) -> Option<&'all Certificate> {
    let found = |wanted: fn(&SignedBy) -> bool| {
        originals
            .iter()
            .find(|candidate| wanted(&certificate.signed_by(candidate)))
    };
    // A signature that cannot be checked here may well be the one it names.
    found(|signed| matches!(signed, SignedBy::Yes))
        .or_else(|| found(|signed| matches!(signed, SignedBy::Unchecked(_))))
}

/// The same, or what is at least as strong where it cannot be made.
fn kind(certificate: &Certificate) -> KeyAlgorithm {
    certificate.key_kind().successor()
}

/// A new key of each kind, made on all cores.
fn generate(
    kinds: BTreeMap<&[u8], KeyAlgorithm>,
) -> Result<BTreeMap<Vec<u8>, PrivateKey>, IssueError> {
    let kinds: Vec<(&[u8], KeyAlgorithm)> = kinds.into_iter().collect();
    let made = on_all_cores(&kinds, |(public, kind)| {
        PrivateKey::generate(*kind).map(|key| (public.to_vec(), key))
    });
    Ok(made.into_iter().collect::<Result<_, _>>()?)
}
