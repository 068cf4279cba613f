//! The certificates that a configuration names, and whether the node has them.

use std::collections::BTreeSet;
use std::ops::Range;

use super::fragment::{Fragment, SetKey};
use super::nearest::nearest;
use super::value::misspelt_name;
use super::{Config, ConfigError, ConfigWarning, Mistake, Oddity};
use crate::pki::Catalogued;

/// A certificate that a file of the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCertificate {
    /// Its name.
    pub name: String,
    /// The place of the name; its message is the key that names it: `renewal.skip`, `[certificate."x.crt"]`.
    place: ConfigWarning,
}

impl NamedCertificate {
    /// What to say of it where none of `known`, the certificates of this node, is called so. kubeadm's own names are right on
    /// every node: one configuration may serve several, of which not each has all of them.
    #[must_use]
    pub fn unknown(&self, known: &BTreeSet<&str>) -> Option<ConfigWarning> {
        let is_kubeadms = Catalogued::all()
            .into_iter()
            .any(|one| one.name() == self.name);
        if is_kubeadms || known.contains(self.name.as_str()) {
            return None;
        }
        let instead = match nearest(&self.name, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "`kubecertd check-expiration --all` shows the names".to_owned(),
        };
        let message = format!(
            "{}: no certificate of this node is called {:?}, so this has no effect; {instead}",
            self.place.message, self.name
        );
        Some(ConfigWarning {
            message,
            ..self.place.clone()
        })
    }
}

/// A name where it stands.
struct Place<'all> {
    name: &'all str,
    span: Range<usize>,
    /// What names it, a table or a list.
    key: String,
    is_table: bool,
}

/// What the files name, in the order of reading; without what they describe, which the node has by that.
pub(super) fn named(fragments: &[Fragment<'_>], config: &Config) -> Vec<NamedCertificate> {
    let described = &config.locations.described;
    let mut named = Vec::new();
    for fragment in fragments {
        for place in places(fragment) {
            if !(place.is_table && described.contains_key(place.name)) {
                named.push(NamedCertificate {
                    name: place.name.to_owned(),
                    place: fragment.odd(&place.span, Oddity::UnknownCertificate, place.key),
                });
            }
        }
    }
    named
}

/// Every name that is nearly one of kubeadm's. A certificate with a `file` of its own may be called as anybody likes.
pub(super) fn misspelt(fragments: &[Fragment<'_>]) -> Vec<ConfigError> {
    let described: BTreeSet<&str> = fragments.iter().flat_map(with_file).collect();
    let mut misspelt = Vec::new();
    for fragment in fragments {
        for place in places(fragment) {
            let Place { name, key, .. } = &place;
            let Some(meant) = misspelt_name(name).filter(|_| !described.contains(name)) else {
                continue;
            };
            let (mistake, message) = if place.is_table {
                (Mistake::WrongTableName, format!("{key}: {meant}"))
            } else {
                (Mistake::WrongValue, format!("{key} = {name:?}; {meant}"))
            };
            misspelt.push(fragment.wrong(place.span, mistake, message));
        }
    }
    misspelt
}

/// The tables that say where a certificate lies.
fn with_file<'all>(fragment: &'all Fragment<'_>) -> impl Iterator<Item = &'all str> {
    let settings = fragment.settings.iter();
    settings.filter_map(|setting| match &setting.key {
        SetKey::InTable {
            section,
            table,
            key,
        } => (section.section == "certificate" && key.name == "file").then_some(table.as_str()),
        SetKey::Plain(_) => None,
    })
}

fn places<'all>(fragment: &'all Fragment<'_>) -> impl Iterator<Item = Place<'all>> {
    let skipped = fragment
        .settings
        .iter()
        .filter(|setting| {
            matches!(&setting.key, SetKey::Plain(key) if key.full_name() == "renewal.skip")
        })
        .filter_map(|setting| setting.value.get_ref().as_array())
        .flat_map(|array| array.iter())
        .filter_map(|element| {
            Some(Place {
                name: element.get_ref().as_str()?,
                span: element.span(),
                key: "renewal.skip".to_owned(),
                is_table: false,
            })
        });
    let tables = fragment
        .tables
        .iter()
        .filter(|table| table.section.section == "certificate")
        .map(|table| Place {
            name: &table.name,
            span: table.span.clone(),
            key: format!("[{}]", table.section.full_name(&table.name)),
            is_table: true,
        });
    skipped.chain(tables)
}
