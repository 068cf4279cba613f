//! What the child does: whole operations on kubeadm's eleven certificates and four static pods.

use std::path::PathBuf;

use jiff::Timestamp;
use kubecertd::files::{Operation, recover, return_parked};
use kubecertd::journal::{Lock, Outcome, Record, Trigger};
use kubecertd::node::PodRef;
use kubecertd::report::{History, Receipt};
use testkit::files::{Layout, Plain};

/// What `kubeadm certs renew all` renews. A key that is missing is made with its certificate, so one is.
pub(crate) static WHOLE: Layout = Layout {
    files: &[
        ("admin.conf", "/etc/kubernetes/admin.conf", 0o600),
        ("apiserver", "/etc/kubernetes/pki/apiserver.key", 0o600),
        ("apiserver", "/etc/kubernetes/pki/apiserver.crt", 0o644),
        (
            "apiserver-etcd-client",
            "/etc/kubernetes/pki/apiserver-etcd-client.key",
            0o600,
        ),
        (
            "apiserver-etcd-client",
            "/etc/kubernetes/pki/apiserver-etcd-client.crt",
            0o644,
        ),
        ("apiserver-kubelet-client", KUBELET_CLIENT_KEY, 0o600),
        (
            "apiserver-kubelet-client",
            "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
            0o644,
        ),
        (
            "controller-manager.conf",
            "/etc/kubernetes/controller-manager.conf",
            0o600,
        ),
        (
            "etcd-healthcheck-client",
            "/etc/kubernetes/pki/etcd/healthcheck-client.key",
            0o600,
        ),
        (
            "etcd-healthcheck-client",
            "/etc/kubernetes/pki/etcd/healthcheck-client.crt",
            0o644,
        ),
        ("etcd-peer", "/etc/kubernetes/pki/etcd/peer.key", 0o600),
        ("etcd-peer", "/etc/kubernetes/pki/etcd/peer.crt", 0o644),
        ("etcd-server", "/etc/kubernetes/pki/etcd/server.key", 0o600),
        ("etcd-server", "/etc/kubernetes/pki/etcd/server.crt", 0o640),
        (
            "front-proxy-client",
            "/etc/kubernetes/pki/front-proxy-client.key",
            0o600,
        ),
        (
            "front-proxy-client",
            "/etc/kubernetes/pki/front-proxy-client.crt",
            0o644,
        ),
        ("scheduler.conf", "/etc/kubernetes/scheduler.conf", 0o600),
        (
            "super-admin.conf",
            "/etc/kubernetes/super-admin.conf",
            0o600,
        ),
    ],
    missing: &[KUBELET_CLIENT_KEY],
    manifests: &[
        "/etc/kubernetes/manifests/etcd.yaml",
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "/etc/kubernetes/manifests/kube-controller-manager.yaml",
        "/etc/kubernetes/manifests/kube-scheduler.yaml",
    ],
};

const KUBELET_CLIENT_KEY: &str = "/etc/kubernetes/pki/apiserver-kubelet-client.key";

/// As `plan/order.rs` wants it: indices into the manifests above, wave after wave.
const OUT: [&[usize]; 3] = [&[2, 3], &[1], &[0]];
const BACK: [&[usize]; 3] = [&[0], &[1], &[2, 3]];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Install, restart all four pods, end well.
    Renew,
    /// Install, etcd comes back and the API server does not, put everything back, restart again.
    RollBack,
    /// Take all four out and end with three still out, as when somebody stops a restart by hand.
    GiveUp,
    /// Recover what is in flight, restart what is left, and finish it.
    Recover,
    /// Return manifests only.
    Return,
}

impl Course {
    pub(crate) const ALL: [Self; 5] = [
        Self::Renew,
        Self::RollBack,
        Self::GiveUp,
        Self::Recover,
        Self::Return,
    ];

    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    pub(crate) fn take(self, node: &Plain) -> Result<(), Box<dyn std::error::Error>> {
        match self {
            Self::Renew | Self::RollBack => operate(node, self),
            Self::GiveUp => give_up(node),
            Self::Recover => recover_and_finish(node),
            Self::Return => {
                let lock = Lock::take(&node.store)?;
                let directory = node.path("/etc/kubernetes/manifests");
                return_parked(&node.store, Some(&lock), &[directory])?;
                Ok(())
            }
        }
    }
}

fn operate(node: &Plain, course: Course) -> Result<(), Box<dyn std::error::Error>> {
    let lock = Lock::take(&node.store)?;
    let mut operation = Operation::begin(&node.store, &lock, Trigger::Schedule)?;
    let result = renew(node, &mut operation, course);
    let outcome = match &result {
        Ok(()) => Outcome::Done,
        Err(error) => {
            operation.roll_back(error.to_string())?;
            Outcome::RolledBack(error.to_string())
        }
    };
    end(node, operation, outcome)?;
    result
}

fn renew(
    node: &Plain,
    operation: &mut Operation<'_>,
    course: Course,
) -> Result<(), Box<dyn std::error::Error>> {
    let components = || Record::RestartsPlanned {
        pods: (0..4)
            .map(|index| (component(index), manifest(node, index)).into())
            .collect(),
    };
    operation.note(components())?;
    operation.install(node.replacements("new"))?;
    operation.note(components())?;
    take_out(node, operation, &OUT)?;
    if course == Course::RollBack {
        bring_back(node, operation, &BACK[..1])?;
        operation.roll_back("kube-apiserver does not serve the new certificate")?;
        take_out(node, operation, &OUT)?;
    }
    bring_back(node, operation, &BACK)?;
    operation.note(Record::Proved {
        names: vec!["apiserver".into(), "etcd-server".into()],
    })?;
    Ok(())
}

fn take_out(
    node: &Plain,
    operation: &mut Operation<'_>,
    waves: &[&[usize]],
) -> Result<(), Box<dyn std::error::Error>> {
    for index in waves.iter().copied().flatten() {
        operation.park(&manifest(node, *index))?;
    }
    Ok(())
}

fn bring_back(
    node: &Plain,
    operation: &mut Operation<'_>,
    waves: &[&[usize]],
) -> Result<(), Box<dyn std::error::Error>> {
    for wave in waves {
        for index in *wave {
            operation.return_manifest(&manifest(node, *index))?;
        }
        for index in *wave {
            operation.note(Record::Restarted {
                component: component(*index),
            })?;
        }
    }
    Ok(())
}

fn give_up(node: &Plain) -> Result<(), Box<dyn std::error::Error>> {
    let lock = Lock::take(&node.store)?;
    let mut operation = Operation::begin(&node.store, &lock, Trigger::Command("restart".into()))?;
    take_out(node, &mut operation, &OUT)?;
    bring_back(node, &mut operation, &BACK[..1])?;
    end(node, operation, Outcome::Failed("asked to stop".into()))
}

fn recover_and_finish(node: &Plain) -> Result<(), Box<dyn std::error::Error>> {
    let lock = Lock::take(&node.store)?;
    for mut recovery in recover(&node.store, &lock)? {
        for PodRef {
            component,
            manifest,
        } in recovery.restarts_left
        {
            recovery.operation.park(&manifest)?;
            recovery.operation.return_manifest(&manifest)?;
            recovery.operation.note(Record::Restarted { component })?;
        }
        end(node, recovery.operation, Outcome::Done)?;
    }
    Ok(())
}

fn end(
    node: &Plain,
    operation: Operation<'_>,
    outcome: Outcome,
) -> Result<(), Box<dyn std::error::Error>> {
    History::new(&node.store).append(&Receipt {
        turn: None,
        id: operation.id().to_owned(),
        started: operation.started(),
        finished: Timestamp::now(),
        trigger: operation.trigger().clone(),
        by: operation.by().cloned(),
        kind: None,
        history_before: None,
        outcome: outcome.clone(),
        certificates: Vec::new(),
        restarts: Vec::new(),
        remedies: Vec::new(),
        proofs: Vec::new(),
        copies: Vec::new(),
        warnings: Vec::new(),
        remarks: Vec::new(),
        code: None,
    })?;
    operation.finish(outcome, 3, u64::MAX)?;
    Ok(())
}

fn manifest(node: &Plain, index: usize) -> PathBuf {
    node.path(WHOLE.manifests[index])
}

pub(crate) fn component(index: usize) -> String {
    let name = WHOLE.manifests[index].rsplit('/').next().unwrap();
    name.trim_end_matches(".yaml").to_owned()
}
