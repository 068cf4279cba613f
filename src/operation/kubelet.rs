//! The kubelet's own credentials: without them it does not start, and without it no pod does.

use std::time::Duration;

use super::Context;
use super::checks::may_be_put_there;
use super::error::Fault;
use super::event::Event;
use super::issue::Made;
use super::not_renewed::not_renewed;
use super::report::RenewalReport;
use super::run::Run;
use super::waiting::reported;
use crate::config::KubeletRepair;
use crate::issuer::{kubelet_client, kubelet_serving, replacements};
use crate::journal::Trigger;
use crate::node::{CertificateId, Replaceable};
use crate::plan::{KubeletNeed, KubeletRepairs, kubelet_need};
use crate::probe::prove;

/// Whether the kubelet lacks something that can be made here.
pub(super) fn can_be_helped(run: &mut Run<'_>) -> bool {
    kubelet_need(&run.node(), crate::host::now()).can_be_helped()
}

/// The kubelet's unit, in words for whoever has to restart it.
pub(super) const KUBELET_UNIT: &str = "kubelet.service";

/// Whether something is made for the kubelet: whoever asks by hand wants that whatever the configuration says.
pub(super) fn may_help_kubelet(context: &Context, trigger: &Trigger) -> bool {
    *trigger != Trigger::Schedule || context.config.kubelet.repair != KubeletRepair::Off
}

/// What is to be done for both of the kubelet's certificates; `None` when that is nothing, or nothing that can be made here.
pub(super) fn make_repairs(
    run: &mut Run<'_>,
    replaceable: &Replaceable,
    repairs: &KubeletRepairs,
    report: &mut RenewalReport,
) -> Option<Made> {
    let client = make_for_kubelet(run, replaceable, &repairs.client, report);
    let (context, node) = (run.context, run.node());
    let now = crate::host::now();
    let made = kubelet_serving(&node, &context.config.renewal, &repairs.serving, now)
        .and_then(|issued| {
            let Some(issued) = issued else {
                return Ok(None);
            };
            let files = replacements(&node, &issued)?;
            Ok(Some((issued, files)))
        })
        .map_err(Fault::from)
        .and_then(|made| match made {
            None => Ok(None),
            Some((issued, files)) => may_be_put_there(context, (&node, replaceable), &files)
                .map(|()| Some((issued, files))),
        });
    let serving = match made {
        Ok(made) => made.map(|(issued, files)| Made {
            issued: vec![issued],
            files,
        }),
        Err(fault) => {
            let is_it = |id: &&CertificateId| repairs.serving.concerns(id);
            if let Some(id) = node.entries.iter().map(|entry| &entry.id).find(is_it) {
                not_renewed(run, report, id, fault);
            }
            None
        }
    };
    Made::joined(client, serving)
}

/// What the kubelet needs; `None` when that is nothing, or nothing that can be made here.
pub(super) fn make_for_kubelet(
    run: &mut Run<'_>,
    replaceable: &Replaceable,
    need: &KubeletNeed,
    report: &mut RenewalReport,
) -> Option<Made> {
    let now = crate::host::now();
    let node = run.node();
    if need.can_be_helped() {
        run.emit(Event::IssuingForKubelet {
            certificate: matches!(need, KubeletNeed::Certificate { .. }),
        });
    }
    let context = run.context;
    let made = kubelet_client(&context.root, &node, &context.config.renewal, need, now)
        .map_err(Fault::from)
        .and_then(|made| may_be_put_there(context, (&node, replaceable), &made.1).map(|()| made));
    match made {
        Ok((_, files)) if files.is_empty() => None,
        Ok((issued, files)) => Some(Made {
            issued: issued.into_iter().collect(),
            files,
        }),
        Err(fault) => {
            not_renewed(run, report, &CertificateId::KubeletClient, fault);
            None
        }
    }
}

/// Those of which the API server and others can be asked: the kubelet's certificate shows by its kubeconfig.
pub(super) fn provable(
    certificates: &[CertificateId],
    kubelet_changed: bool,
) -> Vec<CertificateId> {
    let mut provable: Vec<CertificateId> = Vec::new();
    let kubelet = kubelet_changed.then_some(CertificateId::KubeletConfig);
    for id in certificates.iter().chain(&kubelet) {
        let id = match id {
            CertificateId::KubeletClient => &CertificateId::KubeletConfig,
            id => id,
        };
        if !provable.contains(id) {
            provable.push(id.clone());
        }
    }
    provable
}

/// Whether the kubelet has to be restarted to use these, as far as is known without asking it.
pub(super) fn concern_kubelet(certificates: &[CertificateId]) -> bool {
    certificates
        .iter()
        .any(|id| id.is_kubelets_client() || id.is_kubelets_server())
}

/// Whether the kubelet reads these by itself: the one that it serves, from Kubernetes 1.31 on (ReloadKubeletServerCertificateFile), which
/// a handshake shows.
pub(super) async fn reads_by_itself(run: &mut Run<'_>, certificates: &[CertificateId]) -> bool {
    if certificates.is_empty()
        || !certificates.iter().all(CertificateId::is_kubelets_server)
        || !run.context.is_live()
    {
        return false;
    }
    let node = run.node();
    let settings = &run.context.config.restart;
    let bound = RELOADS_WITHIN.min(run.context.proof_bound);
    let asking = prove(&node, settings, certificates, bound);
    let stop = run.stop;
    let seen = tokio::select! {
        biased;
        () = crate::host::stopped(stop) => return false,
        seen = reported(asking, ("kubelet", "it to serve the new certificate"), bound, run.events()) => seen,
    };
    seen.iter().all(Result::is_ok)
}

/// So long the kubelet is given to notice: it watches the files, and looks again every minute where that fails.
const RELOADS_WITHIN: Duration = Duration::from_secs(75);
