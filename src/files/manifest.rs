//! A manifest on its way out of the manifest directory and back.
//!
//! Out is `.kubecertd/` beside the manifest directory: in it every file is a pod to the kubelet, and what is beside it
//! lies on the same file system. Nothing here needs a journal: what is where can be seen.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::host::{
    self, Attributes, FileError, Place, Root, discard, durable, link, read_at_most,
    remove_temporaries, temporary_beside, write_atomically,
};
use crate::journal::{Store, TransactionError};

/// The directory where manifests are while they are out.
const PARKED: &str = ".kubecertd";

/// The file in it whose first line says where they belong.
const RETURN_TO: &str = "RETURN-TO";

/// More than any path and what is said about it takes, in bytes.
const NOTE_LIMIT: u64 = 64 * 1024;

/// How often a move is begun anew because somebody else moved the same manifest meanwhile.
const ATTEMPTS: usize = 8;

/// Where a manifest is and goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// In the manifest directory, whose links are followed.
    pub(crate) place: PathBuf,
    /// While it is out.
    pub(crate) parked: PathBuf,
}

/// What was found when a manifest was brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Return {
    /// It was out and is back.
    PutBack,
    /// It was not out, or the same contents were put in its place.
    WasThere,
    /// Another one is in its place, which is newer; the parked one is kept here.
    KeptNewer(PathBuf),
    /// It is in neither place.
    Missing,
}

/// Where a manifest, by the path its caller knows, is and goes.
pub(super) fn route(store: &Store, manifest: &Path) -> Result<Route, TransactionError> {
    let refused = || TransactionError::file(manifest, "could not be found");
    let not_a_file = || refused()(io::ErrorKind::InvalidInput.into());
    let (Some(directory), Some(name)) = (manifest.parent(), manifest.file_name()) else {
        return Err(not_a_file());
    };
    let directory = store.resolve(directory).map_err(refused())?;
    let beside = directory.parent().ok_or_else(not_a_file)?;
    Ok(Route {
        parked: beside.join(PARKED).join(name),
        place: directory.join(name),
    })
}

/// Takes a manifest out. After an error it is still in place, if that was possible at all.
pub(super) fn take_out(root: &Root, route: &Route) -> Result<(), TransactionError> {
    let (place, parked) = (directory_of(&route.place), directory_of(&route.parked));
    durable::make_private_directory(parked)?;
    write_return_address(parked, &root.node_path(place))?;
    let moved = move_if_free(&route.place, &route.parked)
        .map_err(TransactionError::file(
            &route.place,
            "could not be moved out of the manifest directory",
        ))
        .and_then(|()| flush(route));
    if moved.is_err()
        && matches!(durable::exists(&route.place), Ok(false))
        && let Err(error) = move_if_free(&route.parked, &route.place)
    {
        tracing::error!(manifest = %route.place.display(), %error, "the manifest could not be moved back at once");
    }
    moved
}

/// Brings a manifest back. What is in its place by now is newer and stays; the parked one then goes to `superseded`.
/// May run in two processes at once.
pub(super) fn bring_back(
    route: &Route,
    superseded: impl Fn() -> Result<PathBuf, TransactionError>,
) -> Result<Return, TransactionError> {
    let failed = || TransactionError::file(&route.place, "could not be moved back");
    let (place, parked) = (directory_of(&route.place), directory_of(&route.parked));
    if is_same_directory(place, parked).map_err(failed())? {
        // By two names: nothing is out, and each file is its own double.
        return Ok(if durable::exists(&route.place).map_err(failed())? {
            Return::WasThere
        } else {
            Return::Missing
        });
    }
    let mut last_error = None;
    for _ in 0..ATTEMPTS {
        let is_out = durable::exists(&route.parked).map_err(failed())?;
        let is_taken = durable::exists(&route.place).map_err(failed())?;
        let moved = match (is_out, is_taken) {
            (false, false) => return Ok(Return::Missing),
            (false, true) => {
                flush_place(route)?;
                return Ok(Return::WasThere);
            }
            (true, false) => move_if_free(&route.parked, &route.place).map(|()| Return::PutBack),
            (true, true) => match same(&route.parked, &route.place) {
                Ok(true) => durable::remove(&route.parked).map(|()| Return::WasThere),
                Ok(false) => move_aside(&route.parked, &superseded()?).map(Return::KeptNewer),
                Err(error) => Err(error),
            },
        };
        match moved {
            Ok(outcome) => {
                flush(route)?;
                return Ok(outcome);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                ) =>
            {
                last_error = Some(error);
            }
            Err(error) => return Err(failed()(error)),
        }
    }
    Err(failed()(
        last_error.unwrap_or_else(|| io::ErrorKind::ResourceBusy.into()),
    ))
}

/// Brings back every manifest beside this manifest directory, with no journal to say which. The directory may have
/// become a link after they were taken out, so they are looked for beside the link as well.
pub(super) fn bring_back_all(
    store: &Store,
    manifest_directory: &Path,
) -> Result<Vec<PathBuf>, TransactionError> {
    let here = route(store, &manifest_directory.join(RETURN_TO))?;
    let place = directory_of(&here.place);
    let beside_link = store
        .resolve(directory_of(manifest_directory))
        .map_err(TransactionError::file(
            manifest_directory,
            "could not be found",
        ))?
        .join(PARKED);
    let mut returned = Vec::new();
    let mut result = bring_back_from(store, directory_of(&here.parked), place, &mut returned);
    if beside_link != directory_of(&here.parked) {
        result = result.and(bring_back_from(store, &beside_link, place, &mut returned));
    }
    result.map(|()| returned)
}

fn bring_back_from(
    store: &Store,
    parked: &Path,
    default: &Path,
    returned: &mut Vec<PathBuf>,
) -> Result<(), TransactionError> {
    let target = link::target_of(parked);
    if let Some(target) =
        target.map_err(TransactionError::file(parked, "could not be looked at"))?
    {
        // Nothing that kubecertd made: in there is what is there anyway.
        tracing::warn!(path = %parked.display(), target = %target.display(), "a symbolic link is where manifests are while they are out; it is left alone");
        return Ok(());
    }
    let place = return_address(store, parked).unwrap_or(default.to_path_buf());
    let mut result = Ok(());
    for name in durable::names_in(parked)? {
        if name == RETURN_TO || name.as_bytes().starts_with(b".") {
            continue;
        }
        let route = Route {
            place: place.join(&name),
            parked: parked.join(&name),
        };
        // Without a journal there is no backup for it: it stays beside, under a name that is not looked at again.
        let aside = || {
            let mut hidden = std::ffi::OsString::from(".superseded-");
            hidden.push(&name);
            Ok(parked.join(hidden))
        };
        match bring_back(&route, aside) {
            Ok(Return::PutBack) => returned.push(route.place),
            Ok(outcome) => report(&route, &outcome),
            Err(error) => result = result.and(Err(error)),
        }
    }
    tidy(parked)?;
    result
}

/// Says in the log what an administrator has to know about a return.
pub(super) fn report(route: &Route, outcome: &Return) {
    let manifest = route.place.display();
    match outcome {
        Return::PutBack | Return::WasThere => {}
        Return::KeptNewer(kept) => tracing::warn!(
            %manifest, kept = %kept.display(),
            "a newer manifest was put in the place of one that was out; the newer one stays, the other is kept"
        ),
        Return::Missing => tracing::error!(
            %manifest, parked = %route.parked.display(),
            "a manifest that was out is in neither place; look for it in the backups"
        ),
    }
}

/// Removes what was left of moves that a crash cut off. Only under the lock.
pub(super) fn remove_leftovers(route: &Route) -> Result<(), TransactionError> {
    let name = route.place.file_name();
    remove_temporaries(directory_of(&route.place), name)?;
    remove_temporaries(directory_of(&route.parked), name)?;
    Ok(remove_temporaries(
        directory_of(&route.parked),
        Some(OsStr::new(RETURN_TO)),
    )?)
}

/// Removes the directory for parked manifests if none is there.
pub(super) fn tidy(parked: &Path) -> Result<(), TransactionError> {
    let names = durable::names_in(parked)?;
    // Where it is not there, a read-only file system would complain all the same.
    if names.iter().any(|name| name != RETURN_TO) || !host::is_directory(parked) {
        return Ok(());
    }
    durable::remove_if_there(&parked.join(RETURN_TO))?;
    match Place::at(parked).and_then(|place| place.remove_directory()) {
        Ok(()) => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::DirectoryNotEmpty
                    // A link that somebody made to another directory.
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(TransactionError::file(parked, "could not be removed")(
            error,
        )),
    }
}

/// Whether two paths lead to one directory.
fn is_same_directory(one: &Path, other: &Path) -> io::Result<bool> {
    let look = |path: &Path| match Place::at(path).and_then(|place| place.look()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found,
    };
    Ok(match (look(one)?, look(other)?) {
        (Some(one), Some(other)) => one.identity == other.identity,
        _ => false,
    })
}

/// The directory of a path that was made by joining a name to one.
pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn write_return_address(parked: &Path, place: &Path) -> Result<(), TransactionError> {
    let mut text = place.as_os_str().as_bytes().to_vec();
    text.extend_from_slice(
        b"\n\nThe files here are static pod manifests, out for a restart. If kubecertd does not put them back, move them\ninto the directory named above.\n",
    );
    let path = parked.join(RETURN_TO);
    match read_at_most(&path, NOTE_LIMIT) {
        Ok(written) if written == text => Ok(()),
        _ => Ok(write_atomically(&path, &text, 0o600)?),
    }
}

/// The manifest directory that parked manifests belong to: one beside them.
fn return_address(store: &Store, parked: &Path) -> Option<PathBuf> {
    let text = read_at_most(&parked.join(RETURN_TO), NOTE_LIMIT).ok()?;
    let line = text.split(|byte| *byte == b'\n').next()?;
    let named = store.root().join(Path::new(OsStr::from_bytes(line)));
    let directory = store.resolve(&named).ok()?;
    let is_apart = matches!(is_same_directory(&directory, parked), Ok(false));
    (host::is_directory(&directory) && is_apart && named.parent() == parked.parent())
        .then_some(directory)
}

/// Moves a file, or a link, to a name that is free; across file systems by copy.
fn move_if_free(from: &Path, to: &Path) -> io::Result<()> {
    match durable::rename_if_free(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_if_free(from, to, true)?;
            durable::remove(from)
        }
        result => result,
    }
}

/// Keeps a superseded manifest: a copy, since backups lie elsewhere, under a name that is free.
fn move_aside(from: &Path, to: &Path) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let free = if number == 0 {
            to.to_path_buf()
        } else {
            let mut numbered = to.as_os_str().to_owned();
            numbered.push(format!(".{number}"));
            PathBuf::from(numbered)
        };
        match copy_if_free(from, &free, false) {
            Ok(()) => {
                durable::remove(from)?;
                return Ok(free);
            }
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && durable::exists(from)? =>
            {
                number += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Copies a file, or a link, durably to a name that is free: under a hidden name first.
fn copy_if_free(from: &Path, to: &Path, with_attributes: bool) -> io::Result<()> {
    let temporary = temporary_beside(to).map_err(io::Error::other)?;
    let copied = copy_to(from, &temporary, with_attributes)
        .and_then(|()| durable::rename_if_free(&temporary, to));
    if copied.is_err() {
        discard(&temporary);
    }
    copied?;
    durable::sync_directory(directory_of(to)).map_err(io::Error::other)
}

fn copy_to(from: &Path, to: &Path, with_attributes: bool) -> io::Result<()> {
    if let Some(target) = link::target_of(from)? {
        return link::make(&target, to, None);
    }
    let Some(mut old) = durable::open_regular(from)? else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let mut new = durable::create_private(to)?;
    host::copy_hashed(&mut old, &mut new)?;
    if with_attributes {
        let attributes = Attributes::of(&old)?;
        attributes.give_to(&new)?;
        attributes.give_time_to(&new)?;
    }
    new.sync_all()
}

/// Whether two manifests are the same: contents, or where two links lead.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    match (link::target_of(one)?, link::target_of(other)?) {
        (Some(one), Some(other)) => Ok(one == other),
        (None, None) => {
            let digest = |path| -> io::Result<Option<String>> {
                let Some(mut file) = durable::open_regular(path)? else {
                    return Ok(None);
                };
                host::copy_hashed(&mut file, &mut io::sink()).map(|(digest, _)| Some(digest))
            };
            Ok(digest(one)? == digest(other)?)
        }
        _ => Ok(false),
    }
}

fn flush(route: &Route) -> Result<(), TransactionError> {
    let parked = directory_of(&route.parked);
    match durable::sync_directory(parked) {
        // Another process found it empty and removed it.
        Err(FileError { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        result => result?,
    }
    flush_place(route)
}

/// The process that moved it may have been killed before it flushed.
fn flush_place(route: &Route) -> Result<(), TransactionError> {
    Ok(durable::sync_directory(directory_of(&route.place))?)
}
