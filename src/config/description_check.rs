//! Whether what the tables say of certificates that are not kubeadm's is enough, and fits together.

use std::collections::BTreeMap;
use std::path::Path;

use super::description::{CertificateUser, stars};
use super::written_name::written_name;
use super::{Description, Mistake};
use crate::pki::Catalogued;

/// Something that does not fit.
pub(super) struct Misfit {
    /// The key that it is about; the table itself where one is missing.
    pub(super) key: Option<&'static str>,
    pub(super) mistake: Mistake,
    /// The whole sentence.
    pub(super) message: String,
}

/// How the names of the kubelet's own certificates begin.
const KUBELETS: [&str; 3] = ["kubelet.", "kubelet-client-", "kubelet-server-"];

/// The first thing that is wrong with the description that the table `name` gives.
pub(super) fn misfit(name: &str, described: &Description) -> Option<Misfit> {
    let table = format!("certificate.{}", written_name(name));
    if Catalogued::by_name(name).is_some() {
        return Some(Misfit {
            key: None,
            mistake: Mistake::Contradiction,
            message: format!(
                "[{table}] describes a certificate of kubeadm's, whose files and users are known; give another certificate a name \
                 of its own"
            ),
        });
    }
    if KUBELETS.iter().any(|begin| name.starts_with(begin)) {
        return Some(Misfit {
            key: None,
            mistake: Mistake::WrongTableName,
            message: format!(
                "[{table}]: the kubelet's own certificates are called so; give this one another name"
            ),
        });
    }
    if described.file.as_os_str().is_empty() {
        let why = "a certificate that is not kubeadm's needs one, its path";
        return Some(lacks(&table, "file", why));
    }
    signer(&table, described)
        .or_else(|| pattern(&table, described))
        .or_else(|| unit(&table, described))
}

fn lacks(table: &str, key: &str, why: &str) -> Misfit {
    Misfit {
        key: None,
        mistake: Mistake::MissingKey,
        message: format!("[{table}] has no {key}; {why}"),
    }
}

/// One CA signs it: one of kubeadm's, or one of which the files are named, without its key where that is elsewhere.
fn signer(table: &str, described: &Description) -> Option<Misfit> {
    match (described.issuer, &described.ca, &described.ca_key) {
        (Some(_), None, None) | (None, Some(_), _) => None,
        (Some(_), ca, _) => Some(Misfit {
            key: Some(if ca.is_some() { "ca" } else { "ca-key" }),
            mistake: Mistake::Contradiction,
            message: format!(
                "{table}: issuer is a CA of kubeadm's, whose files are known; leave that out, or ca and ca-key"
            ),
        }),
        (None, None, Some(_)) => {
            let why = "it goes with ca-key: where the certificate of that CA lies";
            Some(lacks(table, "ca", why))
        }
        (None, None, None) => {
            let why = "write which CA of this node signs it: \"ca\", \"etcd-ca\" or \"front-proxy-ca\"; or the files of another \
                       as ca and ca-key";
            Some(lacks(table, "issuer", why))
        }
    }
}

/// The first table that gives a CA another key than a table before it, or none where that gives one.
pub(super) fn two_keys<'config>(
    all: impl IntoIterator<Item = (&'config String, &'config Description)>,
) -> Option<(&'config str, Misfit)> {
    let mut keys: BTreeMap<&Path, (&str, Option<&Path>)> = BTreeMap::new();
    for (name, described) in all {
        let Some(ca) = &described.ca else { continue };
        let key = described.ca_key.as_deref();
        let (first, known) = *keys.entry(ca).or_insert((name, key));
        if known == key {
            continue;
        }
        let says = match known {
            Some(known) => format!("says that the key of that CA is {}", known.display()),
            None => "has no ca-key, as if the key of that CA were elsewhere".to_owned(),
        };
        let (place, own) = match key {
            Some(_) => (Some("ca-key"), String::new()),
            None => (None, "there is none, and ".to_owned()),
        };
        let message = format!(
            "certificate.{}.ca-key: {own}[certificate.{}] {says}; correct one of the two",
            written_name(name),
            written_name(first),
        );
        let misfit = Misfit {
            key: place,
            mistake: Mistake::Contradiction,
            message,
        };
        return Some((name, misfit));
    }
    None
}

/// The first table with a file of its own that is called as a match of a pattern is.
pub(super) fn called_as_a_match(
    described: &BTreeMap<String, Description>,
) -> Option<(&str, Misfit)> {
    described.keys().find_map(|name| {
        let (table, _) = name.rsplit_once('/')?;
        described.get(table).filter(|one| one.is_pattern())?;
        let message = format!(
            "[certificate.{}] has a file of its own, but is called as what [certificate.{}] has a pattern for; give it another name",
            written_name(name),
            written_name(table),
        );
        let misfit = Misfit {
            key: None,
            mistake: Mistake::Contradiction,
            message,
        };
        Some((name.as_str(), misfit))
    })
}

/// A star is for names of files, once.
fn pattern(table: &str, described: &Description) -> Option<Misfit> {
    let refuse = |key: &'static str, reason: &str| {
        Some(Misfit {
            key: Some(key),
            mistake: Mistake::WrongValue,
            message: format!("{table}.{key}: {reason}"),
        })
    };
    for (key, path) in [
        ("file", Some(&described.file)),
        ("key", described.key.as_ref()),
    ] {
        let Some(path) = path else { continue };
        let (all, last) = (
            stars(path),
            path.file_name().map_or(0, |name| stars(Path::new(name))),
        );
        if all > 1 || all != last {
            return refuse(
                key,
                "one * may stand in the last part of the path, and nowhere else",
            );
        }
        if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return refuse(key, "this is a directory's path; write the file's");
        }
    }
    if described.is_pattern() && described.address.is_some() {
        return Some(Misfit {
            key: Some("address"),
            mistake: Mistake::Contradiction,
            message: format!(
                "{table}.address: file has a *, and at one address one certificate is served; leave address out, or describe \
                 each certificate by a table of its own, without a *"
            ),
        });
    }
    let key = described.key.as_ref()?;
    match (described.is_pattern(), stars(key) > 0) {
        (true, false) => refuse(
            "key",
            "file has a *, so key needs one, which stands for the same",
        ),
        (false, true) => refuse(
            "key",
            "file has no *, so there is nothing that one here could stand for",
        ),
        _ => None,
    }
}

fn unit(table: &str, described: &Description) -> Option<Misfit> {
    let has_unit = matches!(described.user, CertificateUser::Unit(_));
    (described.unit_action.is_some() && !has_unit).then(|| Misfit {
        key: Some("unit-action"),
        mistake: Mistake::Contradiction,
        message: format!(
            "{table}.unit-action: there is no unit of which it could be said; write unit as well"
        ),
    })
}
