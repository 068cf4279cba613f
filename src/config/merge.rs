//! What all files say together, and whether it makes sense together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use super::description_check::{called_as_a_match, misfit, two_keys};
use super::fragment::{Fragment, NamedTable, Setting};
use super::issuer_check::issuer_misfits;
use super::named::{NamedCertificate, misspelt, named};
use super::odd::odd;
use super::quantity::show_duration;
use super::renewal::table_with;
use super::written_name::written_name;
use super::{ApproverMode, Config, ConfigError, ConfigWarning, Mistake};
use crate::host::Root;

/// All files merged.
pub(super) struct Merged<'text> {
    pub(super) config: Config,
    /// Who had the last word about each key that is set: `renewal.before` and the file.
    pub(super) set_by: BTreeMap<String, &'text Path>,
    /// What is valid and probably not meant.
    pub(super) warnings: Vec<ConfigWarning>,
    /// The certificates that files name.
    pub(super) named: Vec<NamedCertificate>,
}

/// Who had the last word about each key.
type Last<'all, 'text> = BTreeMap<String, (&'all Fragment<'text>, &'all Setting<'text>)>;

/// Puts one fragment over the other, later ones winning, and checks the whole; paths are looked at below `root`, if there
/// is one.
///
/// # Errors
/// `errors`, those found before, with every further mistake, those in values that a later file overrides too.
pub(super) fn merge<'text>(
    fragments: &[Fragment<'text>],
    mut errors: Vec<ConfigError>,
    root: Option<&Root>,
) -> Result<Merged<'text>, Vec<ConfigError>> {
    let mut config = Config::default();
    let mut last: Last<'_, 'text> = BTreeMap::new();
    for fragment in fragments {
        for table in &fragment.tables {
            (table.section.declare)(&mut config, &table.name);
        }
        for setting in &fragment.settings {
            let name = setting.key.full_name();
            match setting.key.set(&mut config, &setting.value) {
                Ok(()) => {
                    last.insert(name, (fragment, setting));
                }
                Err(mistakes) => errors.extend(mistakes.into_iter().map(|wrong| {
                    fragment.wrong(
                        wrong.span,
                        wrong.mistake,
                        format!("{name}{}", wrong.message),
                    )
                })),
            }
        }
    }
    // Where a file is no TOML, what a table has may be lost.
    if !errors.iter().any(ConfigError::is_syntax) {
        errors.extend(misspelt(fragments));
    }
    // Among other mistakes nothing is said about what does not fit together, as they may be the cause.
    if errors.is_empty() {
        errors.extend(lacking(fragments, &last));
        errors.extend(misfits(fragments, &config, &last));
        errors.extend(of_issuers(fragments, &config, &last));
        errors.extend(too_long(&config, &last));
        errors.extend(approves_by_nodes_alone(&config, &last));
    }
    if errors.is_empty() {
        let warnings = last
            .iter()
            .filter_map(|(name, (fragment, setting))| {
                let (oddity, message) = odd(&config, name, root)?;
                Some(fragment.odd(&setting.value.span(), oddity, message))
            })
            .collect();
        let set_by = last
            .into_iter()
            .map(|(name, (fragment, _))| (name, fragment.path()))
            .collect();
        Ok(Merged {
            named: named(fragments, &config),
            config,
            set_by,
            warnings,
        })
    } else {
        Err(errors)
    }
}

/// Every table without a key that it has to have, at the last place that names it.
fn lacking(fragments: &[Fragment<'_>], last: &Last<'_, '_>) -> Vec<ConfigError> {
    let mut places = BTreeMap::new();
    for fragment in fragments {
        for table in &fragment.tables {
            let name = table.section.full_name(&table.name);
            for key in (table.section.required)(&table.name) {
                places.insert(format!("{name}.{key}"), (fragment, table, *key));
            }
        }
    }
    places
        .into_iter()
        .filter(|(name, _)| !last.contains_key(name))
        .map(|(_, (fragment, table, key))| {
            let name = table.section.full_name(&table.name);
            let section = table.section.section;
            let article = if section.starts_with(['a', 'e', 'i', 'o', 'u']) {
                "an"
            } else {
                "a"
            };
            let message = format!("[{name}] has no {key}; {article} {section} needs one");
            fragment.wrong(table.span.clone(), Mistake::MissingKey, message)
        })
        .collect()
}

/// What does not fit together of certificates that are not kubeadm's, at the last place that says it.
fn misfits(fragments: &[Fragment<'_>], config: &Config, last: &Last<'_, '_>) -> Vec<ConfigError> {
    let described = &config.locations.described;
    let of_one = described
        .iter()
        .filter_map(|(name, described)| Some((name.as_str(), misfit(name, described)?)));
    of_one
        .chain(two_keys(described))
        .chain(called_as_a_match(described))
        .filter_map(|(name, misfit)| {
            let key = misfit
                .key
                .and_then(|key| last.get(&format!("certificate.{}.{key}", written_name(name))));
            let (fragment, span) = match key {
                Some((fragment, setting)) => (*fragment, setting.value.span()),
                None => table_of(fragments, "certificate", name)?,
            };
            Some(fragment.wrong(span, misfit.mistake, misfit.message))
        })
        .collect()
}

/// The same of issuers.
fn of_issuers(
    fragments: &[Fragment<'_>],
    config: &Config,
    last: &Last<'_, '_>,
) -> Vec<ConfigError> {
    issuer_misfits(&config.issuers, &|key| last.contains_key(key))
        .into_iter()
        .filter_map(|(name, misfit)| {
            let key = misfit
                .key
                .and_then(|key| last.get(&format!("issuer.{}.{key}", written_name(&name))));
            let (fragment, span) = match key {
                Some((fragment, setting)) => (*fragment, setting.value.span()),
                None => table_of(fragments, "issuer", &name)?,
            };
            Some(fragment.wrong(span, misfit.mistake, misfit.message))
        })
        .collect()
}

/// The last file that has the table of that name, and where the name stands in it.
fn table_of<'all, 'text>(
    fragments: &'all [Fragment<'text>],
    section: &str,
    name: &str,
) -> Option<(&'all Fragment<'text>, Range<usize>)> {
    fragments.iter().rev().find_map(|fragment| {
        let of_that_name =
            |table: &&NamedTable| table.section.section == section && table.name == name;
        let table = fragment.tables.iter().find(of_that_name)?;
        Some((fragment, table.span.clone()))
    })
}

/// An approver that would go by what nodes write of themselves.
fn approves_by_nodes_alone(config: &Config, last: &Last<'_, '_>) -> Option<ConfigError> {
    let approver = &config.approver;
    let lacking = match (approver.cidrs.is_empty(), approver.names.is_empty()) {
        (false, false) => return None,
        (true, true) => "cidrs and names",
        (true, false) => "cidrs",
        (false, true) => "names",
    };
    if approver.mode != ApproverMode::Approve {
        return None;
    }
    let (fragment, setting) = last.get("approver.mode")?;
    let message = format!(
        "approver.mode = \"approve\" needs {lacking}: a kubelet writes the addresses of its own Node, so they alone prove nothing; \
         write the nodes' networks and names, as in cidrs = [\"10.0.0.0/16\"] and names = [\"worker-*\"], or mode = \"observe\""
    );
    Some(fragment.wrong(setting.value.span(), Mistake::MissingKey, message))
}

/// Every `before` that is not shorter than the validity it goes with. One that no file says cannot be too long: the last
/// third of the lifetime limits it anyway.
fn too_long(config: &Config, last: &Last<'_, '_>) -> Vec<ConfigError> {
    let renewal = &config.renewal;
    let for_all = (
        "renewal".to_owned(),
        renewal.before,
        "renewal".to_owned(),
        renewal.validity,
    );
    // What a table says of neither is found wrong where it is said.
    let own = renewal
        .certificates
        .iter()
        .filter(|(_, own)| own.before.is_some() || own.validity.is_some())
        .map(|(name, _)| {
            let effective = renewal.of(name);
            let before = table_with(renewal, name, |own| own.before.is_some());
            let validity = table_with(renewal, name, |own| own.validity.is_some());
            (before, effective.before, validity, effective.validity)
        });
    std::iter::once(for_all)
        .chain(own)
        .filter(|(_, before, _, validity)| before >= validity)
        .filter_map(|(table, before, other, validity)| {
            let key = format!("{table}.before");
            let (name, (fragment, setting)) = last.get_key_value(&key)?;
            let message = before_too_long((name, before), (&other, validity));
            Some(fragment.wrong(setting.value.span(), Mistake::Contradiction, message))
        })
        .collect()
}

fn before_too_long(
    (name, before): (&str, Duration),
    (table, validity): (&str, Duration),
) -> String {
    format!(
        "{name} = {:?} is not shorter than {table}.validity = {:?}: a new certificate would be due at once; \
         write at most a third of the validity, {:?}",
        show_duration(before),
        show_duration(validity),
        show_duration(Duration::from_secs(validity.as_secs() / 3)),
    )
}
