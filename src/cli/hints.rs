//! Commands that a hint names, for the root that this command works on: pasted without it they would work on the machine itself.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::host::Root;

/// What hints name.
const COMMANDS: [&str; 13] = [
    "ca",
    "check-expiration",
    "config",
    "generate",
    "history",
    "plan",
    "preflight",
    "recover",
    "rehearse",
    "renew",
    "restart",
    "rollback",
    "status",
];

const PROGRAM: &str = "kubecertd ";

/// The root, if it is not the machine's own.
static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// From here on hints are for this root.
pub(super) fn are_for(root: &Root) {
    if !root.is_system() {
        ROOT.get_or_init(|| root.directory().to_path_buf());
    }
}

/// Whether the node's pods are none of this machine's, so that they cannot be restarted from here.
pub(super) fn are_for_another_root() -> bool {
    ROOT.get().is_some()
}

/// A text with its hints for that root.
pub(super) fn adapted(text: &str) -> Cow<'_, str> {
    match ROOT.get() {
        Some(root) => Cow::Owned(with_root(text, root)),
        None => Cow::Borrowed(text),
    }
}

fn with_root(text: &str, root: &Path) -> String {
    let root = root.to_string_lossy();
    // Where it would need quotes, for a shell or in JSON, a person has to write it anyway.
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+@".contains(letter);
    let root = if root.chars().all(is_plain) {
        &root
    } else {
        "DIR"
    };
    let mut adapted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PROGRAM) {
        let (before, behind) = rest.split_at(at + PROGRAM.len());
        adapted.push_str(before);
        let is_path = before[..at].ends_with('/');
        // What was done by a command is no hint.
        let is_told = before[..at].ends_with("by `");
        let names_command = COMMANDS.iter().any(|command| {
            behind.strip_prefix(command).is_some_and(|rest| {
                !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '-')
            })
        });
        if names_command && !is_path && !is_told {
            adapted.push_str(&format!("--root {root} "));
        }
        rest = behind;
    }
    adapted.push_str(rest);
    adapted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_get_the_root_and_other_words_do_not() {
        for (text, adapted) in [
            (
                "run `kubecertd recover`",
                "run `kubecertd --root /mnt recover`",
            ),
            (
                "kubecertd renew does; kubecertd renews it; see `kubecertd history`",
                "kubecertd --root /mnt renew does; kubecertd renews it; see `kubecertd --root /mnt history`",
            ),
            ("kubecertd", "kubecertd"),
            (
                "done by `kubecertd renew all`",
                "done by `kubecertd renew all`",
            ),
            ("nothing", "nothing"),
        ] {
            assert_eq!(with_root(text, Path::new("/mnt")), adapted);
        }
        assert_eq!(
            with_root("kubecertd plan", Path::new("/a b\"")),
            "kubecertd --root DIR plan"
        );
    }
}
