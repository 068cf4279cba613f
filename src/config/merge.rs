//! What all files say together, and whether it makes sense together.

use std::collections::BTreeMap;
use std::path::Path;

use super::fragment::{Fragment, Setting};
use super::odd::odd;
use super::quantity::show_duration;
use super::{Config, ConfigError, ConfigWarning};
use crate::host::Root;

/// All files merged.
pub(super) struct Merged<'text> {
    pub(super) config: Config,
    /// Who had the last word about each key that is set: `renewal.before` and the file.
    pub(super) set_by: BTreeMap<String, &'text Path>,
    /// What is valid and probably not meant.
    pub(super) warnings: Vec<ConfigWarning>,
}

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
    let mut last: BTreeMap<String, (&Fragment<'text>, &Setting<'text>)> = BTreeMap::new();
    for fragment in fragments {
        for setting in &fragment.settings {
            let name = setting.key.full_name();
            match (setting.key.set)(&mut config, &setting.value) {
                Ok(()) => {
                    last.insert(name, (fragment, setting));
                }
                Err(mistakes) => {
                    errors.extend(mistakes.into_iter().map(|wrong| {
                        fragment.wrong(wrong.span, format!("{name}{}", wrong.message))
                    }))
                }
            }
        }
    }
    // A `before` that nobody wrote cannot be too long: the last third of the lifetime limits it anyway. Among other
    // mistakes nothing is said about it, as the validity may be one of them.
    if errors.is_empty()
        && config.renewal.before >= config.renewal.validity
        && let Some((fragment, setting)) = last.get("renewal.before")
    {
        errors.push(fragment.wrong(setting.value.span(), before_too_long(&config)));
    }
    if errors.is_empty() {
        let warnings = last
            .iter()
            .filter_map(|(name, (fragment, setting))| {
                let message = odd(&config, name, root)?;
                Some(fragment.odd(&setting.value.span(), message))
            })
            .collect();
        let set_by = last
            .into_iter()
            .map(|(name, (fragment, _))| (name, fragment.path()))
            .collect();
        Ok(Merged {
            config,
            set_by,
            warnings,
        })
    } else {
        Err(errors)
    }
}

fn before_too_long(config: &Config) -> String {
    let third = config.renewal.validity / 3;
    format!(
        "renewal.before = {:?} is not shorter than renewal.validity = {:?}: a new certificate would be due at once; \
         write at most a third of the validity, {:?}",
        show_duration(config.renewal.before),
        show_duration(config.renewal.validity),
        show_duration(std::time::Duration::from_secs(third.as_secs())),
    )
}
