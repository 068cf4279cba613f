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

/// Whether a chain leads to someone who is trusted: each certificate is signed by a trusted one or by the next.
fn leads_to(
    leaf: &Certificate,
    behind: &[Certificate],
    trusted: &[Certificate],
    now: Timestamp,
) -> bool {
    let is_trusted =
        |one: &Certificate| trusted.iter().any(|authority| accepts(authority, one, now));
    let mut at = leaf;
    for next in behind {
        if is_trusted(at) {
            return true;
        }
        if !accepts(next, at, now) {
            return false;
        }
        at = next;
    }
    is_trusted(at)
}

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
