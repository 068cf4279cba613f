//! Getting a node back whose certificates have expired: its kubelet first, without which no pod starts.

use jiff::Timestamp;
use tokio::sync::watch;

use super::preflight::take_lock;
use super::recover::{finish_recovery, tell};
use super::renew::{Made, Options, RenewalReport, renew_holding};
use super::waiting::told;
use super::{Context, Event, OperationError};
use crate::files::{check_targets, make_directory, recover};
use crate::issuer::{Replacement, kubelet_client};
use crate::journal::{Lock, Trigger};
use crate::node::{Inventory, Replaceable};
use crate::plan::{KubeletNeed, Request, expired, is_stopped, kubelet_need};
use crate::probe::{node_is_ready, reachability};

/// What this command is called in journals and receipts.
const COMMAND: &str = "recover --expired";

const KUBELET_CONFIG: &str = "kubelet.conf";
const KUBELET_CLIENT: &str = "kubelet-client-current.pem";

/// Renews everything that has expired or is due, the kubelet's client certificate included, and gets kubelet and control
/// plane to use it. `None` when nothing has expired. Never goes back to what had expired.
/// `force`: also where the clock looks wrong.
///
/// # Errors
/// [`OperationError`].
pub async fn recover_expired(
    context: &Context,
    force: bool,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<RenewalReport>, OperationError> {
    let lock = take_lock(context)?;
    recover_expired_holding(context, &lock, force, stop, events).await
}

/// The same with the lock that is held already. It is held to the end: what was looked at must not be changed meanwhile.
///
/// # Errors
/// [`OperationError`].
pub async fn recover_expired_holding(
    context: &Context,
    lock: &Lock,
    force: bool,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<RenewalReport>, OperationError> {
    // Files and manifests first; what is owed besides may need what is made here.
    for recovery in recover(&context.store(), lock)? {
        tell(&recovery, events);
    }
    let now = crate::host::now();
    let inventory = context.observe();
    let need = kubelet_need(&inventory, now);
    let names = expired(&inventory, now);
    if names.is_empty() && need == KubeletNeed::Nothing {
        finish_recovery(context, lock, stop, events).await?;
        return Ok(None);
    }
    if let KubeletNeed::Impossible(reason) = &need
        && names.is_empty()
    {
        return Err(OperationError::Failed(format!(
            "the kubelet cannot start: {reason}"
        )));
    }
    let stopped = need != KubeletNeed::Nothing
        || (context.is_live() && is_stopped(&inventory, reachability(&inventory).await, now));
    events(Event::Expired { names });
    let options = Options {
        trigger: Trigger::Command(COMMAND.to_owned()),
        restart: true,
        stopped,
    };
    renew_holding(
        context,
        lock,
        &Request::DueByHand { force },
        &options,
        stop,
        events,
    )
    .await
    .map(Some)
}

/// What the kubelet needs to start; `None` when that is nothing, or nothing that can be made here.
pub(super) fn make_for_kubelet(
    context: &Context,
    (inventory, replaceable): (&Inventory, &Replaceable),
    now: Timestamp,
    events: &mut (dyn FnMut(Event) + Send),
    report: &mut RenewalReport,
) -> Option<Made> {
    let need = kubelet_need(inventory, now);
    if need.can_be_helped() {
        events(Event::IssuingForKubelet {
            certificate: matches!(need, KubeletNeed::Certificate { .. }),
        });
    }
    let renewal = &context.config.renewal;
    let made = kubelet_client(&context.root, inventory, renewal, &need, now)
        .map_err(|error| error.to_string())
        .and_then(|made| {
            may_be_put_there(context, (inventory, replaceable), &made.1).map(|()| made)
        });
    match made {
        Ok((_, files)) if files.is_empty() => None,
        Ok((issued, files)) => Some(Made {
            issued: issued.into_iter().collect(),
            files,
        }),
        Err(reason) => {
            events(Event::IssueFailed {
                certificate: KUBELET_CLIENT.to_owned(),
                reason: reason.clone(),
            });
            report.failed.push((KUBELET_CLIENT.to_owned(), reason));
            None
        }
    }
}

/// Makes the kubelet's directory where it is missing, as the kubelet does, and looks whether the files can be put where they
/// belong: in the installation one that cannot would hold up all the others.
fn may_be_put_there(
    context: &Context,
    (inventory, replaceable): (&Inventory, &Replaceable),
    files: &[Replacement],
) -> Result<(), String> {
    let store = context.store();
    let directory = &inventory.directories.kubelet_pki;
    if files.iter().any(|file| file.path.starts_with(directory)) {
        make_directory(&store, directory).map_err(|error| error.to_string())?;
    }
    check_targets(&store, files, replaceable).map_err(|error| error.to_string())
}

/// The names under which the API server and others can be asked: the kubelet's certificate shows by its kubeconfig.
pub(super) fn provable_names(names: &[String], kubelet_changed: bool) -> Vec<String> {
    let mut provable: Vec<String> = Vec::new();
    let kubelet = kubelet_changed.then_some(KUBELET_CONFIG);
    for name in names.iter().map(String::as_str).chain(kubelet) {
        let name = match name {
            KUBELET_CLIENT => KUBELET_CONFIG,
            name => name,
        };
        if !provable.iter().any(|known| known == name) {
            provable.push(name.to_owned());
        }
    }
    provable
}

/// Whether the kubelet has to be restarted to use these.
pub(super) fn concern_kubelet(names: &[String]) -> bool {
    names
        .iter()
        .any(|name| name == KUBELET_CLIENT || name == KUBELET_CONFIG)
}

/// Waits until `kubectl get nodes` would show this node as Ready.
pub(super) async fn expect_ready(
    context: &Context,
    events: &mut (dyn FnMut(Event) + Send),
    report: &mut RenewalReport,
) {
    let inventory = context.observe();
    let Some(admin) = inventory
        .entry("admin.conf")
        .filter(|admin| admin.present().is_some())
    else {
        return;
    };
    let bound = context.proof_bound;
    let asking = node_is_ready(&inventory, &admin.path, bound);
    match told(
        asking,
        ("node", "the API server to show it as Ready"),
        bound,
        events,
    )
    .await
    {
        Ok(seen) => events(Event::NodeReady { seen }),
        Err(seen) => {
            let sentence = format!("the certificates are in use, but {seen}");
            events(Event::Warning(sentence.clone()));
            report.unproved.push(sentence);
        }
    }
}
