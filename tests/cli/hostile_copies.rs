//! What users put where a copy of admin.conf may lie: nobody is given a key that he had not, nothing outside is changed, and no
//! renewal is held up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use kubecertd::pki::{KeyAlgorithm, PrivateKey};
use nix::sys::stat::Mode;
use testkit::{Node, contents};

use crate::admin_copies::{
    ADMIN, ALICE, ALICES, ROOTS, discover, give_to_alice, is_root, succeeds, with_users,
};

/// What alice does with her home, given a copy of admin.conf there.
type Trap = (&'static str, fn(&Node));

fn home(node: &Node, name: &str) -> std::path::PathBuf {
    node.path("/home/alice").join(name)
}

fn alices_link(node: &Node, name: &str, target: &str) {
    let path = home(node, name);
    symlink(target, &path).unwrap();
    lchown(&path, Some(ALICE), Some(ALICE)).unwrap();
}

fn traps() -> Vec<Trap> {
    vec![
        ("a link to root's copy", |node| {
            fs::remove_file(home(node, ".kube/config")).unwrap();
            alices_link(node, ".kube/config", "/root/.kube/config.kept");
        }),
        ("a link in the place of the directory", |node| {
            fs::remove_dir_all(home(node, ".kube")).unwrap();
            alices_link(node, ".kube", "/root/kept");
        }),
        ("a link in the place of the home", |node| {
            fs::remove_dir_all(home(node, "")).unwrap();
            let path = node.path("/home/alice");
            symlink("/root/home", &path).unwrap();
            lchown(&path, Some(ALICE), Some(ALICE)).unwrap();
        }),
        ("another name of root's file", |node| {
            fs::remove_file(home(node, ".kube/config")).unwrap();
            let foreign = node.path("/root/.kube/config.kept");
            fs::hard_link(foreign, home(node, ".kube/config")).unwrap();
        }),
        ("another user's file", |node| {
            chown(home(node, ".kube/config"), Some(ALICE + 1), None).unwrap();
        }),
        ("a FIFO", |node| {
            fs::remove_file(home(node, ".kube/config")).unwrap();
            nix::unistd::mkfifo(&home(node, ".kube/config"), Mode::S_IRWXU).unwrap();
        }),
        ("a huge file", |node| {
            let file = fs::File::options()
                .append(true)
                .open(home(node, ".kube/config"))
                .unwrap();
            file.set_len(1 << 40).unwrap();
        }),
        ("a directory", |node| {
            fs::remove_file(home(node, ".kube/config")).unwrap();
            fs::create_dir(home(node, ".kube/config")).unwrap();
        }),
        ("thousands of entries", |node| {
            let config = node.read(ALICES);
            let (before, users) = config.split_once("users:\n").unwrap();
            let many: String = (0..200)
                .map(|number| {
                    users.replacen("- name: kubernetes-admin", &format!("- name: u{number}"), 1)
                })
                .collect();
            give_to_alice(node, ALICES, format!("{before}users:\n{many}"));
        }),
        ("YAML that grows", |node| {
            let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
            for level in 1..30 {
                let last = format!("*a{}, ", level - 1).repeat(8);
                bomb.push_str(&format!("a{level}: &a{level} [{last}]\n"));
            }
            give_to_alice(node, ALICES, bomb + &node.read(ALICES));
        }),
        ("no text at all", |node| {
            give_to_alice(node, ALICES, [0xff, 0xfe, 0x00, 0xd8, 0x00]);
        }),
        // The certificate is no secret; its key is what makes a file a copy.
        ("the certificate without its key", |node| {
            let other = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
            let config = node.read(ALICES);
            let key = config
                .lines()
                .find_map(|line| line.trim().strip_prefix("client-key-data: "))
                .unwrap();
            use base64::Engine as _;
            let pem = other.to_pem().unwrap();
            let forged = base64::engine::general_purpose::STANDARD.encode(pem.as_bytes());
            give_to_alice(node, ALICES, config.replace(key, &forged));
        }),
        ("the certificate twice under one name", |node| {
            let config = node.read(ALICES);
            let users = config.split_once("users:\n").unwrap().1;
            give_to_alice(node, ALICES, format!("{config}{users}"));
        }),
    ]
}

#[test]
fn no_trap_in_a_home_leads_anywhere() {
    if !is_root() {
        return;
    }
    for (what, set) in traps() {
        let node = with_users(Node::due());
        discover(&node, "users");
        node.write(ROOTS, node.read(ADMIN));
        for kept in [
            "/root/.kube/config.kept",
            "/root/kept/config",
            "/root/home/.kube/config",
        ] {
            node.write(kept, node.read(ADMIN));
        }
        give_to_alice(&node, ALICES, node.read(ADMIN));
        set(&node);
        if what == "a FIFO" || what == "a huge file" {
            // Neither can be compared byte by byte.
            succeeds(&node, &["renew", "all"]);
            fs::remove_file(node.path(ALICES)).unwrap();
        }
        let homes = || contents(&node.path("/home"));
        let (before, roots) = (homes(), contents(&node.path("/root")));
        let told = succeeds(&node, &["renew", "all", "--force"]);
        succeeds(&node, &["run", "--once"]);
        let _ = succeeds(&node, &["check-expiration", "--all"]);
        if what != "thousands of entries" {
            assert_eq!(homes(), before, "{what}: {told}");
        }
        for (path, contents) in contents(&node.path("/root")) {
            let is_copy = path == node.path(ROOTS);
            assert_eq!(
                contents == roots[&path],
                !is_copy,
                "{what}: {}",
                path.display()
            );
        }
    }
}

/// A directory in which everybody may do anything opens nothing that was closed.
#[test]
fn a_directory_that_is_everybodys_gives_the_key_to_its_owner_only() {
    if !is_root() {
        return;
    }
    let node = with_users(Node::due());
    discover(&node, "users");
    give_to_alice(&node, ALICES, node.read(ADMIN));
    fs::set_permissions(home(&node, ".kube"), Permissions::from_mode(0o777)).unwrap();
    let before = node.read(ALICES);
    succeeds(&node, &["renew", "admin.conf"]);
    assert_ne!(node.read(ALICES), before);
    let entries = node.entries("/home/alice/.kube");
    let file = &entries[ALICES];
    assert_eq!((file.mode, file.owner), (0o600, (ALICE, ALICE)));
    assert_eq!(entries.len(), 1, "{:?}", entries.keys());
}
