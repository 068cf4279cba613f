//! `kubecertd config check` and `kubecertd config show`

use std::path::Path;
use std::process::ExitCode;

use super::arguments::ConfigAction;
use super::output::{line, print, warning};
use super::wrong_config::WrongConfig;
use crate::config::load;
use crate::host::Root;

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
    for odd in &loaded.warnings {
        warning(&odd.to_string());
    }
    Ok(ExitCode::SUCCESS)
}
