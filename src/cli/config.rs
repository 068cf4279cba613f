//! `kubecertd config check` and `kubecertd config show`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::ConfigAction;
use super::exit_codes;
use super::output::{line, print, warning};
use super::values::Format;
use super::wrong_config::WrongConfig;
use crate::config::{ConfigError, ConfigWarning, Loaded, load};
use crate::host::Root;
use crate::node::observe_to_report;
use crate::operation::Context;
use crate::plan::cluster_says;
use crate::report::ConfigurationView;

pub(super) fn run(
    root: &Root,
    file: Option<&Path>,
    action: &ConfigAction,
) -> anyhow::Result<ExitCode> {
    match action {
        ConfigAction::Check {
            output: Format::Json,
        } => {
            let (files, errors, warnings) = match load(root, file) {
                Ok(loaded) => {
                    let warnings = warnings(root, &loaded);
                    (loaded.files, Vec::new(), warnings)
                }
                Err(errors) => (Vec::new(), errors, Vec::new()),
            };
            document(&files, &errors, &warnings)
        }
        ConfigAction::Check {
            output: Format::Text,
        } => {
            let loaded = load(root, file).map_err(WrongConfig)?;
            said(root, &loaded, &checked(&loaded))
        }
        ConfigAction::Show => {
            let loaded = load(root, file).map_err(WrongConfig)?;
            let code = said(root, &loaded, &loaded.to_toml())?;
            let context = Context::new(root.clone(), loaded.config, None);
            for says in cluster_says(&context.observe_to_report(), &context.config) {
                warning(&says.to_string());
            }
            Ok(code)
        }
    }
}

fn checked(loaded: &Loaded) -> String {
    if loaded.files.is_empty() {
        return "There is no configuration file; the defaults apply.\n".to_owned();
    }
    let files = loaded.files.iter();
    files
        .map(|path| line(format_args!("{}: right", path.display())))
        .collect()
}

fn said(root: &Root, loaded: &Loaded, text: &str) -> anyhow::Result<ExitCode> {
    print(text)?;
    for odd in warnings(root, loaded) {
        warning(&odd.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

fn document(
    files: &[PathBuf],
    errors: &[ConfigError],
    warnings: &[ConfigWarning],
) -> anyhow::Result<ExitCode> {
    let view = ConfigurationView::new(files, errors, warnings);
    print(&format!("{}\n", serde_json::to_string_pretty(&view)?))?;
    Ok(if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit_codes::CONFIG)
    })
}

fn warnings(root: &Root, loaded: &Loaded) -> Vec<ConfigWarning> {
    let mut warnings = loaded.warnings.clone();
    warnings.extend(unknown(root, loaded));
    warnings
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
