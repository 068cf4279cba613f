//! Certificates and kubeconfigs that pods are told of by a flag: they are promised to be there.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::node::{Fault, FlagFiles, NamedBy, Problem, StaticPod};

/// A file that a flag or a variable of a pod names.
pub(super) struct Named {
    pub(super) path: PathBuf,
    /// The file with its key, where a flag says that.
    pub(super) key: Option<PathBuf>,
    kind: Kind,
    /// `--kubeconfig of kube-scheduler`
    by: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kubeconfig,
    Certificate,
}

impl Named {
    pub(super) fn is_kubeconfig(&self) -> bool {
        self.kind == Kind::Kubeconfig
    }

    /// What to say where it is not there.
    pub(super) fn missing(&self) -> Problem {
        Problem::new(
            &self.path,
            Fault::DoesNotExist {
                named_by: NamedBy::Flag(self.by.clone()),
            },
        )
    }
}

/// Every certificate and kubeconfig that a flag of a pod names, in the order of the pods.
pub(super) fn by_flags(pods: &[StaticPod]) -> Vec<Named> {
    pods.iter().flat_map(of_pod).collect()
}

fn of_pod(pod: &StaticPod) -> Vec<Named> {
    let flags = pod.files_of_flags();
    let files: HashMap<&str, &PathBuf> = flags
        .iter()
        .filter_map(|flag| Some((flag.name, flag.files.first()?)))
        .collect();
    let key_of = |flag: &str| Some((*files.get(key_flag(flag)?.as_str())?).clone());
    let mut found = Vec::new();
    for flag in &flags {
        let Some(kind) = kind(flag.name) else {
            continue;
        };
        // `--tls-sni-cert-key=CERTIFICATE,KEY:NAMES`
        let (paths, key) = match (flag.name, flag.files.as_slice()) {
            (SNI, [certificate, key, ..]) => (std::slice::from_ref(certificate), Some(key.clone())),
            (_, files) => (files, key_of(flag.name)),
        };
        found.extend(paths.iter().map(|path| Named {
            path: path.clone(),
            key: key.clone(),
            kind,
            by: format!("{} of {}", written(flag), pod.component()),
        }));
    }
    found
}

fn written(flag: &FlagFiles<'_>) -> String {
    if flag.is_variable {
        flag.name.to_owned()
    } else {
        format!("--{}", flag.name)
    }
}

const SNI: &str = "tls-sni-cert-key";

/// What a flag or variable of that name names.
fn kind(flag: &str) -> Option<Kind> {
    let flag = flag.to_ascii_lowercase();
    if flag.contains("kubeconfig") {
        // One for bootstrapping is of no use afterwards.
        return (!flag.contains("bootstrap")).then_some(Kind::Kubeconfig);
    }
    let is_certificate =
        flag.contains("cert") || flag.contains("ca-file") || flag.contains("cafile");
    let is_something_else = flag.contains("dir") || (flag.contains("key") && flag != SNI);
    (is_certificate && !is_something_else).then_some(Kind::Certificate)
}

/// The flag for the key of the certificate that a flag names, as Kubernetes and etcd call the two.
fn key_flag(flag: &str) -> Option<String> {
    match flag {
        "tls-cert-file" => Some("tls-private-key-file".to_owned()),
        "kubelet-client-certificate" => Some("kubelet-client-key".to_owned()),
        // Of an authority.
        _ if flag.starts_with("cluster-signing") => None,
        _ => flag
            .contains("cert")
            .then(|| flag.replacen("cert", "key", 1)),
    }
}
