//! A static pod's manifest: which files it uses and where it answers.

mod annotate;
mod identity;
mod paths;
#[cfg(test)]
mod tests;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::node::encoding::Text;
use crate::root::Root;

pub use annotate::{RESTARTED_AT, annotated};

/// Why a manifest is not a pod.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// Neither UTF-8 nor UTF-16.
    #[error("{0}")]
    Binary(String),
    /// Not YAML.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// It begins as JSON does, so the kubelet reads it as such, and is none.
    #[error("not JSON, as which the kubelet reads what begins with {{: {0}")]
    Json(String),
    /// Well-formed, but no Pod.
    #[error("not a Pod: {0}")]
    NotAPod(String),
    /// An annotation cannot be set without changing something else.
    #[error("cannot be edited in place: {0}")]
    Edit(String),
}

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
    /// [`StaticPod::component`], unique on its node.
    pub(crate) component: String,
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

impl StaticPod {
    /// Reads a manifest's contents as the kubelet does: the first document of YAML, or JSON. `root` turns the hostPaths into
    /// real paths.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(
        path: &Path,
        contents: impl AsRef<[u8]>,
        root: &Root,
    ) -> Result<Self, ManifestError> {
        let text = Text::decode(contents.as_ref()).map_err(ManifestError::Binary)?;
        written::static_pod(path, &text.text, root)
    }

    /// The component: kubeadm's program that it runs, else the label, else the pod's name. On one node each is there once.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.component
    }

    /// kubeadm's program that it runs (`kube-apiserver`, `etcd`, …), by its label, its name or its containers' commands.
    #[must_use]
    pub fn program(&self) -> Option<&'static str> {
        identity::program(self)
    }

    /// Makes each component unique among the pods of one node. `elsewhere`: those whose manifests are out.
    pub(super) fn settle_components(pods: &mut [Self], elsewhere: &[Self]) {
        identity::settle(pods, elsewhere);
    }

    /// The value of `--name=value` (or `--name value`) in the container that runs the program, else in the first one that has
    /// it; the last one of a container wins.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flag_with_container(name).map(|(_, value)| value)
    }

    /// The real path of the file that a flag names, if it lies in a hostPath mount of the container whose flag it is.
    #[must_use]
    pub fn file_flag(&self, name: &str) -> Option<PathBuf> {
        let (container, value) = self.flag_with_container(name)?;
        paths::on_the_node(container, Path::new(value))
    }

    /// The real paths of every file that the pod names in a flag or environment variable, or mounts as a single file.
    /// Container paths are turned into real ones through the mounts. Directories mounted without naming a file in them
    /// are in [`StaticPod::whole_directories`].
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self
            .all_containers()
            .flat_map(|container| {
                let mounted = container.mounts.iter().map(|(_, real)| real);
                paths::named(container)
                    .into_iter()
                    .filter(|path| !container.mounts.iter().any(|(_, real)| real == path))
                    .chain(mounted.filter(|real| self.is_single_file(real)).cloned())
            })
            .collect();
        files.sort();
        files.dedup();
        files
    }

    /// Mounted directories of which no flag and no variable names a file: the pod may use anything in them.
    #[must_use]
    pub fn whole_directories(&self) -> Vec<PathBuf> {
        let mut directories: Vec<PathBuf> = self
            .all_containers()
            .flat_map(|container| {
                let named = paths::named(container);
                container
                    .mounts
                    .iter()
                    .map(|(_, real)| real)
                    .filter(|real| !self.is_single_file(real))
                    .filter(|real| {
                        !named
                            .iter()
                            .any(|path| path != *real && path.starts_with(real))
                    })
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect();
        directories.sort();
        directories.dedup();
        directories
    }

    /// [`StaticPod::files`] and [`StaticPod::whole_directories`]. A file may be a directory (`--cert-dir`), whatever names it.
    #[must_use]
    pub fn used_paths(&self) -> Vec<PathBuf> {
        let mut used = self.files();
        used.extend(self.whole_directories());
        used
    }

    /// Whether the pod uses the file, by [`StaticPod::used_paths`]. Links are not followed: a caller whose file lies behind
    /// one asks for both paths.
    #[must_use]
    pub fn uses(&self, file: &Path) -> bool {
        let file = paths::normalized(file);
        self.used_paths().iter().any(|used| file.starts_with(used))
    }

    fn flag_with_container(&self, name: &str) -> Option<(&Container, &str)> {
        let program = self.program();
        let main = self
            .containers
            .iter()
            .filter(|container| program.is_some_and(|program| container.is(program)));
        main.chain(&self.containers)
            .find_map(|container| Some((container, container.flag(name)?)))
    }

    fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }

    /// Whether a mount's real path is a file: itself a file volume, or a `subPath` that looks like one.
    fn is_single_file(&self, real: &Path) -> bool {
        self.single_files.iter().any(|file| file == real)
            || (!self.host_paths.values().any(|volume| volume == real)
                && paths::looks_like_a_file(real))
    }
}

impl Container {
    /// Whether it is the program's, by its command or its name.
    fn is(&self, program: &str) -> bool {
        self.runs(program) || self.name == program
    }

    /// The value of `--name=value` or `--name value`; the last one wins.
    fn flag(&self, name: &str) -> Option<&str> {
        let mut found = None;
        let mut words = self.command.iter().peekable();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                continue;
            };
            match flag.split_once('=') {
                Some((flag, value)) if flag == name => found = Some(value),
                None if flag == name => {
                    found = words
                        .next_if(|next| !next.starts_with('-'))
                        .map(String::as_str)
                        .or(Some(""));
                }
                _ => {}
            }
        }
        found
    }
}
