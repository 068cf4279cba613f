//! A whole node on which one file is another: what is observed, planned and printed of it.

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::Config;
use kubecertd::node::observe;
use kubecertd::pki::KeyAlgorithm;
use kubecertd::plan::{Request, plan};
use kubecertd::rehearsal::Sample;
use kubecertd::report::ExpirationInfo;
use kubecertd::report::PlanView;

use crate::place::Place;

/// Which file the first byte of a run chooses.
const FILES: [&str; 10] = [
    "/etc/kubernetes/pki/apiserver.crt",
    "/etc/kubernetes/pki/apiserver.key",
    "/etc/kubernetes/pki/ca.crt",
    "/etc/kubernetes/pki/ca.key",
    "/etc/kubernetes/pki/extra.crt",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/extra.yaml",
    "/var/lib/kubelet/config.yaml",
];

struct Node {
    place: Place,
    now: Timestamp,
}

thread_local! {
    static NODE: Node = Node::new();
}

impl Node {
    fn new() -> Self {
        let place = Place::new();
        let now = Timestamp::now();
        let sample = Sample {
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: now - SignedDuration::from_hours(24 * 345),
            not_after: now + SignedDuration::from_hours(24 * 20),
        };
        sample.write(&place.root).expect("a sample node");
        Self { place, now }
    }
}

/// One file never costs the rows of the others, and every table can be printed.
pub fn check(data: &[u8]) {
    let Some((which, contents)) = data.split_first() else {
        return;
    };
    let file = FILES[usize::from(*which) % FILES.len()];
    NODE.with(|node| {
        let (place, now) = (&node.place, node.now);
        let before = std::fs::read(place.path(file)).ok();
        place.write(file, contents);
        let config = Config::default();
        let inventory = observe(&place.root, &config.locations);
        let info = ExpirationInfo::new(&inventory, now, true);
        for text in [info.to_table(), info.to_json(), info.to_yaml()] {
            assert!(
                text.contains("etcd-server"),
                "one file costs the others' rows:\n{text}"
            );
        }
        for request in [Request::Due, Request::All { force: true }] {
            let plan =
                plan(&inventory, &config, &request, now).expect("no name, so no unknown one");
            let table = PlanView::from(&plan).to_table();
            assert!(table.contains("etcd-server"), "{table}");
        }
        match before {
            Some(before) => place.write(file, &before),
            None => place.remove(file),
        }
    });
}
