//! From the paths that a container sees to those of the node.

use std::path::{Component, Path, PathBuf};

use super::Container;

/// The real path of what a container sees at `path`, through its longest mount.
pub(super) fn on_the_node(container: &Container, path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() {
        return None;
    }
    let path = normalized(path);
    container
        .mounts
        .iter()
        .filter_map(|(seen, real)| Some((seen, real, path.strip_prefix(seen).ok()?)))
        .max_by_key(|(seen, ..)| seen.components().count())
        .map(|(_, real, rest)| {
            if rest.as_os_str().is_empty() {
                real.clone()
            } else {
                real.join(rest)
            }
        })
}

/// The real paths of everything that flags and variables of a container name.
pub(super) fn named(container: &Container) -> Vec<PathBuf> {
    container
        .command
        .iter()
        .chain(container.environment.values())
        // `--tls-sni-cert-key=/a.crt,/a.key:name`, `NAME=/a:/b`, `sh -c "exec x --flag='/a'"`
        .flat_map(|word| {
            word.split(|letter: char| {
                letter.is_whitespace() || matches!(letter, ',' | '=' | ':' | ';' | '"' | '\'')
            })
        })
        .filter(|word| word.starts_with('/'))
        .filter_map(|word| on_the_node(container, Path::new(word)))
        .collect()
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
