//! `kubecertd generate address-filter`

use std::process::ExitCode;

use super::output::print;
use super::runtime::runtime;
use crate::operation::{Context, needed_addresses};
use crate::report::address_filter;

pub(super) fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let inventory = context.observe();
    let addresses = runtime()?.block_on(needed_addresses(context, &inventory))?;
    let node = inventory.node_name.as_deref();
    print(&address_filter(&addresses, node, crate::host::now()))?;
    Ok(ExitCode::SUCCESS)
}
