//! `kubecertd pki`

use std::process::ExitCode;

use super::credential_arguments::{PkiAction, PkiInit};
use super::csr::configured;
use super::output::{line, print, warning};
use crate::credentials::{Target, init};
use crate::operation::Context;
use crate::pki::date;

pub(super) fn run(context: &Context, action: &PkiAction) -> anyhow::Result<ExitCode> {
    match action {
        PkiAction::Init(options) => initialise(context, options),
    }
}

fn initialise(context: &Context, options: &PkiInit) -> anyhow::Result<ExitCode> {
    let (control_plane, places) = configured(context, options.config.as_deref(), &options.places)?;
    let mut targets = Vec::new();
    for name in &options.names {
        for target in Target::named(name, &control_plane).map_err(anyhow::Error::msg)? {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    for one in init(&places, &control_plane, &targets, crate::host::now())? {
        let what = if one.is_kept { "kept" } else { "made" };
        let end = one
            .end
            .map(|end| format!(", until {}", date(end)))
            .unwrap_or_default();
        print(&line(format_args!("{}: {what}{end}", one.name)))?;
        for difference in one.differences {
            warning(&format!("{}: {difference}", one.name));
        }
    }
    Ok(ExitCode::SUCCESS)
}
