//! What version 0.1 left on the disk is read, finished and gone back to: `tests/data/killed-0.1` is a node on which it had renewed
//! one certificate and was killed between the two renames of another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kubecertd::host::Root;
use kubecertd::journal::{OperationKind, Outcome, Store};
use kubecertd::pki::{PrivateKey, certificates_from_pem};
use kubecertd::report::History;
use testkit::said;

const FINISHED: &str = "20261126T110204Z-246a";
const KILLED: &str = "20261126T110214Z-7fa2";

struct Left(tempfile::TempDir);

impl Left {
    /// A copy with the modes that git does not keep.
    fn copied() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/killed-0.1/.");
        let copied = Command::new("cp")
            .arg("-R")
            .arg(from)
            .arg(directory.path())
            .status();
        assert!(copied.unwrap().success());
        let left = Self(directory);
        fs::create_dir_all(left.path("/etc/kubernetes/manifests")).unwrap();
        for private in ["/var/lib/kubecertd", "/etc/kubernetes/pki"] {
            close(&left.path(private));
        }
        left
    }

    fn path(&self, node_path: &str) -> PathBuf {
        self.0.path().join(node_path.trim_start_matches('/'))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(testkit::program())
            .arg("--root")
            .arg(self.0.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    fn serial(&self, name: &str) -> String {
        let text = fs::read(self.path(&format!("/etc/kubernetes/pki/{name}.crt"))).unwrap();
        certificates_from_pem(&text).unwrap()[0].serial.clone()
    }

    /// Whether certificate and key belong together.
    fn fits(&self, name: &str) -> bool {
        let read = |ending| fs::read(self.path(&format!("/etc/kubernetes/pki/{name}.{ending}")));
        let certificate = certificates_from_pem(&read("crt").unwrap()).unwrap();
        let key = PrivateKey::from_pem(&read("key").unwrap()).unwrap();
        key.matches(&certificate[0])
    }
}

fn close(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            close(&path);
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[test]
fn what_the_first_version_left_in_flight_is_finished_and_stands_in_its_history() {
    let left = Left::copied();
    assert!(!left.fits("apiserver"), "it was killed between the renames");
    let recovered = left.run(&["recover"]);
    assert!(recovered.status.success(), "{}", said(&recovered));
    assert!(left.fits("apiserver"));
    let store = Store::new(&Root::new(left.0.path()).unwrap());
    assert!(store.in_flight().unwrap().is_empty());
    let receipts = History::new(&store).receipts().unwrap();
    let ids: Vec<&str> = receipts.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, [FINISHED, KILLED]);
    for receipt in &receipts {
        assert_eq!(receipt.kind(), OperationKind::Renew);
        assert_eq!(receipt.outcome, Outcome::Done);
        assert_eq!(receipt.certificates.len(), 1, "{receipt:?}");
    }
    assert_eq!(
        receipts[1].certificates[0].new_serial,
        left.serial("apiserver")
    );
    let verified = left.run(&["history", "verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[test]
fn what_the_first_version_backed_up_can_be_put_back() {
    let left = Left::copied();
    assert!(left.run(&["recover"]).status.success());
    for (id, name) in [(KILLED, "apiserver"), (FINISHED, "front-proxy-client")] {
        let new = left.serial(name);
        // The certificates of this node end one day; that is not what this is about.
        let back = left.run(&["rollback", id, "--no-restart", "--force"]);
        assert!(back.status.success(), "{}", said(&back));
        assert_ne!(left.serial(name), new);
        assert!(left.fits(name));
    }
}
