//! `kubecertd run`

use std::process::ExitCode;

use super::runtime::runtime;
use crate::daemon;
use crate::operation::Context;
use crate::report::Level;

pub(super) fn run(context: Context, once: bool, log: Option<Level>) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(daemon::run(context, once, log))?;
    Ok(ExitCode::SUCCESS)
}
