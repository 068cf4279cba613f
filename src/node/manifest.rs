//! A static pod's manifest: which files it uses and where it answers.

mod annotate;
mod error;
mod identity;
mod paths;
mod pod;
#[cfg(test)]
mod tests;
mod written;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::host::Root;
use crate::node::encoding::Text;

pub use annotate::{RESTARTED_AT, annotated};
pub use error::ManifestError;
use paths::PathTree;
pub use pod::{Container, FlagFiles, HttpProbe, StaticPod};

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
        let text = Text::decode(contents.as_ref()).map_err(ManifestError::not_text)?;
        written::static_pod(path, &text.text, root)
    }

    /// The component: the label, else kubeadm's program that it runs, else the pod's name.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.component
    }

    /// kubeadm's program that it runs (`kube-apiserver`, `etcd`, …), by its label, its name or its containers' commands.
    #[must_use]
    pub fn program(&self) -> Option<&'static str> {
        identity::program(self)
    }

    /// [`StaticPod::program`] of the one pod of its node that has this part; `None` for a second etcd, say.
    #[must_use]
    pub fn role(&self) -> Option<&'static str> {
        self.role
    }

    /// Whether it is a kube-vip that holds the address under which the control plane is reached.
    #[must_use]
    pub fn is_kube_vip(&self) -> bool {
        identity::is_kube_vip(self)
    }

    /// The pod that has the role `name`, else the one that is called so.
    pub(super) fn of_name<'pods>(pods: &'pods [Self], name: &str) -> Option<&'pods Self> {
        pods.iter()
            .find(|pod| pod.role() == Some(name))
            .or_else(|| pods.iter().find(|pod| pod.component() == name))
    }

    /// Gives each role to one of the pods of a node. `elsewhere`: those whose manifests are out.
    pub(super) fn settle_roles(pods: &mut [Self], elsewhere: &[Self]) {
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
        let kinds = Kinds::of(self);
        let mut files: Vec<PathBuf> = self
            .all_containers()
            .flat_map(|container| {
                let mounted: HashSet<&Path> = container
                    .mounts
                    .iter()
                    .map(|(_, real)| real.as_path())
                    .collect();
                let single: Vec<PathBuf> = mounted
                    .iter()
                    .filter(|real| kinds.is_single_file(real))
                    .map(|real| real.to_path_buf())
                    .collect();
                paths::named(container)
                    .into_iter()
                    .filter(|path| !mounted.contains(path.as_path()))
                    .chain(single)
                    .collect::<Vec<_>>()
            })
            .collect();
        files.sort();
        files.dedup();
        files
    }

    /// Every flag and environment variable of the pod that names files, with their real paths.
    #[must_use]
    pub fn files_of_flags(&self) -> Vec<FlagFiles<'_>> {
        self.all_containers()
            .flat_map(paths::named_by_flags)
            .collect()
    }

    /// Mounted directories of which no flag and no variable names a file: the pod may use anything in them.
    #[must_use]
    pub fn whole_directories(&self) -> Vec<PathBuf> {
        let kinds = Kinds::of(self);
        let mut directories: Vec<PathBuf> = self
            .all_containers()
            .flat_map(|container| {
                let mut mounted = PathTree::default();
                for (_, real) in &container.mounts {
                    mounted.insert(real, real.as_path());
                }
                let named: HashSet<&Path> = paths::named(container)
                    .iter()
                    .flat_map(|path| mounted.above(path))
                    .collect();
                container
                    .mounts
                    .iter()
                    .map(|(_, real)| real)
                    .filter(|real| !kinds.is_single_file(real) && !named.contains(real.as_path()))
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
}

/// Which of the pod's mounts are files.
struct Kinds<'a> {
    files: HashSet<&'a Path>,
    volumes: HashSet<&'a Path>,
}

impl<'a> Kinds<'a> {
    fn of(pod: &'a StaticPod) -> Self {
        Self {
            files: pod.single_files.iter().map(PathBuf::as_path).collect(),
            volumes: pod.host_paths.values().map(PathBuf::as_path).collect(),
        }
    }

    /// Whether a mount's real path is a file: itself a file volume, or a `subPath` that looks like one.
    fn is_single_file(&self, real: &Path) -> bool {
        self.files.contains(real)
            || (!self.volumes.contains(real) && paths::looks_like_a_file(real))
    }
}
