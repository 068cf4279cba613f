//! Where new files would go, and whether they may: looked at before an operation begins.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::host::durable::{self, There};
use crate::host::{self, Attributes, Found, LinkOnTheWay, Root, Way, is_immutable, link, write};
use crate::issuer::Replacement;
use crate::journal::{StagedFile, Store, TransactionError};
use crate::node::{Replaceable, trusted};

/// Puts files of one certificate next to each other, in the order given.
pub(super) fn pair(replacements: Vec<Replacement>) -> Vec<Replacement> {
    let mut paired: Vec<Replacement> = Vec::with_capacity(replacements.len());
    for replacement in replacements {
        let behind = paired
            .iter()
            .rposition(|earlier| earlier.id == replacement.id)
            .map_or(paired.len(), |position| position + 1);
        paired.insert(behind, replacement);
    }
    paired
}

/// Where new files are to go, looked at before an operation begins.
#[derive(Debug)]
pub struct Targets<'a> {
    /// Holds the directories open for all the certificates that are looked at in a row.
    root: Root,
    replaceable: &'a Replaceable,
    /// What was given to a new file in each directory.
    tried: Vec<(PathBuf, Attributes)>,
}

impl<'a> Targets<'a> {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(store: &Store, replaceable: &'a Replaceable) -> Self {
        Self {
            root: store.root().holding(),
            replaceable,
            tried: Vec::new(),
        }
    }

    /// Whether new files could take these places: each path must lead to a regular file that may be replaced and whose
    /// attributes can be kept, or to nothing in a directory that is there. Leaves nothing behind.
    ///
    /// # Errors
    /// [`TransactionError::File`] with the first that could not.
    pub fn check(&mut self, replacements: &[Replacement]) -> Result<(), TransactionError> {
        let mut found = Vec::new();
        // What is in the files is for the installation to look at, which goes by it.
        let mut keep = |replacement: &Replacement, target: &Path, old: There| {
            if let (There::File(file), None) = (&old, replacement.link_target()) {
                let attributes = Attributes::of(file).map_err(unread_attributes(target))?;
                found.push((target.to_path_buf(), attributes));
            }
            Ok(())
        };
        each_target(&self.root, replacements, Some(self.replaceable), &mut keep)?;
        for (target, attributes) in found {
            let directory = target.parent().unwrap_or(&target).to_path_buf();
            // Making files takes long, and what one of a directory can be given, so can the next.
            let is_known = |(known, given): &(PathBuf, Attributes)| {
                *known == directory && given.differ_in_time_only(&attributes)
            };
            if !self.tried.iter().any(is_known) {
                try_attributes(&self.root, &target, &attributes)?;
                self.tried.push((directory, attributes));
            }
        }
        Ok(())
    }
}

/// Gives a file without a name, or one that is removed at once, everything that a file has besides its contents.
fn try_attributes(
    root: &Root,
    target: &Path,
    attributes: &Attributes,
) -> Result<(), TransactionError> {
    let failed = || TransactionError::file(target, "its successor could not be staged");
    let temporary = write::temporary_beside(target)?;
    let place = root.place(&temporary).map_err(failed())?;
    match place.create_nameless() {
        Ok(file) => attributes.give_to(&file).map_err(failed()),
        // Not every file system has files without names.
        Err(_) => {
            let given = place
                .create(0o600)
                .and_then(|file| attributes.give_to(&file));
            if let Err(error) = place.remove() {
                tracing::warn!(path = %temporary.display(), %error, "a temporary file is left behind");
            }
            given.map_err(failed())
        }
    }
}

/// Makes a directory for files that are to be put there, with those above it, durably and with mode 0755, where it is missing.
///
/// # Errors
/// [`TransactionError::File`].
pub fn make_directory(store: &Store, directory: &Path) -> Result<(), TransactionError> {
    let real = store.resolve(directory).map_err(TransactionError::file(
        directory,
        "its links could not be followed",
    ))?;
    Ok(durable::make_directories_above(&real.join("file"))?)
}

/// Follows each path to its target, looks at what is there, and names the file that will be staged. Changes nothing.
pub(super) fn survey(
    store: &Store,
    id: &str,
    replacements: &[Replacement],
    replaceable: Option<&Replaceable>,
) -> Result<Vec<StagedFile>, TransactionError> {
    let root = store.root().holding();
    let mut files = Vec::with_capacity(replacements.len());
    let mut add = |replacement: &Replacement, target: &Path, mut old: There| {
        let path = &replacement.path;
        files.push(StagedFile {
            id: replacement.id.clone(),
            path: root.node_path(path),
            staged: root.node_path(&write::hidden_beside(target, id)?),
            old_digest: old
                .digest()
                .map_err(TransactionError::file(path, "could not be read"))?,
            new_digest: match replacement.link_target() {
                Some(target) => link::digest(target),
                None => host::digest(&replacement.contents),
            },
            link: replacement.link_target().is_some(),
            target: root.node_path(target),
        });
        Ok(())
    };
    each_target(&root, replacements, replaceable, &mut add)?;
    Ok(files)
}

/// What is done with each replacement, the path that it goes to and what is there.
type Visit<'a> = dyn FnMut(&Replacement, &Path, There) -> Result<(), TransactionError> + 'a;

/// Follows each path to its target and looks whether what is there may be replaced.
fn each_target(
    root: &Root,
    replacements: &[Replacement],
    replaceable: Option<&Replaceable>,
    visit: &mut Visit<'_>,
) -> Result<(), TransactionError> {
    let mut targets = BTreeSet::new();
    let mut linked = Vec::new();
    for replacement in replacements {
        let path = &replacement.path;
        let refused = |action| TransactionError::file(path, action);
        let (target, way) = place(root, path, replacement.link_target().is_some())?;
        if way.ends_in_link {
            linked.push((replacement, target.clone()));
        }
        let old = There::below(root, &target).map_err(refused("cannot be replaced"))?;
        if matches!(old, There::Nothing) && !target.parent().is_some_and(host::is_directory) {
            let absent = io::Error::new(io::ErrorKind::NotFound, "its directory does not exist");
            return Err(refused("cannot be replaced")(absent));
        }
        if !targets.insert(target.clone()) {
            let twice = io::Error::new(
                io::ErrorKind::InvalidInput,
                "another path of the same operation leads to the same file",
            );
            return Err(refused("is not replaced")(twice));
        }
        may_be_replaced(root, replacement, (&target, &old), &way, replaceable)?;
        if let There::File(old) = &old
            && is_immutable(old).map_err(refused("could not be looked at"))?
        {
            let immutable = io::Error::new(
                io::ErrorKind::PermissionDenied,
                "is marked immutable or append-only; remove the mark with `chattr -i -a`",
            );
            return Err(refused("cannot be replaced")(immutable));
        }
        visit(replacement, &target, old)?;
    }
    if replaceable.is_some() {
        linked
            .into_iter()
            .try_for_each(|(replacement, target)| is_of_that_kind(replacement, &target))?;
    }
    Ok(())
}

/// That the links to it are root's alone, and that it is no file that is never replaced.
fn may_be_replaced(
    root: &Root,
    replacement: &Replacement,
    (target, old): (&Path, &There),
    way: &Way,
    replaceable: Option<&Replaceable>,
) -> Result<(), TransactionError> {
    let path = &replacement.path;
    let refused = || TransactionError::file(path, "is not replaced");
    let found = match old {
        There::Nothing => None,
        There::Link(_) => root
            .place(target)
            .and_then(|place| place.look())
            .map_err(refused())?,
        There::File(file) => Some(Found::of(file).map_err(refused())?),
    };
    match replaceable {
        Some(replaceable) => replaceable.check(&replacement.id, way, found.as_ref()),
        None => trusted(way),
    }
    .map_err(|reason| refused()(io::Error::new(io::ErrorKind::PermissionDenied, reason)))
}

/// That what a link leads to is of the kind that takes its place: since it was observed, it may have been made to lead to
/// anything in those directories.
fn is_of_that_kind(replacement: &Replacement, target: &Path) -> Result<(), TransactionError> {
    let refused = TransactionError::file(&replacement.path, "is not replaced");
    match host::read_bounded(target).map(Zeroizing::new) {
        Ok(old) if kind(&old) == kind(&replacement.contents) => Ok(()),
        Ok(_) => Err(refused(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "it leads to {}, which holds something else than what is to be put there; put the file itself in the link's place",
                target.display()
            ),
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

/// Whether there are certificates and keys in a file, and whether it is a kubeconfig.
fn kind(contents: &[u8]) -> [bool; 3] {
    let holds = |text: &[u8]| contents.windows(text.len()).any(|window| window == text);
    [
        holds(b"-----BEGIN CERTIFICATE-----"),
        holds(b"PRIVATE KEY-----"),
        holds(b"current-context"),
    ]
}

/// The file that a path stands for: behind its links, or the link itself where that is to be replaced. With the way that
/// leads there.
fn place(root: &Root, path: &Path, is_link: bool) -> Result<(PathBuf, Way), TransactionError> {
    let unfollowed = |error| TransactionError::file(path, "its links could not be followed")(error);
    match (is_link, path.parent(), path.file_name()) {
        (true, Some(directory), Some(name)) => {
            let mut way = root.way(directory).map_err(unfollowed)?;
            way.ends_in_link = false;
            way.real.push(name);
            Ok((way.real.clone(), way))
        }
        _ => {
            let way = root.way(path).map_err(unfollowed)?;
            Ok((way.real.clone(), way))
        }
    }
}

/// That nobody changed a file, or what a link leads to, since the survey.
pub(super) fn check_unchanged(store: &Store, files: &[StagedFile]) -> Result<(), TransactionError> {
    // Made here: where the paths lead is found out anew each time.
    let root = store.root().holding();
    for file in files {
        let path = root.join(&file.path);
        let (target, way) = place(&root, &path, file.link)?;
        trusted(&way)
            .map_err(|reason| io::Error::new(io::ErrorKind::PermissionDenied, reason))
            .map_err(TransactionError::file(&path, "is not replaced"))?;
        let is_same = target == file.target(store)
            && There::below(&root, &target)
                .and_then(|mut there| there.digest())
                .map_err(TransactionError::file(&target, "could not be read"))?
                == file.old_digest;
        if !is_same {
            return Err(TransactionError::Changed { path });
        }
    }
    Ok(())
}

/// The attributes of a file; `None` where there is none.
pub(super) fn attributes_of(
    root: &Root,
    path: &Path,
) -> Result<Option<Attributes>, TransactionError> {
    There::below(root, path)
        .and_then(|there| match there {
            There::Nothing => Ok(None),
            There::File(file) => Attributes::of(&file).map(Some),
            There::Link(_) => Err(io::Error::other(LinkOnTheWay)),
        })
        .map_err(unread_attributes(path))
}

fn unread_attributes(path: &Path) -> impl FnOnce(io::Error) -> TransactionError {
    TransactionError::file(path, "its attributes could not be read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::Given;

    #[test]
    fn files_of_one_certificate_are_renamed_next_to_each_other() {
        let replacement = |name: &str, path: &str| Replacement {
            id: name.into(),
            path: path.into(),
            contents: Vec::new().into(),
            mode_if_new: 0o600,
            given: Given::default(),
        };
        let paired: Vec<PathBuf> = pair(vec![
            replacement("a", "a.key"),
            replacement("b", "b.key"),
            replacement("c", "c.conf"),
            replacement("a", "a.crt"),
            replacement("b", "b.crt"),
        ])
        .into_iter()
        .map(|replacement| replacement.path)
        .collect();
        let expected = ["a.key", "a.crt", "b.key", "b.crt", "c.conf"];
        assert_eq!(paired, expected.map(PathBuf::from));
    }
}
