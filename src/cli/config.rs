//! `kubecertd config check` and `kubecertd config show`

use std::path::Path;
use std::process::ExitCode;

use super::arguments::ConfigAction;
use super::output::{line, print, warning};
use super::wrong_config::WrongConfig;
use crate::config::{ConfigWarning, Loaded, load};
use crate::host::Root;
use crate::node::observe_to_report;

pub(super) fn run(
    root: &Root,
    file: Option<&Path>,
    action: &ConfigAction,
) -> anyhow::Result<ExitCode> {
    let loaded = load(root, file).map_err(WrongConfig)?;
    let text = match action {
        ConfigAction::Check if loaded.files.is_empty() => {
            "There is no configuration file; the defaults apply.\n".to_owned()
        }
        ConfigAction::Check => loaded
            .files
            .iter()
            .map(|path| line(format_args!("{}: right", path.display())))
            .collect(),
        ConfigAction::Show => loaded.to_toml(),
    };
    print(&text)?;
    for odd in loaded.warnings.iter().chain(&unknown(root, &loaded)) {
        warning(&odd.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// The certificates that the configuration names and this node does not have.
fn unknown(root: &Root, loaded: &Loaded) -> Vec<ConfigWarning> {
    if loaded.named.is_empty() {
        return Vec::new();
    }
    let inventory = observe_to_report(root, &loaded.config.locations);
    let known = inventory.names();
    let named = loaded.named.iter();
    named.filter_map(|named| named.unknown(&known)).collect()
}
