//! `kubecertd ca` on a made-up node, below a root: everything but restarts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use kubecertd::files::Operation;
use kubecertd::issuer::{Given, Replacement};
use kubecertd::journal::{Lock, OperationKind, Store, Trigger};
use kubecertd::node::CertificateId;
use kubecertd::pki::{
    AuthorityId, Certificate, KeyAlgorithm, NewAuthority, certificates_from_pem,
    certificates_to_pem,
};
use testkit::{Node, contents, said, text};

pub(crate) const CA: &str = "/etc/kubernetes/pki/ca.crt";
const KUBECONFIGS: [&str; 5] = [
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/kubelet.conf",
];

/// Its CAs and all that they signed end tomorrow.
pub(crate) fn ending() -> Node {
    Node::new(
        SignedDuration::from_hours(24 * 3649),
        SignedDuration::from_hours(12),
    )
}

pub(crate) fn ca(node: &Node, arguments: &[&str]) -> (Option<i32>, String) {
    let output = node.run(&[&["ca"], arguments].concat());
    (output.status.code(), said(&output))
}

/// What differs below /etc and /var/lib/kubelet, by the node's paths.
fn changed(node: &Node, before: &Files) -> BTreeSet<String> {
    let now = files(node);
    assert_eq!(
        now.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    let different = now.iter().filter(|(path, bytes)| before[*path] != **bytes);
    different
        .map(|(path, _)| {
            let below = path.strip_prefix(node.directory.path()).unwrap();
            format!("/{}", below.display())
        })
        .collect()
}

type Files = std::collections::BTreeMap<PathBuf, Vec<u8>>;

pub(crate) fn files(node: &Node) -> Files {
    let mut all = contents(&node.path("/etc"));
    all.extend(contents(&node.path("/var/lib/kubelet")));
    all
}

fn certificates(path: &Path) -> Vec<Certificate> {
    certificates_from_pem(&fs::read(path).unwrap()).unwrap()
}

/// The value of a field of a kubeconfig, decoded.
fn embedded(node: &Node, path: &str, field: &str) -> Option<Vec<u8>> {
    let text = node.read(path);
    let start = format!("{field}: ");
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(&start))?;
    Some(STANDARD.decode(line.trim_matches('"')).unwrap())
}

fn has_openssl() -> bool {
    let is_there = Command::new("openssl").arg("version").output().is_ok();
    if !is_there {
        testkit::skipped("openssl is not installed: its opinion was not asked for");
    }
    is_there
}

/// Whether OpenSSL accepts a leaf from these authorities.
fn verifies(authorities: &[u8], leaf: &[u8]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let [above, below] = [("ca", authorities), ("leaf", leaf)].map(|(name, pem)| {
        let path = directory.path().join(name);
        fs::write(&path, pem).unwrap();
        path
    });
    let mut command = Command::new("openssl");
    command.args(["verify", "-check_ss_sig", "-CAfile"]);
    let output = command.arg(above).arg(below).output().unwrap();
    output.status.success()
}

/// Everything that these authorities signed verifies against what is in their files and in every kubeconfig now.
fn expect_all_verified(node: &Node) {
    if !has_openssl() {
        return;
    }
    let mut bundles = vec![fs::read(node.path(CA)).unwrap()];
    bundles.extend(
        KUBECONFIGS
            .iter()
            .filter_map(|path| embedded(node, path, "certificate-authority-data")),
    );
    let mut leaves: Vec<Vec<u8>> = KUBECONFIGS
        .iter()
        .filter_map(|path| embedded(node, path, "client-certificate-data"))
        .collect();
    let current = "/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem";
    leaves.extend(
        [current, "/etc/kubernetes/pki/apiserver.crt"].map(|path| node.read(path).into_bytes()),
    );
    leaves.push(
        node.read("/etc/kubernetes/pki/apiserver-kubelet-client.crt")
            .into_bytes(),
    );
    assert_eq!((bundles.len(), leaves.len()), (6, 7));
    for bundle in &bundles {
        for leaf in &leaves {
            assert!(verifies(bundle, leaf));
        }
    }
    for (authority, names) in [
        (
            "etcd/ca",
            &[
                "etcd/server",
                "etcd/peer",
                "etcd/healthcheck-client",
                "apiserver-etcd-client",
            ][..],
        ),
        ("front-proxy-ca", &["front-proxy-client"]),
    ] {
        let read = |name: &str| fs::read(node.pki_path(&format!("{name}.crt"))).unwrap();
        for name in names {
            assert!(verifies(&read(authority), &read(name)), "{name}");
        }
    }
}

fn history(node: &Node) -> Vec<serde_json::Value> {
    let path = node.path("/var/lib/kubecertd/history.jsonl");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn one_that_ends_is_extended_wherever_it_lies_and_everything_stays_valid() {
    let node = ending();
    let (before, old) = (files(&node), certificates(&node.path(CA)).remove(0));
    let (code, told) = ca(&node, &["extend", "ca", "--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Nothing was changed"), "{told}");
    assert!(changed(&node, &before).is_empty());

    let (code, told) = ca(&node, &["extend", "ca"]);
    assert_eq!(code, Some(0), "{told}");
    let mut wanted = BTreeSet::from(KUBECONFIGS.map(str::to_owned));
    wanted.insert(CA.to_owned());
    assert_eq!(changed(&node, &before), wanted);
    // What goes on with the old one is said.
    for reader in ["kube-controller-manager", "kube-scheduler", "kubelet"] {
        assert!(told.contains(reader), "{told}");
    }

    let new = certificates(&node.path(CA));
    assert_eq!(new.len(), 1);
    let new = &new[0];
    assert_ne!(new.serial, old.serial);
    // What the hash is made of with which nodes join.
    assert_eq!(new.public_key_der, old.public_key_der);
    assert_eq!(new.subject_key_id, old.subject_key_id);
    assert_eq!(new.not_before, old.not_before);
    let years = new.not_after.duration_since(Timestamp::now()).as_hours() / 24;
    assert!((3648..=3650).contains(&years), "{years}");
    for path in KUBECONFIGS {
        let trusted = embedded(&node, path, "certificate-authority-data").unwrap();
        assert_eq!(
            certificates_from_pem(&trusted).unwrap(),
            std::slice::from_ref(new)
        );
        let lines = |bytes: &[u8]| -> Vec<String> {
            let text = text(bytes);
            let kept = text
                .lines()
                .filter(|line| !line.contains("certificate-authority-data"));
            kept.map(str::to_owned).collect()
        };
        let real = node.path(path);
        assert_eq!(
            lines(&fs::read(&real).unwrap()),
            lines(&before[&real]),
            "{path}"
        );
        let mode = fs::metadata(&real).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
    expect_all_verified(&node);

    let receipts = history(&node);
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0]["kind"], "extend");
    assert_eq!(receipts[0]["certificates"][0]["name"], "ca");
    assert_eq!(receipts[0]["certificates"][0]["old_serial"], old.serial);
    let hash = text(&node.run(&["history", "verify"]).stdout);
    assert!(!hash.is_empty());

    // What is signed now lasts longer than the old one did.
    let output = node.run(&["renew", "apiserver"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(node.certificate("apiserver").not_after > old.not_after);
    assert!(verifies(
        node.read(CA).as_bytes(),
        node.read("/etc/kubernetes/pki/apiserver.crt").as_bytes()
    ));
}

#[test]
fn a_second_time_there_is_nothing_to_do() {
    let node = ending();
    assert_eq!(ca(&node, &["extend", "all"]).0, Some(0));
    let (before, receipts) = (files(&node), history(&node).len());
    for more in [&[][..], &["--dry-run"], &["--restart"]] {
        let (code, told) = ca(&node, &[&["extend", "all"], more].concat());
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("Nothing to extend"), "{told}");
    }
    assert!(changed(&node, &before).is_empty());
    assert_eq!(history(&node).len(), receipts);
}

#[test]
fn all_of_them_are_one_operation_that_a_roll_back_takes_back_whole() {
    let node = ending();
    let before = files(&node);
    let (code, told) = ca(&node, &["extend", "all", "--validity", "8760h"]);
    assert_eq!(code, Some(0), "{told}");
    let after = changed(&node, &before);
    for path in [
        CA,
        "/etc/kubernetes/pki/etcd/ca.crt",
        "/etc/kubernetes/pki/front-proxy-ca.crt",
    ] {
        assert!(after.contains(path), "{after:?}");
        let end = certificates(&node.path(path))[0].not_after;
        let days = end.duration_since(Timestamp::now()).as_hours() / 24;
        assert!((363..=365).contains(&days), "{path}: {days}");
    }
    expect_all_verified(&node);
    assert_eq!(history(&node).len(), 1);

    let preview = said(&node.run(&["rollback", "last", "--dry-run"]));
    for name in ["ca ", "etcd-ca ", "front-proxy-ca "] {
        assert!(preview.contains(name), "{preview}");
    }
    // Nothing makes them last longer again.
    assert!(preview.contains(" ca extend etcd-ca`"), "{preview}");
    let output = node.run(&["rollback", "last"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(changed(&node, &before).is_empty());
    expect_all_verified(&node);
    // There and back again.
    let (code, told) = ca(&node, &["extend", "all"]);
    assert_eq!(code, Some(0), "{told}");
}

/// It was renewed since: the CA's certificate goes back, the client's stays.
#[test]
fn a_roll_back_leaves_what_was_renewed_since() {
    let node = ending();
    assert_eq!(ca(&node, &["extend", "ca"]).0, Some(0));
    let id = history(&node)[0]["id"].as_str().unwrap().to_owned();
    let output = node.run(&["renew", "admin.conf"]);
    assert!(output.status.success(), "{}", said(&output));
    let renewed = node.serial("admin.conf");
    let output = node.run(&["rollback", &id]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(node.serial("admin.conf"), renewed);
    let old = node.ca.certificate();
    let trusted = embedded(&node, KUBECONFIGS[0], "certificate-authority-data").unwrap();
    assert_eq!(
        certificates_from_pem(&trusted).unwrap(),
        std::slice::from_ref(old)
    );
    assert_eq!(certificates(&node.path(CA)), std::slice::from_ref(old));
    expect_all_verified(&node);
}

#[test]
fn in_a_bundle_the_new_one_takes_the_place_of_the_old_and_others_stay() {
    let node = ending();
    let now = Timestamp::now();
    let other = kubecertd::pki::CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: now,
        not_after: now + SignedDuration::from_hours(24 * 3650),
    })
    .unwrap();
    let [old, next] =
        [node.ca.certificate(), other.certificate()].map(|one| certificates_to_pem([one]));
    node.write(CA, format!("# the next\n{next}# the first\n{old}"));
    // Copies that flags and the kubelet name, and one that an earlier version left.
    node.write("/etc/kubernetes/pki/root.crt", format!("{old}{next}"));
    node.write("/var/lib/kubelet/clients.crt", &old);
    node.write("/etc/kubernetes/pki/unused.crt", &old);
    let manifest = "/etc/kubernetes/manifests/kube-controller-manager.yaml";
    let named = node.read(manifest).replace(
        "--root-ca-file=/etc/kubernetes/pki/ca.crt",
        "--root-ca-file=/etc/kubernetes/pki/root.crt",
    );
    node.write(manifest, named);
    let settings = "/var/lib/kubelet/config.yaml";
    let named = node
        .read(settings)
        .replace(CA, "/var/lib/kubelet/clients.crt");
    node.write(settings, named);

    let (code, told) = ca(&node, &["extend", "ca"]);
    assert_eq!(code, Some(0), "{told}");
    let bundle = certificates(&node.path(CA));
    assert_eq!(&bundle[0], other.certificate());
    let new = &bundle[1];
    assert_eq!(bundle.len(), 2);
    assert!(new.not_after > node.ca.certificate().not_after);
    let written = certificates_to_pem([new]);
    assert_eq!(
        node.read(CA),
        format!("# the next\n{next}# the first\n{written}")
    );
    assert_eq!(
        node.read("/etc/kubernetes/pki/root.crt"),
        format!("{written}{next}")
    );
    assert_eq!(node.read("/var/lib/kubelet/clients.crt"), written);
    // Nothing that this program knows reads it.
    assert_eq!(node.read("/etc/kubernetes/pki/unused.crt"), old);
}

#[test]
fn a_place_that_was_left_behind_gets_the_present_one() {
    let node = ending();
    let admin = node.read(KUBECONFIGS[0]);
    assert_eq!(ca(&node, &["extend", "ca"]).0, Some(0));
    let new = node.read(CA);
    node.write(KUBECONFIGS[0], &admin);
    let (_, told) = ca(&node, &["status"]);
    let line = told.lines().find(|line| line.contains("/admin.conf"));
    assert!(line.unwrap().contains("older"), "{told}");
    let (code, told) = ca(&node, &["extend", "ca"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(node.read(CA), new);
    let trusted = embedded(&node, KUBECONFIGS[0], "certificate-authority-data").unwrap();
    assert_eq!(text(&trusted), new);
}

/// The CA's own file was not changed by it.
#[test]
fn the_present_one_in_a_place_that_was_left_behind_is_taken_back_and_nothing_before_it() {
    let node = ending();
    let old = node.read(KUBECONFIGS[0]);
    assert_eq!(ca(&node, &["extend", "ca"]).0, Some(0));
    node.write(KUBECONFIGS[0], &old);
    let before = files(&node);
    assert_eq!(ca(&node, &["extend", "ca"]).0, Some(0));
    let receipt = &history(&node)[1];
    let path = receipt["certificates"][0]["path"].as_str().unwrap();
    assert!(path.ends_with(KUBECONFIGS[0]), "{receipt}");
    let output = node.run(&["rollback", "last"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(changed(&node, &before).is_empty(), "{}", said(&output));
}

/// The next CA is in the file already, and lasts longer.
#[test]
fn in_a_bundle_the_one_that_was_extended_goes_back() {
    let node = ending();
    let now = Timestamp::now();
    let next = kubecertd::pki::CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: now,
        not_after: now + SignedDuration::from_hours(24 * 3650),
    });
    let next = certificates_to_pem([next.unwrap().certificate()]);
    node.write(CA, next + &certificates_to_pem([node.ca.certificate()]));
    let before = files(&node);
    let (code, told) = ca(&node, &["extend", "ca", "--validity", "8760h"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(!changed(&node, &before).is_empty());
    let output = node.run(&["rollback", "last"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(changed(&node, &before).is_empty(), "{}", said(&output));
}

/// It was extended elsewhere, and an administrator put it here.
#[test]
fn without_its_key_the_new_one_is_put_into_all_places_and_no_forgery_is() {
    let node = ending();
    let old = node.read(CA);
    assert_eq!(ca(&node, &["extend", "ca"]).0, Some(0));
    let new = node.read(CA);
    let output = node.run(&["rollback", "last"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(node.read(CA), old);
    node.remove("/etc/kubernetes/pki/ca.key");
    let (code, told) = ca(&node, &["extend", "ca"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("its key is not on this node"), "{told}");

    node.write(CA, &new);
    let (code, told) = ca(&node, &["extend", "ca"]);
    assert_eq!(code, Some(0), "{told}");
    let trusted = embedded(&node, KUBECONFIGS[0], "certificate-authority-data").unwrap();
    assert_eq!(text(&trusted), new);

    // The same key, name and identifier, and a signature that nobody made.
    let mut der = certificates_from_pem(old.as_bytes()).unwrap()[0]
        .der()
        .to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let forged = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(&der)
    );
    node.write(CA, forged);
    let before = files(&node);
    let (code, told) = ca(&node, &["extend", "ca"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(changed(&node, &before).is_empty());
}

#[test]
fn a_preview_tries_keys_and_files_and_a_ca_that_ends_at_once_is_refused() {
    let node = ending();
    let before = files(&node);
    let (code, told) = ca(&node, &["extend", "ca", "--validity", "1m"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("--validity"), "{told}");
    node.write("/etc/kubernetes/pki/etcd/ca.key", "x");
    let (code, told) = ca(&node, &["extend", "all", "--dry-run"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("/etcd/ca.key: "), "{told}");
    let (code, told) = ca(
        &node,
        &["extend", "front-proxy-ca", "--validity", "3000000d"],
    );
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = ca(
        &node,
        &["extend", "front-proxy-ca", "--validity", "3000000d"],
    );
    assert!(
        code == Some(0) && told.contains("Nothing to extend"),
        "{told}"
    );
    assert!(changed(&node, &before).contains("/etc/kubernetes/pki/front-proxy-ca.crt"));
}

/// What is not on this node has to be seen to by somebody.
#[test]
fn who_else_has_to_be_given_the_new_one_is_said() {
    let node = ending();
    let (_, told) = ca(&node, &["extend", "all"]);
    for place in [
        "workers",
        "cluster-info",
        "kube-root-ca.crt",
        "systemctl restart kubelet",
    ] {
        assert!(told.contains(place), "{place}: {told}");
    }
}

#[test]
fn status_says_where_each_lies_and_who_reads_it_when() {
    let node = ending();
    fs::remove_file(node.path("/etc/kubernetes/pki/front-proxy-ca.key")).unwrap();
    let output = node.run(&["ca", "status", "-o", "json"]);
    assert!(output.status.success(), "{}", said(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = document["authorities"].as_array().unwrap();
    let names: Vec<&str> = all
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, AuthorityId::ALL.map(AuthorityId::name));
    let [kubernetes, etcd, front_proxy] = [0, 1, 2].map(|index| &all[index]);
    assert_eq!(kubernetes["extendable"], true);
    assert_eq!(kubernetes["places"].as_array().unwrap().len(), 6);
    assert_eq!(front_proxy["extendable"], false);
    assert_eq!(front_proxy["obstacle"]["code"], "key-elsewhere");
    let readers = etcd["places"][0]["readers"].as_array().unwrap();
    let at_start: BTreeSet<(&str, &str, bool)> = readers
        .iter()
        .map(|one| {
            let [name, by] = ["name", "by"].map(|field| one[field].as_str().unwrap());
            (name, by, one["atStart"].as_bool().unwrap())
        })
        .collect();
    let wanted = [
        ("etcd", "peer-trusted-ca-file", true),
        ("etcd", "trusted-ca-file", true),
        ("kube-apiserver", "etcd-cafile", true),
    ];
    assert_eq!(at_start, BTreeSet::from(wanted));
    let told = said(&node.run(&["ca", "status"]));
    assert!(told.contains("kube-apiserver (--client-ca-file)"), "{told}");
    assert!(told.contains("kubelet (clientCAFile)"), "{told}");
    assert!(
        told.contains("it cannot be extended here: its key is not on this node"),
        "{told}"
    );
}

#[test]
fn what_gains_nothing_for_its_ca_says_how_the_ca_is_extended() {
    // Leaves that end with their CAs.
    let hours = SignedDuration::from_hours;
    let node = Node::new(hours(24 * 3649), hours(24));
    let told = said(&node.run(&["plan"]));
    assert!(told.contains("ca extend ca"), "{told}");
    assert!(told.contains("ca extend etcd-ca"), "{told}");
    fs::remove_file(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let told = said(&node.run(&["plan"]));
    assert!(!told.contains("ca extend ca"), "{told}");
}

/// With what it signed for longer than it lasted itself, as kubeadm does.
#[test]
fn one_that_has_ended_is_extended_as_well() {
    let hours = SignedDuration::from_hours;
    let node = Node::new(hours(24 * 3660), hours(-24 * 10));
    let told = said(&node.run(&["plan"]));
    assert!(told.contains("ca extend ca"), "{told}");
    let (code, told) = ca(&node, &["extend", "all"]);
    assert_eq!(code, Some(0), "{told}");
    for authority in AuthorityId::ALL {
        let path = node.pki_path(&format!("{}.crt", authority.base()));
        assert!(certificates(&path)[0].is_valid_at(Timestamp::now()));
    }
    let output = node.run(&["renew", "all"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(node.certificate("apiserver").is_valid_at(Timestamp::now()));
}

/// Nothing that they sign would be accepted.
#[test]
fn a_node_on_which_all_has_expired_gets_its_cas_first() {
    let hours = SignedDuration::from_hours;
    let node = Node::new(hours(24 * 3660), hours(-24 * 10));
    let output = node.run(&["recover", "--expired"]);
    assert!(output.status.success(), "{}", said(&output));
    let now = Timestamp::now();
    for authority in AuthorityId::ALL {
        let path = node.pki_path(&format!("{}.crt", authority.base()));
        assert!(certificates(&path)[0].is_valid_at(now));
    }
    for name in [
        "apiserver",
        "etcd-server",
        "admin.conf",
        "front-proxy-client",
    ] {
        assert!(node.certificate(name).is_valid_at(now), "{name}");
    }
    let kinds: Vec<_> = history(&node)
        .iter()
        .map(|one| one["kind"].clone())
        .collect();
    assert_eq!(kinds, ["extend", "renew"]);
    let (code, told) = ca(&node, &["extend", "all"]);
    assert!(
        code == Some(0) && told.contains("Nothing to extend"),
        "{told}"
    );
}

/// Cut off between two renames: recovery finishes it.
#[test]
fn cut_off_in_the_middle_it_is_finished() {
    let node = ending();
    let before = files(&node);
    // What it would put there.
    let twin = Node::new(SignedDuration::from_hours(1), SignedDuration::from_hours(1));
    fs::remove_dir_all(twin.path("/etc")).unwrap();
    fs::remove_dir_all(twin.path("/var/lib/kubelet")).unwrap();
    twin.copy_from(&node);
    assert_eq!(ca(&twin, &["extend", "ca"]).0, Some(0));
    let new: Vec<(String, Vec<u8>)> = std::iter::once(CA)
        .chain(KUBECONFIGS)
        .map(|path| (path.to_owned(), fs::read(twin.path(path)).unwrap()))
        .collect();

    let store = Store::new(&node.root);
    let lock = Lock::take(&store).unwrap();
    let trigger = Trigger::Command("ca extend ca".to_owned());
    let mut operation =
        Operation::begin_after(&store, &lock, (OperationKind::Extend, trigger), &[], None).unwrap();
    let replacements = new.iter().map(|(path, contents)| Replacement {
        id: CertificateId::of_authority(AuthorityId::Kubernetes),
        path: node.path(path),
        contents: contents.clone().into(),
        mode_if_new: 0o600,
        given: Given::default(),
    });
    operation.install(replacements.collect()).unwrap();
    let journal = store.journal().join(format!("{}.jsonl", operation.id()));
    drop(operation);
    drop(lock);
    let steps = fs::read_to_string(&journal).unwrap();
    let committed = steps.trim_end().rfind('\n').unwrap() + 1;
    assert!(steps[committed..].contains("\"committed\""), "{steps}");
    fs::write(&journal, &steps[..committed]).unwrap();
    let staging: serde_json::Value = steps
        .lines()
        .find(|line| line.contains("\"staging\""))
        .map(|line| serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap())
        .unwrap();
    // The last three are not renamed yet.
    let staged = staging["record"]["files"].as_array().unwrap();
    for file in &staged[3..] {
        let [target, staged] =
            ["target", "staged"].map(|field| node.path(file[field].as_str().unwrap()));
        fs::rename(&target, staged).unwrap();
        fs::write(&target, &before[&target]).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
    }
    // Half of it is as good as all or nothing.
    expect_all_verified(&node);

    let output = node.run(&["recover"]);
    assert!(output.status.success(), "{}", said(&output));
    for (path, contents) in &new {
        assert_eq!(&fs::read(node.path(path)).unwrap(), contents, "{path}");
    }
    assert_eq!(history(&node)[0]["kind"], "extend");
    assert_eq!(history(&node)[0]["outcome"], "done");
    let output = node.run(&["rollback", "last"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(changed(&node, &before).is_empty());
}
