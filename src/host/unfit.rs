//! Whether a program that the configuration names may be run: only where root alone can have written it.
//!
//! Even without capabilities it owns root's files. So the file, each directory on the way to it and each link that leads there is
//! root's and writable by no other; in a directory like `/tmp`, where others may write but not replace what is root's, it may lie.

use std::io;
use std::path::Path;

use super::{Found, Root, is_trusted_owner};

const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// What is wrong with it, and what to do. Nothing where it is not there: then it cannot be run, which says so.
#[must_use]
pub fn unfit(program: &Path) -> Option<String> {
    match look(program) {
        Ok(reason) => reason,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(format!("who can write it is not known: {error}")),
    }
}

fn look(program: &Path) -> io::Result<Option<String>> {
    let root = Root::default();
    let way = root.way(program)?;
    // Those on the way along its links; where there is none, the directories above it are all.
    let mut steps: Vec<(&Path, Found)> = way
        .directories
        .iter()
        .chain(&way.links)
        .map(|step| (step.path.as_path(), step.found))
        .collect();
    for above in way.real.ancestors() {
        if let Some(found) = root.look(above)? {
            steps.push((above, found));
        }
    }
    Ok(steps.into_iter().find_map(|(path, found)| {
        let reason = reason(&found)?;
        Some(format!("{} {reason}", path.display()))
    }))
}

fn reason(found: &Found) -> Option<String> {
    if !is_trusted_owner(found.uid) {
        return Some(format!(
            "belongs to the user {}; `chown root` it",
            found.uid
        ));
    }
    // Who owns a link is all that counts, and in a sticky directory others replace nothing of root's.
    let is_bounded = found.is_link() || (found.is_directory() && found.mode & STICKY != 0);
    (found.mode & WRITABLE_BY_OTHERS != 0 && !is_bounded).then(|| {
        format!(
            "can be written by others than its owner (mode {:04o}); `chmod go-w` it",
            found.mode
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn what_others_could_have_written_or_replaced_is_unfit() {
        let made = tempfile::tempdir().unwrap();
        let made = made.path().canonicalize().unwrap();
        let inner = made.join("inner");
        fs::create_dir(&inner).unwrap();
        let program = inner.join("issuer");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        set(&inner, 0o755).unwrap();
        set(&program, 0o755).unwrap();
        assert_eq!(unfit(&program), None);
        assert_eq!(unfit(&inner.join("none")), None);
        let link = made.join("link");
        symlink(&program, &link).unwrap();
        assert_eq!(unfit(&link), None);
        for (path, closed, open) in [
            (&program, 0o755, 0o775),
            (&program, 0o755, 0o757),
            (&inner, 0o755, 0o777),
        ] {
            set(path, open).unwrap();
            for way in [&program, &link] {
                let reason = unfit(way).unwrap_or_default();
                assert!(reason.contains("written by others"), "{open:o}: {reason}");
                assert!(reason.contains(path.to_str().unwrap()), "{reason}");
            }
            set(path, closed).unwrap();
        }
        set(&inner, 0o1777).unwrap();
        assert_eq!(unfit(&program), None);
        set(&inner, 0o755).unwrap();
        if nix::unistd::geteuid().is_root() {
            for path in [&program, &inner] {
                chown(path, Some(1234), None).unwrap();
                let reason = unfit(&program).unwrap_or_default();
                assert!(reason.contains("user 1234"), "{reason}");
                chown(path, Some(0), None).unwrap();
            }
        } else {
            println!("!!! SKIPPED: only root can give a file to another user");
        }
    }
}
