//! Nodes as a killed process leaves them.

use std::path::PathBuf;

use kubecertd::files::Operation;
use kubecertd::issuer::Replacement;
use kubecertd::journal::{Lock, Store, Trigger};

use crate::Node;

pub const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";

/// As a command leaves it that was killed; then its journal was lost.
pub fn left_out(node: &Node, manifest: &str) -> PathBuf {
    let manifest = node.path(manifest);
    let beside = manifest.parent().unwrap().parent().unwrap();
    let parked = beside.join(".kubecertd");
    std::fs::create_dir_all(&parked).unwrap();
    std::fs::rename(&manifest, parked.join(manifest.file_name().unwrap())).unwrap();
    manifest
}

/// Cut off between the two renames of a pair: the new key is in place, the new certificate is not.
pub fn half_committed(node: &Node) -> (PathBuf, Vec<u8>) {
    let other = Node::fresh();
    let store = Store::new(&node.root);
    let key = "/etc/kubernetes/pki/apiserver.key";
    let certificate = "/etc/kubernetes/pki/apiserver.crt";
    let [old, new] = [node, &other].map(|node| std::fs::read(node.path(certificate)).unwrap());
    let lock = Lock::take(&store).unwrap();
    let mut operation = Operation::begin(&store, &lock, Trigger::Schedule).unwrap();
    let replacements = [key, certificate].map(|path| Replacement {
        id: "apiserver".into(),
        path: node.path(path),
        contents: std::fs::read(other.path(path)).unwrap().into(),
        mode_if_new: 0o600,
        given: kubecertd::issuer::Given::default(),
    });
    operation.install(replacements.into()).unwrap();
    let journal = store.journal().join(format!("{}.jsonl", operation.id()));
    drop(operation);

    let steps = std::fs::read_to_string(&journal).unwrap();
    let committed = steps.trim_end().rfind('\n').unwrap() + 1;
    assert!(steps[committed..].contains("\"committed\""), "{steps}");
    std::fs::write(&journal, &steps[..committed]).unwrap();
    let staging = steps
        .lines()
        .find(|line| line.contains("\"staging\""))
        .unwrap();
    let staging: serde_json::Value =
        serde_json::from_str(&staging[staging.find('{').unwrap()..]).unwrap();
    let files = staging["record"]["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["target"] == certificate);
    let staged = node.path(file.unwrap()["staged"].as_str().unwrap());
    let certificate = node.path(certificate);
    std::fs::rename(&certificate, staged).unwrap();
    std::fs::write(&certificate, old).unwrap();
    (certificate, new)
}
