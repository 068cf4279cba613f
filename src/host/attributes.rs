//! What a file has besides its contents: owner, group, mode, time, extended attributes.

use std::collections::BTreeMap;
use std::fs::{File, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::fs::{
    IFlags, XattrFlags, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, fremovexattr,
    fsetxattr, ioctl_getflags,
};
use rustix::io::Errno;

use super::place::Place;

/// The access control list, if a file has one beyond its mode.
pub(crate) const ACCESS_LIST: &str = "system.posix_acl_access";

/// The most that all extended attributes of a file may take, in bytes: whoever may write the file may give it thousands.
const LIMIT: usize = 256 << 10;

/// What a new file gets none of. Digests and signatures of the contents: the kernel makes them anew, and the old ones would
/// be wrong. And capabilities, which no certificate needs: whoever writes these directories could set them, and a process
/// that may not fails.
const NEVER_KEPT: [&str; 3] = ["security.ima", "security.evm", "security.capability"];

/// Owner, group, mode, time of last change and extended attributes of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attributes {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, the upper three included.
    pub mode: u32,
    /// Last change of the contents, seconds since 1970.
    pub modified: i64,
    /// Nanoseconds thereof.
    pub modified_nanoseconds: u32,
    /// Extended attributes (SELinux label and access control list among them) by name, in base64.
    pub xattrs: BTreeMap<String, String>,
}

impl Attributes {
    /// What this file has.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let mut xattrs = BTreeMap::new();
        let mut size = 0;
        for name in names(file)? {
            if let Some(value) = value(file, &name)? {
                size += name.len() + value.len();
                if size > LIMIT {
                    return Err(io::Error::other(format!(
                        "has more than {} KiB of extended attributes; remove those that are not needed",
                        LIMIT >> 10
                    )));
                }
                xattrs.insert(name, BASE64.encode(value));
            }
        }
        Ok(Self::with(&metadata, xattrs))
    }

    /// Whether others are the same but for the time.
    pub(crate) fn differ_in_time_only(&self, other: &Self) -> bool {
        let others_time = Self {
            modified: other.modified,
            modified_nanoseconds: other.modified_nanoseconds,
            ..self.clone()
        };
        others_time == *other
    }

    /// What a symbolic link has: an owner and a time.
    pub(crate) fn of_link(path: &Path) -> io::Result<Self> {
        // An open link would be what it leads to; of these no more is kept than can be looked at.
        let found = Place::at(path)?.look()?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            uid: found.uid,
            gid: found.gid,
            mode: found.mode,
            modified: found.modified.0,
            modified_nanoseconds: found.modified.1,
            xattrs: BTreeMap::new(),
        })
    }

    fn with(metadata: &Metadata, xattrs: BTreeMap<String, String>) -> Self {
        Self {
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
            modified: metadata.mtime(),
            modified_nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
            xattrs,
        }
    }

    /// Gives a new file (0600 so far) all of them except the time. The mode comes last, so that at no moment anybody
    /// can read the file who could not read the old one.
    pub(crate) fn give_to(&self, file: &File) -> io::Result<()> {
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (self.uid, self.gid) {
            std::os::unix::fs::fchown(file, Some(self.uid), Some(self.gid))?;
        }
        for inherited in names(file)? {
            // From a default list of the directory; the mode would open it.
            if inherited == ACCESS_LIST && !self.xattrs.contains_key(&inherited) {
                fremovexattr(file, inherited.as_str())?;
            }
        }
        for (name, encoded) in &self.xattrs {
            if NEVER_KEPT.contains(&name.as_str()) {
                continue;
            }
            let wanted = BASE64
                .decode(encoded)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if value(file, name)?.as_ref() == Some(&wanted) {
                continue;
            }
            match fsetxattr(file, name.as_str(), &wanted, XattrFlags::empty()) {
                Ok(()) => {}
                Err(error) if is_without_effect(name, error) => {
                    tracing::warn!(attribute = %name, %error, "an extended attribute without effect here was not kept");
                }
                Err(error) => {
                    return Err(io::Error::new(
                        io::Error::from(error).kind(),
                        format!("extended attribute {name} could not be kept: {error}"),
                    ));
                }
            }
        }
        file.set_permissions(Permissions::from_mode(self.mode))
    }

    /// Sets the time of last change.
    pub(crate) fn give_time_to(&self, file: &File) -> io::Result<()> {
        let nanoseconds = Duration::from_nanos(self.modified_nanoseconds.into());
        let seconds = Duration::from_secs(self.modified.unsigned_abs());
        let whole = if self.modified < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(seconds)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(seconds)
        };
        match whole.and_then(|whole| whole.checked_add(nanoseconds)) {
            Some(modified) => file.set_times(FileTimes::new().set_modified(modified)),
            None => Ok(()),
        }
    }
}

/// Whether the file is marked immutable or append-only (`chattr +i`, `+a`), so that not even root may replace it.
pub fn is_immutable(file: &File) -> io::Result<bool> {
    match ioctl_getflags(file) {
        Ok(flags) => Ok(flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND)),
        // File systems without such flags.
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether nothing is lost without this attribute: the file system knows none (then the old file was read elsewhere), or
/// it is a label left over from a time when SELinux was on, which only a full capability set could write.
fn is_without_effect(name: &str, error: Errno) -> bool {
    match error {
        Errno::OPNOTSUPP => true,
        Errno::PERM => name == "security.selinux" && !Path::new("/sys/fs/selinux/enforce").exists(),
        _ => false,
    }
}

fn names(file: &File) -> io::Result<Vec<String>> {
    let size = match flistxattr_query(file) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(size) => size,
        Err(error) => return Err(error.into()),
    };
    let mut list = vec![0u8; size];
    let length = flistxattr(file, list.as_mut_slice())?;
    list[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            String::from_utf8(name.to_vec())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        })
        .collect()
}

fn value(file: &File, name: &str) -> io::Result<Option<Vec<u8>>> {
    let size = match fgetxattr_query(file, name) {
        Ok(size) => size,
        Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0u8; size];
    if size > 0 {
        let length = fgetxattr(file, name, value.as_mut_slice())?;
        value.truncate(length);
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::durable::create_private;

    #[test]
    fn everything_but_the_contents_is_given() {
        let directory = tempfile::tempdir().unwrap();
        let old = create_private(&directory.path().join("old")).unwrap();
        if let Err(error) = fsetxattr(&old, "user.note", b"\0\xff", XattrFlags::empty()) {
            eprintln!(
                "SKIPPED: no extended attributes in {}: {error}",
                directory.path().display()
            );
            return;
        }
        // user:: rw, user:12 r, group:: -, mask r, other -
        let list: Vec<u8> = [
            (2u32).to_le_bytes().to_vec(),
            entry(1, 6, u32::MAX),
            entry(2, 4, 12),
            entry(4, 0, u32::MAX),
            entry(16, 4, u32::MAX),
            entry(32, 0, u32::MAX),
        ]
        .concat();
        let has_list = fsetxattr(&old, ACCESS_LIST, &list, XattrFlags::empty()).is_ok();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::fchown(&old, Some(12), Some(34)).unwrap();
        }
        if !has_list {
            eprintln!("SKIPPED in part: no access control lists here");
            old.set_permissions(Permissions::from_mode(0o640)).unwrap();
        }
        old.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::new(5, 7)))
            .unwrap();

        let attributes = Attributes::of(&old).unwrap();
        assert_eq!(attributes.mode, 0o640);
        assert_eq!(attributes.xattrs.contains_key(ACCESS_LIST), has_list);
        let text = serde_json::to_string(&attributes).unwrap();
        let new = create_private(&directory.path().join("new")).unwrap();
        let read: Attributes = serde_json::from_str(&text).unwrap();
        read.give_to(&new).unwrap();
        read.give_time_to(&new).unwrap();
        assert_eq!(Attributes::of(&new).unwrap(), attributes);
    }

    #[test]
    fn what_differs_in_more_than_the_time_is_told_apart() {
        let one = Attributes {
            uid: 1,
            gid: 2,
            mode: 0o600,
            modified: 3,
            modified_nanoseconds: 4,
            xattrs: BTreeMap::new(),
        };
        let differ = |change: fn(&mut Attributes)| {
            let mut other = one.clone();
            change(&mut other);
            !one.differ_in_time_only(&other)
        };
        assert!(!differ(|other| (
            other.modified,
            other.modified_nanoseconds
        ) = (5, 6)));
        assert!(differ(|other| other.uid = 7));
        assert!(differ(|other| other.gid = 7));
        assert!(differ(|other| other.mode = 0o644));
        assert!(differ(|other| drop(
            other.xattrs.insert("user.x".into(), "eA==".into())
        )));
    }

    #[test]
    fn an_inherited_access_list_does_not_open_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let old = create_private(&directory.path().join("old")).unwrap();
        old.set_permissions(Permissions::from_mode(0o640)).unwrap();
        let attributes = Attributes::of(&old).unwrap();
        let list: Vec<u8> = [
            (2u32).to_le_bytes().to_vec(),
            entry(1, 6, u32::MAX),
            entry(2, 6, 12),
            entry(4, 4, u32::MAX),
            entry(16, 6, u32::MAX),
            entry(32, 0, u32::MAX),
        ]
        .concat();
        let opened = File::open(directory.path()).unwrap();
        let default = "system.posix_acl_default";
        if let Err(error) = fsetxattr(&opened, default, &list, XattrFlags::empty()) {
            eprintln!("SKIPPED: no access control lists here: {error}");
            return;
        }
        let new = create_private(&directory.path().join("new")).unwrap();
        assert!(
            Attributes::of(&new)
                .unwrap()
                .xattrs
                .contains_key(ACCESS_LIST)
        );
        attributes.give_to(&new).unwrap();
        assert!(
            !Attributes::of(&new)
                .unwrap()
                .xattrs
                .contains_key(ACCESS_LIST)
        );
    }

    /// One entry of an access control list: tag, permissions, id (acl(5), version 2 of the kernel's format).
    fn entry(tag: u16, permissions: u16, id: u32) -> Vec<u8> {
        [
            tag.to_le_bytes().to_vec(),
            permissions.to_le_bytes().to_vec(),
            id.to_le_bytes().to_vec(),
        ]
        .concat()
    }
}
