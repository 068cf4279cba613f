//! What is valid and probably not meant.

use std::path::Path;
use std::time::Duration;

use super::nearest::nearest;
use super::quantity::show_duration;
use super::renewal::table_with;
use super::written_name::written_name;
use super::{Config, Locations, Oddity};
use crate::host::Root;

/// What is odd about the value that a file gives a key: what it leads to, and what would be right.
pub(super) fn odd(config: &Config, key: &str, root: Option<&Root>) -> Option<(Oddity, String)> {
    let message = match key {
        "renewal.before" => return Some((Oddity::BeforeTooLong, before_too_long(config)?)),
        "renewal.jitter" => return Some((Oddity::JitterTooLong, jitter_too_long(config)?)),
        "log.level" => return Some((Oddity::UnmatchedTarget, unmatched(&config.log.level)?)),
        _ if key.starts_with("certificate.") => {
            return Some((Oddity::BeforeTooLong, own_before_too_long(config, key)?));
        }
        "restart.container-runtime" => {
            let path = config.restart.container_runtime.as_deref()?;
            absent(root?, key, path, Expected::Anything)
        }
        "admin-copies.paths" => {
            let mut paths = config.admin_copies.paths.iter();
            paths.find_map(|path| absent(root?, key, path, Expected::File))
        }
        "turn.fleet-lock-ca" => {
            let path = config.turn.fleet_lock_ca.as_deref()?;
            absent(root?, key, path, Expected::File)
        }
        _ => {
            let (path, expected) = place(&config.locations, key)?;
            absent(root?, key, path, expected)
        }
    };
    Some((Oddity::PathAbsent, message?))
}

/// As [`before_too_long`], of one certificate.
fn own_before_too_long(config: &Config, key: &str) -> Option<String> {
    let table = key.strip_suffix(".before")?;
    let renewal = &config.renewal;
    let mut names = renewal.certificates.keys();
    let name = names.find(|name| format!("certificate.{}", written_name(name)) == table)?;
    let validity = table_with(renewal, name, |own| own.validity.is_some());
    let effective = renewal.of(name);
    beyond_a_third((table, effective.before), (&validity, effective.validity))
}

fn before_too_long(config: &Config) -> Option<String> {
    let renewal = &config.renewal;
    beyond_a_third(("renewal", renewal.before), ("renewal", renewal.validity))
}

/// A twelfth of the lifetime limits it without a word otherwise.
fn jitter_too_long(config: &Config) -> Option<String> {
    let renewal = &config.renewal;
    let twelfth = Duration::from_secs(renewal.validity.as_secs() / 12);
    (renewal.jitter > twelfth).then(|| {
        format!(
            "renewal.jitter = {:?} is more than a twelfth of renewal.validity = {:?}: no certificate of that lifetime is renewed \
             more than {:?} earlier for it; write that or less",
            show_duration(renewal.jitter),
            show_duration(renewal.validity),
            show_duration(twelfth),
        )
    })
}

/// The last third of the lifetime limits it without a word otherwise.
fn beyond_a_third(
    (table, before): (&str, Duration),
    (other, validity): (&str, Duration),
) -> Option<String> {
    let third = Duration::from_secs(validity.as_secs() / 3);
    (before > third).then(|| {
        format!(
            "{table}.before = {:?} is more than a third of {other}.validity = {:?}: certificates of that lifetime are \
             renewed {:?} before their end and not earlier; write that or less",
            show_duration(before),
            show_duration(validity),
            show_duration(third),
        )
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Directory,
    File,
    Anything,
}

fn place<'config>(locations: &'config Locations, key: &str) -> Option<(&'config Path, Expected)> {
    Some(match key {
        "paths.kubernetes" => (locations.kubernetes.as_path(), Expected::Directory),
        "paths.certificates" => (locations.certificates.as_deref()?, Expected::Directory),
        "paths.manifests" => (locations.manifests.as_deref()?, Expected::Directory),
        "paths.kubelet-configuration" => {
            (locations.kubelet_configuration.as_path(), Expected::File)
        }
        "paths.kubelet-certificates" => (locations.kubelet_pki.as_deref()?, Expected::Directory),
        _ => return None,
    })
}

fn absent(root: &Root, key: &str, path: &Path, expected: Expected) -> Option<String> {
    let found = root
        .resolve(&root.join(path))
        .and_then(|real| root.look(&real));
    let what = match found {
        Ok(Some(found)) if expected == Expected::Directory && !found.is_directory() => {
            "is no directory"
        }
        Ok(Some(found)) if expected == Expected::File && !found.is_file() => "is no file",
        Ok(Some(_)) => return None,
        Ok(None) => "does not exist on this node",
        // Whoever may not look cannot say that nothing is there.
        Err(_) => return None,
    };
    Some(format!(
        "{key} = {:?}: this {what}; write where it lies, or leave the key out",
        path.to_string_lossy()
    ))
}

/// The modules of this program, as it lists them itself.
const MODULES: &str = include_str!("../lib.rs");

/// The libraries of this program that log.
const LIBRARIES: [&str; 13] = [
    "h2",
    "hyper",
    "hyper_util",
    "jiff",
    "jiff_core",
    "mio",
    "notify",
    "rtime_core",
    "rustls",
    "tokio",
    "tonic",
    "tower",
    "tracing",
];

/// A target that nothing of this program logs under, so that what is said of it is without effect.
fn unmatched(filter: &str) -> Option<String> {
    let modules: Vec<String> = MODULES
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(|module| format!("kubecertd::{module}"))
        .collect();
    let known = || {
        std::iter::once("kubecertd")
            .chain(modules.iter().map(String::as_str))
            .chain(LIBRARIES)
    };
    let target = filter
        .split(',')
        .filter_map(|directive| directive.split_once('='))
        .map(|(target, _)| target.split('[').next().unwrap_or_default().trim())
        .filter(|target| !target.is_empty())
        // A target stands for every one that begins with it; what lies deeper than the modules is not known here.
        .find(|target| {
            !known().any(|known| {
                known.starts_with(target)
                    || (known != "kubecertd" && target.starts_with(&format!("{known}::")))
            })
        })?;
    let instead = match nearest(target, known()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => {
            "a target begins with \"kubecertd\", as in \"info,kubecertd::restart=debug\"".to_owned()
        }
    };
    Some(format!(
        "log.level = {filter:?}: nothing of kubecertd logs under {target:?}, so this part has no effect; {instead}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_targets_that_match_nothing_are_odd() {
        for filter in [
            "info",
            "kubecertd=debug",
            "info,kubecertd::restart=debug,hyper=off",
            "kubecertd::restart::ladder=trace",
            "kubecertd[span]=debug",
            "h2::codec=debug",
            "[span]=debug",
        ] {
            assert_eq!(unmatched(filter), None, "{filter}");
        }
        for (filter, near) in [
            ("kubecertdd=debug", "\"kubecertd\""),
            ("info,kubecertd::restrat=debug", "\"kubecertd::restart\""),
            ("hypr=debug", "\"hyper\""),
            ("postgres=debug", "begins with \"kubecertd\""),
        ] {
            let odd = unmatched(filter).unwrap();
            assert!(odd.contains(near), "{odd}");
        }
    }

    /// What a package of Cargo.lock depends on, by the packages' names.
    fn dependencies(lock: &str) -> Vec<(&str, Vec<&str>)> {
        lock.split("[[package]]")
            .filter_map(|package| {
                let name = package.split("name = \"").nth(1)?.split('"').next()?;
                let listed = package.split_once("dependencies = [").map(|(_, list)| list);
                let names = listed.unwrap_or_default().split('"').skip(1).step_by(2);
                Some((
                    name,
                    names
                        .map(|one| one.split(' ').next().unwrap_or(one))
                        .collect(),
                ))
            })
            .collect()
    }

    #[test]
    fn every_library_that_logs_is_known() {
        let lock = include_str!("../../Cargo.lock");
        // What receives, and this program.
        let receivers = ["kubecertd", "tracing-journald", "tracing-subscriber"];
        for (name, needs) in dependencies(lock) {
            let logs = needs.iter().any(|one| matches!(*one, "log" | "tracing"));
            let known = LIBRARIES.contains(&name.replace('-', "_").as_str());
            assert!(
                !logs || known || receivers.contains(&name),
                "{name} logs and is not in the list"
            );
        }
    }
}
