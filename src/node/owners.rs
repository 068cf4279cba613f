//! Users and groups of the node, by name or number, as its own files have them. Directories on the network are not asked.

use std::path::Path;

use super::read::find_text;
use crate::host::Root;

/// The number of a user; `None` where `/etc/passwd` has no such name.
pub(super) fn user(root: &Root, name: &str) -> Option<u32> {
    number(root, "/etc/passwd", name)
}

/// The number of a group; `None` where `/etc/group` has no such name.
pub(super) fn group(root: &Root, name: &str) -> Option<u32> {
    number(root, "/etc/group", name)
}

/// Both files have name and number in the first and third field. A number stands for itself.
fn number(root: &Root, file: &str, name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let text = find_text(root, &root.join(Path::new(file))).ok()??;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (own, number) = (fields.next()?, fields.nth(1)?);
        (own == name).then(|| number.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]

    use super::*;

    #[test]
    fn a_name_is_looked_up_below_the_root_and_a_number_is_one() {
        let made = tempfile::tempdir().unwrap();
        let root = Root::new(made.path()).unwrap();
        assert_eq!(user(&root, "etcd"), None);
        std::fs::create_dir_all(root.join("/etc")).unwrap();
        let passwd = "root:x:0:0::/:/bin/sh\netcd:x:117:120::/var/lib/etcd:/bin/false\nodd:x:x\n";
        std::fs::write(root.join("/etc/passwd"), passwd).unwrap();
        std::fs::write(root.join("/etc/group"), "etcd:x:120:\n").unwrap();
        assert_eq!(user(&root, "etcd"), Some(117));
        assert_eq!(group(&root, "etcd"), Some(120));
        assert_eq!(user(&root, "4711"), Some(4711));
        for unknown in ["odd", "117x", ""] {
            assert_eq!(user(&root, unknown), None, "{unknown}");
        }
    }
}
