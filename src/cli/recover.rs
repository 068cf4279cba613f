//! `kubecertd recover`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::hints::are_for_another_root;
use super::output::{self, Narrator, line, print, tell};
use super::renew::{Words, exit_code, summarize};
use super::runtime::runtime;
use crate::config::{Config, LogFormat, load};
use crate::daemon::{StopSignals, stop_on_signal};
use crate::files::{recover, return_parked};
use crate::host::Root;
use crate::journal::{Lock, Store, TransactionError};
use crate::node::{KubeletConfiguration, listed};
use crate::operation::{
    Context, Event, finish_recovery, give_up, log_line, log_summary, recover_expired,
    recover_expired_holding,
};
use crate::plan::Request;

pub(super) fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let mut narrator = Narrator::new();
    let manifests = [context.observe().directories.manifests];
    let manifests = manifests_first(&context.store(), manifests)?;
    let lock = manifests.lock?;
    let reports = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        anyhow::Ok(finish_recovery(context, &lock, &stop, &mut events).await?)
    })?;
    if reports.is_empty() && manifests.returned == Some(0) {
        print("Nothing to recover: no operation was interrupted.\n")?;
    }
    for report in &reports {
        log_summary(context, &report.operation);
    }
    let is_all_done = reports.iter().all(|report| report.left.is_empty());
    Ok(exit_code(is_all_done && manifests.returned.is_some()))
}

pub(super) fn expired(context: &Context, force: bool) -> anyhow::Result<ExitCode> {
    let mut narrator = Narrator::new();
    let manifests = [context.observe().directories.manifests];
    let manifests = manifests_first(&context.store(), manifests)?;
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        let recovered = match &manifests.lock {
            Ok(lock) => recover_expired_holding(context, lock, force, &stop, &mut events).await,
            // It says what is wrong with the state directory.
            Err(_) => recover_expired(context, force, &stop, &mut events).await,
        };
        anyhow::Ok(recovered?)
    })?;
    let code = match report {
        Some(report) => {
            for id in report.operations() {
                log_summary(context, id);
            }
            summarize(&report, &Request::DueByHand { force }, Words::Renewed)?
        }
        None => {
            print("Nothing has expired on this node.\n")?;
            ExitCode::SUCCESS
        }
    };
    Ok(if manifests.returned.is_some() {
        code
    } else {
        ExitCode::FAILURE
    })
}

/// For whoever knows that what is owed cannot work until something else is done.
pub(super) fn give_up_pending(context: &Context) -> anyhow::Result<ExitCode> {
    let mut narrator = Narrator::new();
    let manifests = [context.observe().directories.manifests];
    let manifests = manifests_first(&context.store(), manifests)?;
    let lock = manifests.lock?;
    let all = give_up(context, &lock, &mut |event| narrator.show(&event))?;
    if all.is_empty() {
        print("Nothing to give up: no operation is in flight.\n")?;
    }
    for one in all {
        let files = if one.forward { "new" } else { "old" };
        let said = format!(
            "{}: given up, with its {files} files in place.",
            one.operation
        );
        print(&line(format_args!("{said}")))?;
        log_line(false, &said);
        if !one.not_restarted.is_empty() {
            let pods = one.not_restarted.join(", ");
            let how = if are_for_another_root() {
                "They have to be started anew on the node itself.".to_owned()
            } else {
                let names = one.not_restarted.join(" ");
                format!("`kubecertd restart {names}` restarts them.")
            };
            print(&line(format_args!(
                "Not restarted, and perhaps with other files than these: {pods}. {how}"
            )))?;
        }
        if !one.not_told.is_empty() {
            print(&line(format_args!(
                "Not told, and perhaps with other files than these until they are reloaded or restarted: {}",
                one.not_told.join(", ")
            )))?;
        }
        if !one.not_proved.is_empty() {
            print(&line(format_args!(
                "Not proved to be in use: {}.",
                listed(&one.not_proved)
            )))?;
        }
    }
    Ok(exit_code(manifests.returned.is_some()))
}

/// For the moments before kubelet starts and after the daemon died: no configuration, no runtime, no network.
pub(super) fn return_manifests(root: &Root, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    // What was found in a manifest's place, or not found anywhere, is told there.
    let journal = root.is_system().then_some("info");
    if let Err(error) = crate::report::start_for_command("warn", LogFormat::Auto, journal) {
        output::error(&error.to_string());
    }
    let directories = manifest_directories(root, config);
    let done = manifests_first(&Store::new(root), directories)?;
    if let Err(error) = done.lock {
        let line = format!("went on without the lock: {error}");
        output::error(&line);
        log_line(true, &line);
    }
    Ok(exit_code(done.returned.is_some()))
}

/// What can be done with a configuration that is wrong: manifests come back, and no certificate stays without its key.
/// The journal stays for the restarts and proofs that are owed.
pub(super) fn settle(root: &Root, config: Option<&Path>) -> anyhow::Result<()> {
    let store = Store::new(root);
    let lock = manifests_first(&store, manifest_directories(root, config))?.lock?;
    let mut narrator = Narrator::new();
    for recovery in recover(&store, &lock)? {
        narrator.show(&Event::Recovered {
            operation: recovery.id,
            forward: recovery.rolled_forward,
            returned: recovery.returned.len(),
        });
    }
    Ok(())
}

/// Brings back the manifests that are out, with the lock or, where the state directory is of no use, without.
fn manifests_first(
    store: &Store,
    directories: impl IntoIterator<Item = PathBuf>,
) -> anyhow::Result<ManifestsFirst> {
    let lock = Lock::take(store);
    // A process at work returns its manifests itself, and needs them out until then.
    if let Err(error @ TransactionError::Busy { .. }) = lock {
        return Err(error.into());
    }
    let directories: Vec<PathBuf> = directories.into_iter().collect();
    let returned = match return_parked(store, lock.as_ref().ok(), &directories) {
        Ok(returned) => Some(returned),
        Err(error) => {
            output::error(&error.to_string());
            log_line(true, &error.to_string());
            None
        }
    };
    for manifest in returned.iter().flatten() {
        let said = format!("{} returned", manifest.display());
        tell(&line(format_args!("{said}")));
        log_line(false, &said);
    }
    Ok(ManifestsFirst {
        lock,
        returned: returned.map(|all| all.len()),
    })
}

/// The lock, if it could be had, and how many manifests are back; `None` if one could not be brought back, which is said by
/// then and must not keep files from being settled.
struct ManifestsFirst {
    lock: Result<Lock, TransactionError>,
    returned: Option<usize>,
}

/// Beside which directories manifests may be: kubeadm's, the kubelet's, and the configured one where the configuration can
/// be understood.
fn manifest_directories(root: &Root, config: Option<&Path>) -> BTreeSet<PathBuf> {
    let locations = load(root, config).map_or_else(
        |_| Config::default().locations,
        |loaded| loaded.config.locations,
    );
    let kubelet = KubeletConfiguration::read(root, &locations.kubelet_configuration);
    [
        Some(root.join("/etc/kubernetes/manifests")),
        locations.manifests.map(|path| root.join(path)),
        kubelet.static_pod_path,
    ]
    .into_iter()
    .flatten()
    .collect()
}
