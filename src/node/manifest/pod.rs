//! A static pod and its containers, as far as they concern certificates.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// One static pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticPod {
    /// The manifest's file.
    pub path: PathBuf,
    /// `metadata.name`, without the node's name that the kubelet appends.
    pub name: String,
    /// `metadata.namespace`, `default` if unset.
    pub namespace: String,
    /// The label `component`, if any.
    pub component_label: Option<String>,
    /// [`StaticPod::component`]
    pub(crate) component: String,
    /// [`StaticPod::role`]
    pub(crate) role: Option<&'static str>,
    /// `metadata.uid`, if set.
    pub uid: Option<String>,
    /// `terminationGracePeriodSeconds`, 30 unless set.
    pub termination_grace_seconds: u64,
    /// Whether it uses the node's network.
    pub host_network: bool,
    /// Its containers, in order.
    pub containers: Vec<Container>,
    /// hostPath volumes by name, without sockets and devices.
    pub host_paths: BTreeMap<String, PathBuf>,
    /// Its init containers, in order: they use files, but nothing is asked of them afterwards.
    pub init_containers: Vec<Container>,
    /// The real paths of hostPaths that are single files, by their `type` or their ending.
    pub single_files: Vec<PathBuf>,
}

/// One container of a static pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// `name`
    pub name: String,
    /// `image`
    pub image: String,
    /// `command` and `args`, joined.
    pub command: Vec<String>,
    /// Environment variables with literal values.
    pub environment: BTreeMap<String, String>,
    /// (path in the container, real path on the node) of every hostPath mount.
    pub mounts: Vec<(PathBuf, PathBuf)>,
    /// `livenessProbe.httpGet` or `readinessProbe.httpGet`, readiness first.
    pub probe: Option<HttpProbe>,
}

/// The files that a flag or an environment variable names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagFiles<'a> {
    /// The flag without its dashes, or the variable.
    pub name: &'a str,
    /// Whether it is an environment variable.
    pub is_variable: bool,
    /// The real paths of the files, in order.
    pub files: Vec<PathBuf>,
}

/// An HTTP probe as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// `host`, empty when unset.
    pub host: String,
    /// The port, named ports resolved; `None` when the name is unknown.
    pub port: Option<u16>,
    /// `path`
    pub path: String,
    /// Whether `scheme` is HTTPS.
    pub https: bool,
}

impl Container {
    /// The value of `--name=value` or `--name value`; the last one wins.
    pub(super) fn flag(&self, name: &str) -> Option<&str> {
        self.flags()
            .filter(|(flag, _)| *flag == name)
            .map(|(_, value)| value)
            .last()
    }

    /// Every `--name=value` and `--name value`, in order; the value is empty where there is none.
    pub(super) fn flags(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut words = self.command.iter().peekable();
        std::iter::from_fn(move || {
            loop {
                let word = words.next()?;
                let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                    continue;
                };
                return Some(flag.split_once('=').unwrap_or_else(|| {
                    let value = words.next_if(|next| !next.starts_with('-'));
                    (flag, value.map_or("", String::as_str))
                }));
            }
        })
    }
}
