//! Which hooks there are, and which of them may be run.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use super::hook::Hook;
use super::moment::{Moment, hooks_directory};
use crate::host::{Found, Root, entries, is_trusted_owner};

/// More in one directory is a mistake.
const MOST: usize = 100;

/// Mode bits that let others than the owner write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const EXECUTABLE: u32 = 0o100;

/// Ends of names that package managers and editors give to what is not in use, and that an administrator gives to what shall not be.
const ENDS_NOT_IN_USE: [&str; 6] = ["~", ".swp", ".rpmsave", ".rpmnew", ".rpmorig", ".disabled"];
/// `.dpkg-old`, `.dpkg-dist` and more.
const NOT_IN_USE: [&str; 2] = [".dpkg-", ".ucf-"];

/// What there is for one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Those that are run, in their order.
    pub fit: Vec<Hook>,
    /// What lies there and is not run.
    pub unfit: Vec<UnfitHook>,
}

/// Something in the way of hooks that is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfitHook {
    /// For which moment.
    pub moment: Moment,
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

impl Hooks {
    /// Looks for the hooks of a moment.
    #[must_use]
    pub fn of(root: &Root, moment: Moment) -> Self {
        match look(root, moment) {
            Ok(hooks) => hooks,
            Err((path, reason)) => Self {
                fit: Vec::new(),
                unfit: vec![UnfitHook {
                    moment,
                    path,
                    reason,
                }],
            },
        }
    }
}

/// # Errors
/// The directory because of which none of them is run, and why.
fn look(root: &Root, moment: Moment) -> Result<Hooks, (PathBuf, String)> {
    let all = root.join(hooks_directory());
    let directory = all.join(moment.name());
    // Links followed: what lies behind one, or behind what cannot be read, is not passed over either.
    let is_absent = |found: io::Result<bool>| match found {
        Ok(is_there) => !is_there,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if is_absent(root.end(&directory).map(|(_, found)| found.is_some()))
        && is_absent(root.look(&directory).map(|found| found.is_some()))
    {
        return Ok(Hooks::default());
    }
    for one in root.way_to(&directory) {
        let found = root.place(&one).and_then(|place| place.look());
        let reason = match found {
            Ok(Some(found)) => unfit_directory(&found),
            Ok(None) => return Ok(Hooks::default()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = reason {
            return Err((one, reason));
        }
    }
    let listed =
        entries(&directory).map_err(|error: io::Error| (directory.clone(), error.to_string()))?;
    let listed: Vec<_> = listed
        .into_iter()
        .filter(|(name, _)| !is_out_of_use(name))
        .collect();
    if listed.len() > MOST {
        let reason =
            format!("has more than {MOST} hooks, so none of them is run; move some elsewhere");
        return Err((directory, reason));
    }
    let mut hooks = Hooks::default();
    for (name, found) in listed {
        let path = directory.join(name);
        match unfit_file(&found) {
            None => hooks.fit.push(Hook { moment, path }),
            Some(reason) => hooks.unfit.push(UnfitHook {
                moment,
                path,
                reason,
            }),
        }
    }
    Ok(hooks)
}

/// As run-parts(8) and the like leave out.
fn is_out_of_use(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.')
        || ENDS_NOT_IN_USE.iter().any(|end| name.ends_with(end))
        || NOT_IN_USE.iter().any(|part| name.contains(part))
}

fn unfit_directory(found: &Found) -> Option<String> {
    if found.is_link() {
        return Some(
            "is a symbolic link, behind which no hook is run; put the directory itself there"
                .to_owned(),
        );
    }
    if !found.is_directory() {
        return Some("is no directory; move it elsewhere".to_owned());
    }
    unfit_owner_or_mode(found)
}

fn unfit_file(found: &Found) -> Option<String> {
    if found.is_link() {
        return Some(
            "is a symbolic link, which is not run; put the program itself there".to_owned(),
        );
    }
    if !found.is_file() {
        return Some("is no regular file; move it elsewhere".to_owned());
    }
    unfit_owner_or_mode(found).or_else(|| {
        (found.mode & EXECUTABLE == 0).then(|| {
            "is not executable; `chmod u+x` it, or give it a name that ends in .disabled if it shall not run".to_owned()
        })
    })
}

fn unfit_owner_or_mode(found: &Found) -> Option<String> {
    if !is_trusted_owner(found.uid) {
        return Some(format!(
            "belongs to the user {}; `chown root` it",
            found.uid
        ));
    }
    (found.mode & WRITABLE_BY_OTHERS != 0).then(|| {
        format!(
            "can be written by others than its owner (mode {:04o}); `chmod go-w` it",
            found.mode
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    use std::path::Path;

    use super::*;

    const MOMENT: Moment = Moment::PreRestart;

    struct Place {
        _made: tempfile::TempDir,
        root: Root,
        directory: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let made = tempfile::tempdir().unwrap();
            let root = Root::new(made.path()).unwrap();
            let directory = root.join(hooks_directory()).join(MOMENT.name());
            fs::create_dir_all(&directory).unwrap();
            let place = Self {
                _made: made,
                root,
                directory,
            };
            for one in place.root.way_to(&place.directory) {
                set_mode(&one, 0o755);
            }
            place
        }

        fn hook(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.directory.join(name);
            fs::write(&path, "#!/bin/sh\n").unwrap();
            set_mode(&path, mode);
            path
        }

        fn look(&self) -> Hooks {
            Hooks::of(&self.root, MOMENT)
        }

        /// Nothing is run because of this path, for a reason with these words.
        fn refuses(&self, path: &Path, words: &str) {
            let hooks = self.look();
            assert_eq!(hooks.fit, [], "{words}");
            let [unfit] = hooks.unfit.as_slice() else {
                panic!("{words}: {hooks:?}");
            };
            assert_eq!(unfit.path, path);
            assert!(unfit.reason.contains(words), "{unfit:?}");
        }
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_fit_is_run_in_the_order_of_names_and_what_is_out_of_use_is_not() {
        let place = Place::new();
        for name in ["20-b", "10-a", "3-c.sh"] {
            place.hook(name, 0o700);
        }
        for name in [
            ".hidden",
            "10-a~",
            "10-a.dpkg-old",
            "10-a.rpmsave",
            "x.disabled",
            "10-a.swp",
        ] {
            place.hook(name, 0o777);
        }
        let hooks = place.look();
        let names: Vec<String> = hooks.fit.iter().map(Hook::name).collect();
        assert_eq!(
            names,
            ["pre-restart/10-a", "pre-restart/20-b", "pre-restart/3-c.sh"]
        );
        assert_eq!(hooks.unfit, []);
        assert_eq!(Hooks::of(&place.root, Moment::PostRenew), Hooks::default());
    }

    #[test]
    fn what_others_could_have_put_there_is_not_run_and_never_passed_over() {
        for mode in [0o722, 0o720, 0o702] {
            let place = Place::new();
            let hook = place.hook("10-a", mode);
            place.refuses(&hook, "written by others");
        }
        let place = Place::new();
        let hook = place.hook("10-a", 0o600);
        place.refuses(&hook, "is not executable");

        let place = Place::new();
        symlink("/bin/true", place.directory.join("10-a")).unwrap();
        place.refuses(&place.directory.join("10-a"), "symbolic link");

        let place = Place::new();
        fs::create_dir(place.directory.join("10-a")).unwrap();
        place.refuses(&place.directory.join("10-a"), "no regular file");

        if nix::unistd::geteuid().is_root() {
            let place = Place::new();
            let hook = place.hook("10-a", 0o755);
            chown(&hook, Some(1234), None).unwrap();
            place.refuses(&hook, "user 1234");
        } else {
            println!("!!! SKIPPED: only root can give a file to another user");
        }
    }

    #[test]
    fn a_directory_that_others_can_change_is_refused_wherever_on_the_way_it_is() {
        let depth = Place::new().root.way_to(&Place::new().directory).len();
        for index in 0..4 {
            let place = Place::new();
            place.hook("10-a", 0o755);
            let way = place.root.way_to(&place.directory);
            set_mode(&way[index], 0o777);
            place.refuses(&way[index], "written by others");
            set_mode(&way[index], 0o755);
            assert_eq!(place.look().fit.len(), 1);

            // The same directory behind a link.
            let moved = way[index].with_file_name("moved");
            fs::rename(&way[index], &moved).unwrap();
            let target = place.root.node_path(&moved);
            symlink(target, &way[index]).unwrap();
            place.refuses(&way[index], "symbolic link");

            if nix::unistd::geteuid().is_root() {
                let place = Place::new();
                place.hook("10-a", 0o755);
                let one = place.root.way_to(&place.directory).remove(index);
                chown(&one, Some(1234), None).unwrap();
                place.refuses(&one, "user 1234");
            }
        }
        assert!(depth >= 4);
    }

    #[test]
    fn no_hooks_are_no_trouble_and_a_link_to_nowhere_is() {
        let place = Place::new();
        assert_eq!(place.look(), Hooks::default());
        fs::remove_dir(&place.directory).unwrap();
        assert_eq!(place.look(), Hooks::default());
        symlink("/nowhere", &place.directory).unwrap();
        place.refuses(&place.directory, "symbolic link");
        fs::remove_file(&place.directory).unwrap();
        fs::write(&place.directory, "").unwrap();
        place.refuses(&place.directory, "no directory");
    }
}
