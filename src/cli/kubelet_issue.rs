//! `kubecertd kubelet issue`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::csr::{CERTIFICATES, KUBECONFIGS};
use super::kubeconfig::give_out;
use super::kubelet_arguments::KubeletIssue;
use super::output::{line, print, warning};
use super::runtime::runtime;
use crate::credentials::{IssuedRecord, Places, check_node_name, for_node};
use crate::node::CertificateId;
use crate::operation::{Context, cluster_has_node, is_control_plane};

pub(super) fn issue(context: &Context, options: &KubeletIssue) -> anyhow::Result<ExitCode> {
    let name = options.node.as_str();
    check_node_name(name)?;
    let node = context.observe_to_report();
    let is_own = node.node_name.as_deref() == Some(name);
    if (is_own || is_control_plane(context, name)) && !options.force {
        anyhow::bail!(
            "{name} is {}, whose kubelet `kubecertd kubelet repair` and `kubecertd recover --expired` see to on it; --force makes the file \
             all the same. Nothing was issued",
            if is_own {
                "this node"
            } else {
                "another control plane of this cluster"
            }
        );
    }
    let configured = context.config.locations.certificates.clone();
    let directory = configured.unwrap_or_else(|| PathBuf::from(CERTIFICATES));
    let places = Places::new(&context.root, &directory, Path::new(KUBECONFIGS))?;
    let file = options.file.as_deref();
    let file = file.map(|file| places.free(file)).transpose()?;
    if context.is_live() && !is_own {
        match runtime()?.block_on(cluster_has_node(context, &node, name)) {
            Ok(true) => {}
            Ok(false) => warning(&format!(
                "the cluster has no node called {name}; a kubelet with this file makes one, unless its own name is another"
            )),
            Err(reason) => warning(&format!(
                "whether the cluster has a node called {name} is not known: {reason}"
            )),
        }
    }
    let renewal = &context.config.renewal;
    let usual = renewal.of(CertificateId::KubeletClient.as_str()).validity;
    let validity = options.validity.unwrap_or(usual);
    let record = IssuedRecord::new(&context.store());
    let now = crate::host::now();
    let made = for_node(&places, name, validity, (&record, file.as_deref()), now)?;
    give_out(&places, file.as_deref(), &made)?;
    // What is printed otherwise is the kubeconfig, and nothing besides.
    if file.is_some() {
        print(&line(format_args!(
            "Whoever has it acts as {name}: take it there as root's own file, mode 0600, and run `kubecertd kubelet accept FILE` there."
        )))?;
    }
    Ok(ExitCode::SUCCESS)
}
