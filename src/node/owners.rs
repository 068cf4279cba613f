//! Users and groups of the node, by name or number, as its own files have them. Directories on the network are not asked.

use std::io;

use crate::host::{Root, read_at_most};

/// Where users are listed.
pub(super) const USERS: &str = "/etc/passwd";

/// Where groups are.
pub(super) const GROUPS: &str = "/etc/group";

/// More than the local users or groups of any machine take up: bytes.
const LIMIT: u64 = 1 << 20;

/// One of the two files. Names and numbers are ASCII; somebody's full name may be in whatever encoding.
///
/// # Errors
/// What the system says.
pub(super) fn table(root: &Root, file: &str) -> io::Result<String> {
    let real = root.resolve(&root.join(file))?;
    let text = read_at_most(&real, LIMIT)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The number of a user or group of that name or number, of the file which lists them; `None` where it has no such name.
///
/// # Errors
/// As [`table`].
pub(super) fn number_of(root: &Root, file: &str, name: &str) -> io::Result<Option<u32>> {
    // A number stands for itself.
    if let Some(number) = number(name) {
        return Ok(Some(number));
    }
    // Both files have name and number in the first and third field.
    let text = table(root, file)?;
    Ok(text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (own, third) = (fields.next()?, fields.nth(1)?);
        (own == name).then(|| number(third))?
    }))
}

/// A user's or group's number; the largest is nobody's, as to chown(2) it means that nothing changes.
pub(super) fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]

    use super::*;

    #[test]
    fn a_name_is_looked_up_below_the_root_and_a_number_is_one() {
        let made = tempfile::tempdir().unwrap();
        let root = Root::new(made.path()).unwrap();
        let user = |name: &str| number_of(&root, USERS, name);
        assert_eq!(
            user("etcd").unwrap_err().kind(),
            std::io::ErrorKind::NotFound
        );
        std::fs::create_dir_all(root.join("/etc")).unwrap();
        let users = b"root:x:0:0:Jos\xe9:/:/bin/sh\netcd:x:117:120::/var/lib/etcd:/bin/false\nodd:x:x\nno:x:4294967295:1::/:\n";
        std::fs::write(root.join(USERS), users).unwrap();
        std::fs::write(root.join(GROUPS), "etcd:x:120:\n").unwrap();
        assert_eq!(user("etcd").unwrap(), Some(117));
        assert_eq!(number_of(&root, GROUPS, "etcd").unwrap(), Some(120));
        assert_eq!(user("4711").unwrap(), Some(4711));
        for unknown in ["odd", "no", "117x", "", "4294967295"] {
            assert_eq!(user(unknown).unwrap(), None, "{unknown}");
        }
    }
}
