//! `kubecertd orders`

use std::process::ExitCode;

use super::arguments::OrdersAction;
use super::output::{error, line, print};
use super::values::Format;
use crate::journal::Lock;
use crate::operation::{Context, log_line, look_at_orders};
use crate::orders::OrderStore;
use crate::report::columns;

pub(super) fn run(context: &Context, action: Option<&OrdersAction>) -> anyhow::Result<ExitCode> {
    match action {
        None => list(context, Format::Text),
        Some(OrdersAction::List { output }) => list(context, *output),
        Some(OrdersAction::Show { name }) => show(context, name),
        Some(OrdersAction::Cancel { name }) => cancel(context, name),
    }
}

/// Exits with 1 if something is wrong with one of them, or with what came.
fn list(context: &Context, output: Format) -> anyhow::Result<ExitCode> {
    let inventory = context.observe();
    let looked = look_at_orders(context, &inventory, crate::host::now());
    let problems: Vec<String> = looked.problems.iter().map(ToString::to_string).collect();
    if output == Format::Json {
        let document = serde_json::json!({
            "apiVersion": "kubecertd/v1alpha1",
            "kind": "Orders",
            "orders": looked.awaited(),
            "problems": problems,
        });
        print(&format!("{}\n", serde_json::to_string_pretty(&document)?))?;
    } else if looked.awaited().is_empty() {
        print("No request is open.\n")?;
    } else {
        let mut rows = vec![["CERTIFICATE", "WHAT"].map(str::to_owned)];
        let awaited = looked.awaited().iter();
        rows.extend(awaited.map(|one| [one.id.to_string(), one.to_string()]));
        print(&columns(&rows))?;
    }
    for problem in &problems {
        super::output::error(problem);
    }
    Ok(super::renew::exit_code(problems.is_empty()))
}

/// The request itself, for whoever took it out of the outbox and lost it.
fn show(context: &Context, name: &str) -> anyhow::Result<ExitCode> {
    let store = OrderStore::new(&context.root);
    let order = found(&store, name)?;
    print(&store.request(&order)?)?;
    Ok(ExitCode::SUCCESS)
}

fn cancel(context: &Context, name: &str) -> anyhow::Result<ExitCode> {
    let store = OrderStore::new(&context.root);
    let order = found(&store, name)?;
    let lock = Lock::take(&context.store())?;
    store.close(&order.id)?;
    drop(lock);
    let said = format!(
        "{}: request {} cancelled; its key is gone, so a certificate for it is of no use",
        order.certificate, order.id
    );
    log_line(false, &said);
    print(&line(format_args!(
        "{said}. The daemon makes a new one when its time has come, `kubecertd renew {}` at once.",
        order.certificate
    )))?;
    Ok(ExitCode::SUCCESS)
}

fn found(store: &OrderStore, name: &str) -> anyhow::Result<crate::orders::OpenOrder> {
    let (open, problems) = store.open_orders();
    for problem in &problems {
        error(&problem.to_string());
    }
    open.into_iter()
        .find(|order| order.certificate.as_str() == name || order.id == name)
        .ok_or_else(|| {
            anyhow::anyhow!(
                "no request for {name:?} is open; `kubecertd orders` shows those that are"
            )
        })
}
