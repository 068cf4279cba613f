//! `kubecertd signer`

use std::process::ExitCode;

use super::output::print;
use super::renew::exit_code;
use super::values::Format;
use crate::checks::cluster_signers;
use crate::operation::Context;
use crate::report::columns;

/// Exits with 1 where one of Kubernetes' own signers does not sign here.
pub(super) fn check(context: &Context, output: Format) -> anyhow::Result<ExitCode> {
    let inventory = context.observe();
    let signers = cluster_signers(&context.root, &inventory, crate::host::now());
    if output == Format::Json {
        let document = serde_json::json!({
            "apiVersion": "kubecertd/v1alpha1",
            "kind": "ClusterSigners",
            "signers": signers,
        });
        print(&format!("{}\n", serde_json::to_string_pretty(&document)?))?;
    } else {
        let mut rows = vec![["SIGNER", "STATE"].map(str::to_owned)];
        rows.extend(signers.iter().map(|one| {
            let state = one.fault.as_ref().map(ToString::to_string);
            [
                one.signer.to_owned(),
                state.unwrap_or_else(|| "signs".to_owned()),
            ]
        }));
        print(&columns(&rows))?;
    }
    Ok(exit_code(signers.iter().all(|one| one.fault.is_none())))
}
