use jiff::Timestamp;
use tokio::sync::watch;

use super::*;
use crate::config::Config;
use crate::host::Root;
use crate::journal::{Lock, Store};
use crate::plan::AffectedPod;

/// What a live node would do about one affected pod.
fn chosen(config: Config, no_restart: Option<&'static str>) -> (Restarts, Vec<String>) {
    let context = Context::new(Root::default(), config, None);
    let plan = Plan {
        at: Timestamp::UNIX_EPOCH,
        items: Vec::new(),
        affected: vec![AffectedPod {
            pod: PodRef {
                component: "kube-scheduler".to_owned(),
                manifest: "/etc/kubernetes/manifests/kube-scheduler.yaml".into(),
            },
            certificates: vec!["scheduler.conf".into()],
        }],
        restarts: Vec::new(),
        rereading: Vec::new(),
        expected: Vec::new(),
        next_due: None,
        method: RestartMethod::Manifests,
        adopted_proofs: Vec::new(),
        adopted_users: Vec::new(),
        unread_manifests: Vec::new(),
    };
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(&Root::new(directory.path()).unwrap());
    let lock = Lock::take(&store).unwrap();
    let mut told = Vec::new();
    let mut events = |event: Event| told.push(event.to_string());
    let stop = watch::channel(false).1;
    let mut run = Run::new(&context, &lock, &stop, &mut events);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let choosing = Restarts::choose(&mut run, &plan, no_restart);
    let restarts = runtime.unwrap().block_on(choosing);
    (restarts, told)
}

#[test]
fn on_the_node_itself_no_restart_leaves_every_pod_and_asks_nobody() {
    let mut none = Config::default();
    none.restart.mode = RestartMode::None;
    for (config, no_restart, reason) in [
        (Config::default(), Some("--no-restart"), "--no-restart"),
        (none, None, "restart.mode = \"none\""),
    ] {
        let (restarts, told) = chosen(config, no_restart);
        assert!(restarts.groups.is_empty() && !restarts.provable);
        assert_eq!(components(&restarts.left_out), ["kube-scheduler"]);
        assert_eq!(told, [format!("not restarted: kube-scheduler ({reason})")]);
    }
}
