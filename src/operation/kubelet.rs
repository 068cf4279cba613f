//! The kubelet's own credentials: without them it does not start, and without it no pod does.

use super::Context;
use super::checks::may_be_put_there;
use super::error::Fault;
use super::event::Event;
use super::issue::Made;
use super::not_renewed::not_renewed;
use super::report::RenewalReport;
use super::run::Run;
use crate::config::KubeletRepair;
use crate::issuer::kubelet_client;
use crate::journal::Trigger;
use crate::node::{CertificateId, Replaceable};
use crate::plan::{KubeletNeed, kubelet_need};

/// Whether the kubelet lacks something that can be made here.
pub(super) fn can_be_helped(run: &mut Run<'_>) -> bool {
    kubelet_need(&run.node(), crate::host::now()).can_be_helped()
}

/// Whether something is made for the kubelet: whoever asks by hand wants that whatever the configuration says.
pub(super) fn may_help_kubelet(context: &Context, trigger: &Trigger) -> bool {
    *trigger != Trigger::Schedule || context.config.kubelet.repair != KubeletRepair::Off
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

/// Whether the kubelet has to be restarted to use these.
pub(super) fn concern_kubelet(certificates: &[CertificateId]) -> bool {
    certificates.iter().any(CertificateId::is_kubelets_client)
}
