//! Static pods' manifests.

use std::path::{Component, Path};

use kubecertd::host::Root;
use kubecertd::node::StaticPod;

/// Every path that a manifest leads to is absolute, has no `..` and lies below the root; what is called used is used.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let base = Path::new("/srv/root");
    let root = Root::new(base).expect("an absolute path");
    let path = base.join("etc/kubernetes/manifests/x.yaml");
    let Ok(pod) = StaticPod::parse(&path, text, &root) else {
        return;
    };
    assert!(!pod.name.is_empty() && !pod.component().is_empty() && !pod.namespace.is_empty());
    assert_eq!(pod.path, path);
    let files = pod.files();
    let directories = pod.whole_directories();
    let flags = ["tls-cert-file", "kubeconfig", "cert-file", "etcd-cafile"];
    let named = flags.iter().filter_map(|flag| pod.file_flag(flag));
    for real in files.iter().chain(&directories).cloned().chain(named) {
        assert!(real.starts_with(base), "{} is outside", real.display());
        assert!(
            !real
                .components()
                .any(|part| matches!(part, Component::ParentDir)),
            "{} goes up",
            real.display()
        );
    }
    for used in files.iter().chain(&directories) {
        assert!(pod.uses(used), "{} is not used", used.display());
        assert!(pod.uses(&used.join("below")));
    }
    assert!(!pod.uses(Path::new("/elsewhere")));
    for flag in flags {
        if let (Some(_), Some(file)) = (pod.flag(flag), pod.file_flag(flag)) {
            assert!(file.is_absolute());
        }
    }
}
