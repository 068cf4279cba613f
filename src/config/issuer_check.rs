//! Whether what the tables say of issuers is enough, and fits together.

use std::collections::BTreeMap;

use super::Mistake;
use super::issuer::{Issuers, NamedIssuer};
use super::written_name::written_name;

/// Something that does not fit.
pub(super) struct IssuerMisfit {
    /// The key that it is about; the table itself where one is missing.
    pub(super) key: Option<&'static str>,
    pub(super) mistake: Mistake,
    /// The whole sentence.
    pub(super) message: String,
}

/// Keys that mean something only for one of the two.
const OF_PROGRAMS: [&str; 2] = ["authorities", "time-limit"];
const OF_SIGNERS: [&str; 2] = ["approve", "kubeconfig"];

/// The first thing that is wrong with each table. `is_set`: whether a file sets the key of that full name.
pub(super) fn issuer_misfits(
    issuers: &Issuers,
    is_set: &dyn Fn(&str) -> bool,
) -> Vec<(String, IssuerMisfit)> {
    let mut givers: BTreeMap<&str, &str> = BTreeMap::new();
    let mut misfits = Vec::new();
    for (name, issuer) in &issuers.named {
        let table = format!("issuer.{}", written_name(name));
        let has = |key: &str| is_set(&format!("{table}.{key}"));
        let misfit = misfit(&table, issuer, &has).or_else(|| {
            let mut twice = issuer.certificates.iter();
            let (certificate, other) = twice.find_map(|one| Some((one, *givers.get(one.as_str())?)))?;
            let message = format!(
                "{table}.certificates: [issuer.{}] has {certificate:?}, too; write it in one of them",
                written_name(other)
            );
            Some(contradiction("certificates", message))
        });
        misfits.extend(misfit.map(|misfit| (name.clone(), misfit)));
        givers.extend(
            issuer
                .certificates
                .iter()
                .map(|one| (one.as_str(), name.as_str())),
        );
    }
    misfits
}

fn misfit(table: &str, issuer: &NamedIssuer, has: &dyn Fn(&str) -> bool) -> Option<IssuerMisfit> {
    let lacks = |text: &str| IssuerMisfit {
        key: None,
        mistake: Mistake::MissingKey,
        message: format!("[{table}] has no {text}"),
    };
    let set_of = |keys: [&'static str; 2]| keys.into_iter().find(|key| has(key));
    match (&issuer.signer_name, issuer.command.is_empty()) {
        (None, true) => Some(lacks("command; an issuer needs one, or a signer-name")),
        (Some(_), false) => Some(contradiction(
            "signer-name",
            format!(
                "{table}: it has a command and a signer-name; leave one out, or give each a table of its own"
            ),
        )),
        (Some(_), true) => set_of(OF_PROGRAMS)
            .map(|key| {
                let message = format!(
                    "{table}.{key} belongs to a program, and with signer-name the certificates API is asked; leave it out"
                );
                contradiction(key, message)
            })
            .or_else(|| {
                let why = "certificates; write which ones the signer signs, as in certificates = [\"controller-manager.conf\"]";
                issuer.certificates.is_empty().then(|| lacks(why))
            }),
        (None, false) => set_of(OF_SIGNERS)
            .map(|key| {
                let message = format!(
                    "{table}.{key} belongs to a signer of the certificates API, and this is a program; leave it out"
                );
                contradiction(key, message)
            })
            .or_else(|| {
                let is_doubled = !issuer.certificates.is_empty() && has("authorities");
                let message = format!(
                    "{table}: certificates says what it signs, and so does authorities; leave one out"
                );
                is_doubled.then(|| contradiction("authorities", message))
            }),
    }
}

fn contradiction(key: &'static str, message: String) -> IssuerMisfit {
    IssuerMisfit {
        key: Some(key),
        mistake: Mistake::Contradiction,
        message,
    }
}
