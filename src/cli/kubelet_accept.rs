//! `kubecertd kubelet accept`

use std::process::ExitCode;

use super::kubelet_arguments::KubeletAccept;
use super::output::{Narrator, line, print, warning};
use super::renew::{Words, exit_code, summarize};
use super::runtime::runtime;
use crate::checks::Finding;
use crate::credentials::NodeFile;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::operation::{Context, accept_kubelet, log_summary, look_at_admission};
use crate::pki::date;
use crate::plan::Request;

pub(super) fn accept(context: &Context, options: &KubeletAccept) -> anyhow::Result<ExitCode> {
    let file = NodeFile::read(&context.root, &options.file)?;
    let force = options.force;
    if options.dry_run {
        return show(context, file, force);
    }
    let mut narrator = Narrator::new();
    let accepted = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        anyhow::Ok(accept_kubelet(context, file, force, &stop, &mut events).await?)
    })?;
    for id in accepted.report.operations() {
        log_summary(context, id);
    }
    let code = summarize(
        &accepted.report,
        &Request::DueByHand { force },
        Words::Renewed,
    )?;
    let shown = accepted.file.shown().to_path_buf();
    accepted.file.remove()?;
    print(&line(format_args!("{} was removed.", shown.display())))?;
    Ok(code)
}

fn show(context: &Context, file: NodeFile, force: bool) -> anyhow::Result<ExitCode> {
    let (admission, found) = runtime()?.block_on(look_at_admission(context, file, force))?;
    let certificate = admission.certificate();
    print(&line(format_args!(
        "The certificate {} (serial {}, until {}) would become the kubelet's, and the kubelet be restarted.",
        certificate.subject,
        certificate.serial,
        date(certificate.not_after)
    )))?;
    for doubt in &admission.overruled {
        warning(&format!("{doubt}"));
    }
    for finding in &found {
        let said = if finding.blocks() {
            "It would be refused"
        } else {
            "Note"
        };
        print(&line(format_args!("{said}: {finding}")))?;
    }
    print("Nothing was changed, because of --dry-run.\n")?;
    Ok(exit_code(!found.iter().any(Finding::blocks)))
}
