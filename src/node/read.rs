//! The one way a file of the node is read.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::Path;

use jiff::Timestamp;
use nix::libc;
use zeroize::Zeroizing;

use super::Fault;
use super::encoding::Text;
use crate::host::{self, FILE_LIMIT, Root};

/// What was found at a path of the node.
pub(super) enum Found {
    /// Nothing, and no link that leads nowhere either.
    Missing,
    /// Something that cannot be read.
    Unreadable(Fault),
    /// A file.
    Content(FileContent),
}

/// A file of the node; wiped when dropped, since it may hold a key.
pub(super) struct FileContent {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) modified: Option<Timestamp>,
}

/// Reads a real path, following links as the node would.
pub(super) fn find(root: &Root, path: &Path) -> Found {
    find_at_most(root, path, FILE_LIMIT)
}

/// The same with another limit, in bytes.
pub(super) fn find_at_most(root: &Root, path: &Path, limit: u64) -> Found {
    // Nearly always no link is on the way, which opening finds out as well.
    if root.is_plain(path)
        && let Ok(content) = content(root, path, limit)
    {
        return Found::Content(content);
    }
    let resolved = match root.resolve(path) {
        Ok(resolved) => resolved,
        Err(error) => return Found::Unreadable(fault(&error)),
    };
    match content(root, &resolved, limit) {
        Ok(content) => Found::Content(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            dangling(root, path, &resolved).map_or(Found::Missing, Found::Unreadable)
        }
        Err(error) => Found::Unreadable(fault(&error)),
    }
}

fn content(root: &Root, path: &Path, limit: u64) -> io::Result<FileContent> {
    let (file, found) = root.open_regular(path, limit)?;
    // One more than its length: then reading to the end never moves a key to a second buffer.
    let capacity = usize::try_from(found.size).unwrap_or(0).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(found.size).read_to_end(&mut bytes)?;
    let (seconds, nanoseconds) = found.modified;
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or(0);
    Ok(FileContent {
        bytes,
        modified: Timestamp::new(seconds, nanoseconds).ok(),
    })
}

/// Reads a real path as text; `None` when there is no such file.
pub(super) fn find_text(root: &Root, path: &Path) -> Result<Option<Zeroizing<String>>, Fault> {
    match find(root, path) {
        Found::Missing => Ok(None),
        Found::Unreadable(fault) => Err(fault),
        Found::Content(content) => Text::decode(&content.bytes).map(|text| Some(text.text)),
    }
}

/// How large a file is, as far as that can be seen without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// A file, in bytes.
    Of(u64),
    /// Nothing is there.
    Missing,
    /// No file, or nothing that can be reached.
    Unknown,
}

/// The size of what lies at a real path, links followed as the node would.
pub(super) fn size(root: &Root, path: &Path) -> Size {
    match root.end(path) {
        Ok((_, Some(found))) if found.is_file() => Size::Of(found.size),
        Ok((_, None)) => Size::Missing,
        Ok((_, Some(_))) | Err(_) => Size::Unknown,
    }
}

/// What is at a real path that is not to be opened.
pub(super) enum Seen {
    /// Nothing, and no link that leads nowhere either.
    Missing,
    /// No file, or nothing that can be reached.
    Unreadable(Fault),
    /// An empty file.
    Empty,
    /// A file.
    File,
}

/// Looks at a real path without opening it, following links as the node would.
pub(super) fn look_at(root: &Root, path: &Path) -> Seen {
    let (resolved, found) = match root.end(path) {
        Ok(end) => end,
        Err(error) => return Seen::Unreadable(fault(&error)),
    };
    match found {
        Some(found) => match host::check_regular(found.kind, found.size, FILE_LIMIT) {
            Err(error) => Seen::Unreadable(fault(&error)),
            Ok(()) if found.size == 0 => Seen::Empty,
            Ok(()) => Seen::File,
        },
        None => dangling(root, path, &resolved).map_or(Seen::Missing, Seen::Unreadable),
    }
}

/// What is in a directory.
pub(super) struct Listing {
    /// The names, sorted, without those that begin with a dot.
    pub(super) names: Vec<OsString>,
    /// Whether there are more than [`NAMES_LIMIT`], of which these are some.
    pub(super) is_cut: bool,
}

/// Names of one directory that are looked at: more than any node has, few enough for one that a pod fills.
pub(super) const NAMES_LIMIT: usize = 10_000;

/// The names in a directory, those that begin with a dot left out.
pub(super) fn names(directory: &Path) -> io::Result<Listing> {
    let (mut names, is_cut) = host::some_names(directory, NAMES_LIMIT)?;
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    Ok(Listing { names, is_cut })
}

/// What is wrong with a directory of which not all names were looked at.
pub(super) const CUT: Fault = Fault::NamesNotLookedAt { seen: NAMES_LIMIT };

/// What an input error says of a file.
pub(super) fn fault(error: &io::Error) -> Fault {
    if error.raw_os_error() == Some(libc::ELOOP) {
        return Fault::LinkLoop;
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => Fault::PermissionDenied,
        io::ErrorKind::NotADirectory => Fault::FileInPath,
        _ => Fault::CannotBeRead {
            reason: error.to_string(),
        },
    }
}

/// Why nothing is at the end of the links, if there is a link that leads nowhere.
fn dangling(root: &Root, path: &Path, resolved: &Path) -> Option<Fault> {
    if is_link(root, path) {
        return Some(Fault::LinkLeadsNowhere {
            target: root.node_path(resolved),
            directory: None,
        });
    }
    // A linked directory, a mount that is not there, say: then the file is not missing but out of reach.
    let directory = path
        .ancestors()
        .skip(1)
        .take_while(|ancestor| ancestor.starts_with(root.directory()))
        .find(|ancestor| is_link(root, ancestor))?;
    let target = root.resolve(directory).ok()?;
    matches!(root.look(&target), Ok(None)).then(|| Fault::LinkLeadsNowhere {
        target: root.node_path(&target),
        directory: Some(root.node_path(directory)),
    })
}

/// Whether the last name of a path is a link.
fn is_link(root: &Root, path: &Path) -> bool {
    root.look(path)
        .is_ok_and(|found| found.is_some_and(|found| found.is_link()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use crate::host::read_bounded;
    use std::fs::File;
    use std::os::unix::fs::symlink;

    fn unreadable(root: &Root, path: &str) -> String {
        match find(root, &root.join(path)) {
            Found::Unreadable(fault) => fault.to_string(),
            Found::Missing => panic!("{path} is missing"),
            Found::Content(_) => panic!("{path} could be read"),
        }
    }

    #[test]
    fn what_is_no_file_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        std::fs::create_dir(root.join("/directory")).unwrap();
        nix::unistd::mkfifo(&root.join("/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        File::create(root.join("/large"))
            .unwrap()
            .set_len(100 << 20)
            .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("/socket")).unwrap();

        assert_eq!(
            unreadable(&root, "/directory"),
            "is a directory, not a file"
        );
        assert_eq!(unreadable(&root, "/fifo"), "is a FIFO, not a file");
        assert!(unreadable(&root, "/large").starts_with("is larger than 10 MiB"));
        assert_eq!(
            unreadable(&root, "/socket"),
            "is a socket or device, not a file"
        );
        assert_eq!(
            read_bounded(Path::new("/dev/null"))
                .unwrap_err()
                .to_string(),
            "is a device, not a file"
        );
    }

    #[test]
    fn links_that_lead_nowhere_are_no_missing_files() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        symlink("/mnt/ca.crt", root.join("/dangling")).unwrap();
        symlink("/mnt/pki", root.join("/pki")).unwrap();
        symlink("b", root.join("/a")).unwrap();
        symlink("a", root.join("/b")).unwrap();

        assert_eq!(
            unreadable(&root, "/dangling"),
            "symbolic link to /mnt/ca.crt, which does not exist; restore the target or replace the link"
        );
        assert!(unreadable(&root, "/pki/ca.crt").starts_with(
            "its directory /pki is a symbolic link to /mnt/pki, which does not exist"
        ));
        assert!(unreadable(&root, "/a").starts_with("is a loop of symbolic links"));
        assert!(matches!(find(&root, &root.join("/none/x")), Found::Missing));
    }

    #[test]
    fn a_link_is_followed_under_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        std::fs::write(root.join("/real"), "content").unwrap();
        symlink("/real", root.join("/link")).unwrap();
        let Found::Content(content) = find(&root, &root.join("/link")) else {
            panic!("not found");
        };
        assert_eq!(content.bytes.as_slice(), b"content");
        assert!(content.modified.is_some());
    }
}
