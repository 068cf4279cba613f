//! The certificates that a configuration names, and whether the node has them.

use std::collections::BTreeSet;

use super::fragment::{Fragment, SetKey};
use super::nearest::nearest;
use super::{Config, ConfigWarning, Oddity};
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

/// What the files name, in the order of reading; without what they describe, which the node has by that.
pub(super) fn named(fragments: &[Fragment<'_>], config: &Config) -> Vec<NamedCertificate> {
    let of_fragment = |fragment| of_fragment(fragment, config);
    fragments.iter().flat_map(of_fragment).collect()
}

fn of_fragment<'all>(
    fragment: &'all Fragment<'_>,
    config: &'all Config,
) -> impl Iterator<Item = NamedCertificate> + 'all {
    let skipped = fragment
        .settings
        .iter()
        .filter(|setting| {
            matches!(&setting.key, SetKey::Plain(key) if key.full_name() == "renewal.skip")
        })
        .filter_map(|setting| setting.value.get_ref().as_array())
        .flat_map(|array| array.iter())
        .filter_map(|element| {
            Some(NamedCertificate {
                name: element.get_ref().as_str()?.to_owned(),
                place: fragment.odd(&element.span(), Oddity::UnknownCertificate, "renewal.skip".to_owned()),
            })
        });
    let tables = fragment
        .tables
        .iter()
        .filter(|table| table.section.section == "certificate")
        .filter(|table| !config.locations.described.contains_key(&table.name))
        .map(|table| NamedCertificate {
            name: table.name.clone(),
            place: fragment.odd(
                &table.span,
                Oddity::UnknownCertificate,
                format!("[{}]", table.section.full_name(&table.name)),
            ),
        });
    skipped.chain(tables)
}
