//! `kubecertd run`

use std::process::ExitCode;

use super::runtime;
use crate::daemon;
use crate::operation::Context;

pub(super) fn run(context: Context, once: bool) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(daemon::run(context, once))?;
    Ok(ExitCode::SUCCESS)
}
