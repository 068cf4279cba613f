//! From the paths that a container sees to those of the node.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::pod::{Container, FlagFiles};

/// The real path of what a container sees at `path`, through its longest mount.
pub(super) fn on_the_node(container: &Container, path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() {
        return None;
    }
    through(&mounts(container), path)
}

/// The real paths of everything that flags and variables of a container name.
pub(super) fn named(container: &Container) -> Vec<PathBuf> {
    let mounts = mounts(container);
    words(container)
        .filter_map(|word| through(&mounts, Path::new(word)))
        .collect()
}

/// Every flag and variable of a container that names files, with their real paths.
pub(super) fn named_by_flags(container: &Container) -> Vec<FlagFiles<'_>> {
    let mounts = mounts(container);
    let of = |name, is_variable, value: &str| {
        let files: Vec<PathBuf> = split(value)
            .filter_map(|word| through(&mounts, Path::new(word)))
            .collect();
        (!files.is_empty()).then_some(FlagFiles {
            name,
            is_variable,
            files,
        })
    };
    let flags = container
        .flags()
        .filter_map(|(flag, value)| of(flag, false, value));
    let variables = container.environment.iter();
    let variables = variables.filter_map(|(name, value)| of(name.as_str(), true, value));
    flags.chain(variables).collect()
}

/// How many files the flags and variables of a container name, and how long their real paths are together with those of its
/// mounts, in bytes.
pub(super) fn extent(container: &Container) -> (usize, usize) {
    let mounts = mounts(container);
    let own: usize = container
        .mounts
        .iter()
        .map(|(seen, real)| seen.as_os_str().len() + real.as_os_str().len())
        .sum();
    words(container)
        .filter_map(|word| {
            let (real, _) = mounts.nearest(Path::new(word))?;
            Some(real.as_os_str().len() + word.len())
        })
        .fold((container.mounts.len(), own), |(count, bytes), length| {
            (count + 1, bytes + length)
        })
}

fn words(container: &Container) -> impl Iterator<Item = &str> {
    container
        .command
        .iter()
        .chain(container.environment.values())
        .flat_map(|word| split(word))
}

/// `--tls-sni-cert-key=/a.crt,/a.key:name`, `NAME=/a:/b`, `sh -c "exec x --flag='/a'"`
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| {
        letter.is_whitespace() || matches!(letter, ',' | '=' | ':' | ';' | '"' | '\'')
    })
    .filter(|word| word.starts_with('/') && word.len() <= LONGEST)
}

/// The longest path that Linux opens.
pub(super) const LONGEST: usize = 4096;

/// The mounts of a container by what it sees.
fn mounts(container: &Container) -> PathTree<'_, &Path> {
    let mut tree = PathTree::default();
    for (seen, real) in &container.mounts {
        tree.insert(seen, real.as_path());
    }
    tree
}

fn through(mounts: &PathTree<'_, &Path>, path: &Path) -> Option<PathBuf> {
    let path = normalized(path);
    let (real, rest) = mounts.nearest(&path)?;
    Some(if rest.as_os_str().is_empty() {
        real.to_path_buf()
    } else {
        real.join(rest)
    })
}

/// Paths by their components, so that finding one takes no longer the more there are.
pub(super) struct PathTree<'a, T> {
    nodes: Vec<Node<'a, T>>,
}

struct Node<'a, T> {
    below: HashMap<&'a OsStr, usize>,
    value: Option<T>,
}

impl<T> Default for PathTree<'_, T> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl<T> Default for Node<'_, T> {
    fn default() -> Self {
        Self {
            below: HashMap::new(),
            value: None,
        }
    }
}

impl<'a, T: Copy> PathTree<'a, T> {
    /// Keeps a value for an absolute path; of several the last.
    pub(super) fn insert(&mut self, path: &'a Path, value: T) {
        let mut at = 0;
        for name in names(path) {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else {
                return;
            };
            at = *node.below.entry(name).or_insert(next);
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.value = Some(value);
        }
    }

    /// The value of the longest path that is the given one or above it, and what comes below that.
    pub(super) fn nearest<'path>(&self, path: &'path Path) -> Option<(T, &'path Path)> {
        let mut rest = path.components();
        rest.next();
        let mut found = None;
        let mut at = 0;
        loop {
            let node = self.nodes.get(at)?;
            if let Some(value) = node.value {
                found = Some((value, rest.as_path()));
            }
            let Some(Component::Normal(name)) = rest.next() else {
                return found;
            };
            match node.below.get(name) {
                Some(next) => at = *next,
                None => return found,
            }
        }
    }

    /// Every value of a path above the given one.
    pub(super) fn above(&self, path: &Path) -> Vec<T> {
        let mut values = Vec::new();
        let mut at = 0;
        for name in names(path) {
            let Some(node) = self.nodes.get(at) else {
                break;
            };
            values.extend(node.value);
            match node.below.get(name) {
                Some(next) => at = *next,
                None => break,
            }
        }
        values
    }
}

fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

/// Whether a hostPath without a `type` is a file by its ending: such a mount would otherwise count as a directory of
/// which the pod may use everything.
pub(super) fn looks_like_a_file(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| {
            matches!(
                ending,
                "conf"
                    | "config"
                    | "kubeconfig"
                    | "crt"
                    | "cert"
                    | "cer"
                    | "key"
                    | "pem"
                    | "pub"
                    | "yaml"
                    | "yml"
                    | "json"
                    | "toml"
                    | "cfg"
                    | "env"
            )
        })
}

/// The path without `.`, `..` and doubled slashes, by its text alone.
pub(super) fn normalized(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                result.pop();
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => {
                result.push(component);
            }
        }
    }
    result
}
