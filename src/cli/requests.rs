//! `kubecertd requests`

use std::process::ExitCode;

use super::arguments::RequestsAction;
use super::exit_codes;
use super::output::{line, print, warning};
use super::runtime::ask;
use super::values::Format;
use crate::cluster::{Verdict, is_request_name};
use crate::operation::{
    Context, Decided, Reviewed, Wanted, decide_request, list_requests, log_line, review_request,
};
use crate::report::{RequestsView, ReviewView};

/// Who is waited for.
const API_SERVER: &str = "the API server";

pub(super) fn run(context: &Context, action: Option<&RequestsAction>) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        context.is_live(),
        "certificate requests are asked for only on a node that runs; leave --root out"
    );
    match action {
        None => list(context, Format::Text),
        Some(RequestsAction::List { output }) => list(context, *output),
        Some(RequestsAction::Review { name, output }) => review(context, name, *output),
        Some(RequestsAction::Approve { name, force }) => {
            decide(context, name, Wanted::Approve { force: *force })
        }
        Some(RequestsAction::Deny { name, reason }) => {
            decide(context, name, Wanted::Deny { reason })
        }
    }
}

fn list(context: &Context, output: Format) -> anyhow::Result<ExitCode> {
    let inventory = context.observe();
    let requests = ask(API_SERVER, list_requests(context, &inventory))??;
    let view = RequestsView::new(&requests);
    print(&match output {
        Format::Text => view.to_table(crate::host::now()),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Exits with 1 where a check does not pass.
fn review(context: &Context, name: &str, output: Format) -> anyhow::Result<ExitCode> {
    usable(name)?;
    let inventory = context.observe();
    let reviewed = ask(API_SERVER, review_request(context, &inventory, name))??;
    let reviewed = reviewed.ok_or_else(|| gone(name))?;
    let view = view(&reviewed);
    print(&match output {
        Format::Text => view.to_text(crate::host::now()),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    })?;
    Ok(match reviewed.judgement.verdict() {
        Verdict::Approve => ExitCode::SUCCESS,
        Verdict::Leave(_) | Verdict::Deny(_) => ExitCode::from(exit_codes::NO),
    })
}

fn decide(context: &Context, name: &str, wanted: Wanted<'_>) -> anyhow::Result<ExitCode> {
    usable(name)?;
    let inventory = context.observe();
    let decided = ask(
        API_SERVER,
        decide_request(context, &inventory, name, wanted),
    )??;
    match decided {
        Decided::Gone => Err(gone(name)),
        Decided::Already(reviewed) => Err(anyhow::anyhow!(
            "the request {name} is decided already ({}), and a decision stands",
            reviewed.request.state.word()
        )),
        Decided::Refused(reviewed) => {
            for doubt in view(&reviewed).doubts() {
                warning(&doubt);
            }
            Err(anyhow::anyhow!(
                "the request {name} does not pass every check and is not approved; --force approves it all the same"
            ))
        }
        Decided::Done(reviewed) => {
            let approves = matches!(wanted, Wanted::Approve { .. });
            for doubt in view(&reviewed).doubts().iter().filter(|_| approves) {
                warning(doubt);
            }
            let requestor = &reviewed.request.username;
            let said = if approves {
                format!("The request {name} of {requestor} is approved.")
            } else {
                format!("The request {name} of {requestor} is denied.")
            };
            log_line(false, &said);
            print(&line(format_args!("{said}")))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn view(reviewed: &Reviewed) -> ReviewView {
    ReviewView::new(&reviewed.request, &reviewed.judgement)
}

fn gone(name: &str) -> anyhow::Error {
    anyhow::anyhow!("there is no request {name}; `kubecertd requests` shows those that there are")
}

fn usable(name: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        is_request_name(name),
        "{name:?} cannot be asked for by its name here; use `kubectl get csr`"
    );
    Ok(())
}
