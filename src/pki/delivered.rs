//! Whether a certificate is what was asked for, where nothing was before.

use jiff::Timestamp;

use super::key_kind::same_public_key;
use super::reissue::NewLeaf;
use super::verify::{SuccessorError, accepts, name_text};
use super::{Certificate, key_usage};

/// Checks that `new` is what was asked for where nothing was before: for that key, signed by one of `trusted`, no CA's, with the
/// subject, names and usages of `wanted` and no more, valid `now`.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_new(
    wanted: &NewLeaf,
    new: &Certificate,
    public_key_der: &[u8],
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), SuccessorError> {
    check_delivered(
        wanted,
        std::slice::from_ref(new),
        public_key_der,
        trusted,
        now,
    )?;
    let differs = |what: String| Err(SuccessorError::Differs(what));
    if let Some(name) = new
        .subject_alt_names
        .iter()
        .find(|name| !wanted.subject_alt_names.contains(name))
    {
        return differs(format!("it has the name {} as well", name_text(name)));
    }
    let usages = [
        (wanted.server_auth, SERVER_AUTH),
        (wanted.client_auth, CLIENT_AUTH),
    ];
    let is_wanted = |usage: &String| {
        usages
            .iter()
            .any(|(is_wanted, number)| *is_wanted && number == usage)
    };
    if let Some(usage) = new
        .extended_key_usage
        .iter()
        .find(|usage| !is_wanted(usage))
    {
        return differs(format!("it has the extended key usage {usage} as well"));
    }
    Ok(())
}

/// Checks what another authority made of a request: a certificate and the intermediate ones behind it. It is for that key, no CA's,
/// signed by one of `trusted` or by an intermediate one that is, has the subject of `wanted` and at least its names and usages, and
/// is valid `now`.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_delivered(
    wanted: &NewLeaf,
    chain: &[Certificate],
    public_key_der: &[u8],
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), SuccessorError> {
    let Some((new, behind)) = chain.split_first() else {
        return Err(SuccessorError::Differs("there is none".to_owned()));
    };
    if !same_public_key(&new.public_key_der, public_key_der) {
        return Err(SuccessorError::KeyMismatch);
    }
    if new.is_ca {
        return Err(SuccessorError::IsAuthority);
    }
    if !leads_to(new, behind, trusted, now) {
        return Err(SuccessorError::Untrusted {
            issuer: new.issuer.clone(),
        });
    }
    let differs = |what: String| Err(SuccessorError::Differs(what));
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    if new.common_name.as_deref() != Some(wanted.common_name.as_str())
        || sorted(&new.organizations) != sorted(&wanted.organizations)
    {
        return differs(format!("its subject is {}", new.subject));
    }
    if let Some(name) = wanted
        .subject_alt_names
        .iter()
        .find(|name| !new.subject_alt_names.contains(name))
    {
        return differs(format!("it lacks the name {}", name_text(name)));
    }
    let usages = [
        (wanted.server_auth, SERVER_AUTH, "serverAuth"),
        (wanted.client_auth, CLIENT_AUTH, "clientAuth"),
    ];
    for (is_wanted, number, name) in usages {
        let has = new.extended_key_usage.iter().any(|usage| usage == number);
        if is_wanted && !has {
            return differs(format!(
                "it lacks the extended key usage {name}; have it signed with the usages that the request asks for"
            ));
        }
    }
    let needed = key_usage::DIGITAL_SIGNATURE;
    if new.key_usage.is_some_and(|bits| bits & needed == 0) {
        return differs("it lacks the key usage digitalSignature".to_owned());
    }
    if !new.is_valid_at(now) {
        return Err(SuccessorError::NotValidNow(now));
    }
    Ok(())
}

/// Whether a chain leads to someone who is trusted: each certificate is signed by a trusted one or by the next. A signature that
/// cannot be checked here counts for nothing.
fn leads_to(
    leaf: &Certificate,
    behind: &[Certificate],
    trusted: &[Certificate],
    now: Timestamp,
) -> bool {
    let vouches = |authority: &Certificate, one: &Certificate| {
        one.is_signed_by(authority) && accepts(authority, one, now)
    };
    let is_trusted = |one: &Certificate| trusted.iter().any(|authority| vouches(authority, one));
    let mut at = leaf;
    for next in behind {
        if is_trusted(at) {
            return true;
        }
        if !vouches(next, at) {
            return false;
        }
        at = next;
    }
    is_trusted(at)
}

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::pki::{CertificateAuthority, KeyAlgorithm, NewAuthority, PrivateKey, Validity};
    use jiff::SignedDuration;

    /// ecdsa-with-SHA256 as an object identifier.
    const ALGORITHM: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

    /// The same certificate, which says that its signature is of a kind that nothing here knows.
    fn with_unknown_algorithm(certificate: &Certificate) -> Certificate {
        let mut der = certificate.der.clone();
        let places: Vec<usize> = (0..der.len() - ALGORITHM.len())
            .filter(|at| der[*at..].starts_with(ALGORITHM))
            .collect();
        assert_eq!(places.len(), 2);
        for at in places {
            der[at + ALGORITHM.len() - 1] = 0x7f;
        }
        Certificate::from_der(&der).unwrap()
    }

    #[test]
    fn a_signature_that_cannot_be_checked_counts_for_nothing() {
        let now = Timestamp::UNIX_EPOCH;
        let later = now + SignedDuration::from_hours(1);
        let authority = CertificateAuthority::generate(&NewAuthority {
            common_name: "ca".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: now,
            not_after: later,
        })
        .unwrap();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let wanted = NewLeaf {
            common_name: "x".to_owned(),
            organizations: Vec::new(),
            subject_alt_names: Vec::new(),
            server_auth: true,
            client_auth: false,
        };
        let validity = Validity {
            not_before: now,
            not_after: later,
        };
        let good = wanted.sign(&key, &authority, validity).unwrap();
        let unknown = with_unknown_algorithm(&good);
        let check = |one: &Certificate| {
            let trusted = std::slice::from_ref(authority.certificate());
            let chain = std::slice::from_ref(one);
            check_delivered(&wanted, chain, &key.public_key_der(), trusted, now)
        };
        assert_eq!(check(&good), Ok(()));
        assert!(accepts(authority.certificate(), &unknown, now));
        let refused = check(&unknown);
        assert!(
            matches!(refused, Err(SuccessorError::Untrusted { .. })),
            "{refused:?}"
        );
    }
}
