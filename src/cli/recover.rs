//! `kubecertd recover`

use std::process::ExitCode;

use super::output::{self, Narrator, print};
use super::renew::summarize;
use super::runtime;
use crate::daemon::stop_on_signal;
use crate::operation::{Context, finish_recovery, recover_expired};
use crate::plan::Request;
use crate::root::Root;
use crate::transaction::{Lock, Store, TransactionError, return_parked};

pub(super) fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let mut narrator = Narrator::new();
    let lock = Lock::take(&context.store())?;
    let reports = runtime()?.block_on(async {
        let stop = stop_on_signal()?;
        let mut events = |event| narrator.tell(&event);
        anyhow::Ok(finish_recovery(context, &lock, &stop, &mut events).await?)
    })?;
    if reports.is_empty() {
        print("Nothing to recover: no operation was cut off.\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn expired(context: &Context, force: bool) -> anyhow::Result<ExitCode> {
    let mut narrator = Narrator::new();
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal()?;
        let mut events = |event| narrator.tell(&event);
        anyhow::Ok(recover_expired(context, force, &stop, &mut events).await?)
    })?;
    match report {
        Some(report) => summarize(&report, &Request::DueByHand { force }),
        None => {
            print("Nothing has expired on this node.\n")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// For the moments before kubelet starts and after the daemon died: no configuration, no runtime, no network.
pub(super) fn return_manifests(root: &Root) -> anyhow::Result<ExitCode> {
    let store = Store::new(root);
    // A process at work returns its manifests itself, and needs them out until then.
    let lock = match Lock::take(&store) {
        Ok(lock) => Some(lock),
        Err(error @ TransactionError::Busy { .. }) => return Err(error.into()),
        Err(error) => {
            output::error(&format!("going on without the lock: {error}"));
            None
        }
    };
    let directories = [root.join("/etc/kubernetes/manifests")];
    for manifest in return_parked(&store, lock.as_ref(), &directories)? {
        print(&format!("{} returned\n", manifest.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
