//! Codes and fields beside the sentences, for scripts.

use testkit::{Node, said};

#[test]
fn scripts_get_code_and_fields_beside_the_sentence() {
    let node = Node::fresh();
    let key = node.path("/etc/kubernetes/pki/ca.key");
    std::fs::rename(&key, key.with_extension("away")).unwrap();
    let double = node.path("/etc/kubernetes/manifests/etcd-old.yaml");
    std::fs::copy(node.path("/etc/kubernetes/manifests/etcd.yaml"), double).unwrap();
    let read = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_slice(&node.run(arguments).stdout).unwrap()
    };

    let found = read(&["preflight", "-o", "json"]);
    let of = |code: &str| {
        let checks = found["checks"].as_array().unwrap();
        let row = checks.iter().find(|row| row["code"] == code);
        row.unwrap_or_else(|| panic!("{code}: {found}")).clone()
    };
    let manifests = of("several-manifests");
    assert_eq!(manifests["check"], "manifests");
    assert_eq!(manifests["fields"]["pod"], "kube-system/etcd");
    assert_eq!(
        manifests["fields"]["manifests"].as_array().unwrap().len(),
        2
    );
    assert!(manifests["why"].as_str().unwrap().contains("2 manifests"));
    let external = of("not-renewable");
    assert_eq!(external["fields"]["obstacle"]["code"], "external-authority");

    let plan = read(&["plan", "-o", "json"]);
    let certificates = plan["certificates"].as_array().unwrap();
    let apiserver = certificates
        .iter()
        .find(|one| one["name"] == "apiserver")
        .unwrap();
    assert_eq!(apiserver["reason"], "external-authority");
    assert_eq!(apiserver["fields"]["authority"], "ca");

    let by_daemon = node.run(&["run", "--once"]);
    let status = read(&["status", "-o", "json"]);
    let certificates = status["certificates"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", said(&by_daemon)));
    let apiserver = certificates
        .iter()
        .find(|one| one["name"] == "apiserver")
        .unwrap();
    assert_eq!(apiserver["code"], "external-authority");
    assert_eq!(apiserver["fields"]["authority"], "ca");
}
