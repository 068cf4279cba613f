//! A node that runs with a service of its own, whose certificate the configuration describes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::parse;
use kubecertd::pki::Validity;
use kubecertd::report::Receipt;
use kubecertd::runtime::KubeletService;
use testkit::live::{Live, valid};
use testkit::loopback::serial_in;
use testkit::others::{HAPROXY, HAPROXY_TABLE};
use testkit::peer::{Clients, Listener, listen};

use crate::whole::FRESH;

/// A node with a service of its own, which serves what lay in its files when it was last told.
pub(crate) struct Served {
    pub node: Live,
    pub listener: Option<Listener>,
}

/// What the service does when it is told.
pub(crate) const TAKES: &str = "cp $ROOT/etc/haproxy/tls.crt $ROOT/haproxy.crt; cp $ROOT/etc/haproxy/tls.key $ROOT/haproxy.key";

impl Served {
    /// With these further lines in its table; `ADDRESS` stands for where it listens.
    pub(crate) async fn start(table: &str, told: &str) -> Self {
        Self::start_on(Live::start(FRESH).await, table, told).await
    }

    pub(crate) async fn start_on(node: Live, table: &str, told: &str) -> Self {
        Self::start_of(node, due(), table, told).await
    }

    /// Its certificate is valid so long.
    pub(crate) async fn start_of(
        mut node: Live,
        validity: Validity,
        table: &str,
        told: &str,
    ) -> Self {
        node.tree.haproxy_of(validity);
        let served = ["crt", "key"].map(|end| node.tree.path(&format!("/haproxy.{end}")));
        fs::copy(node.tree.path(HAPROXY.0), &served[0]).unwrap();
        fs::copy(node.tree.path(HAPROXY.1), &served[1]).unwrap();
        let pair = (served[0].clone(), served[1].clone());
        let answer = Arc::new(|_: &str, _: Option<&str>| (200, String::new()));
        let listener = listen(("127.0.0.1", 0), pair, Clients::Anybody, true, answer).await;
        let address = format!("127.0.0.1:{}", listener.port);
        let text = HAPROXY_TABLE.to_owned() + &table.replace("ADDRESS", &address);
        let config = parse("k.toml".as_ref(), &text.replace("$ROOT", &root(&node))).unwrap();
        node.context.config.locations.described = config.locations.described;
        node.context.proof_bound = Duration::from_secs(3);
        let served = Self {
            node,
            listener: Some(listener),
        };
        let systemctl = served.systemctl("active", told);
        let mut served = served;
        served.node.context.machine.as_mut().unwrap().kubelet = KubeletService::through(systemctl);
        served
    }

    /// Stands for systemctl: the unit is in that state, and does this when it is told.
    pub(crate) fn systemctl(&self, state: &str, told: &str) -> PathBuf {
        let text = format!(
            "if [ \"$1\" = show ]; then echo LoadState=loaded; echo ActiveState={state}; exit; fi\n\
             echo \"$@\" >>$ROOT/told\n{told}\n"
        );
        self.script("/systemctl", &text)
    }

    pub(crate) fn script(&self, path: &str, text: &str) -> PathBuf {
        let root = root(&self.node);
        let path = self
            .node
            .tree
            .write(path, format!("#!/bin/sh\nROOT={root}\n{text}\n"));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(self.node.tree.path("/told")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn in_file(&self) -> String {
        serial_in(&self.node.tree.path(HAPROXY.0))
    }

    pub(crate) fn served(&self) -> String {
        serial_in(&self.node.tree.path("/haproxy.crt"))
    }

    pub(crate) fn last(&self) -> Receipt {
        self.node.receipts().pop().unwrap()
    }

    pub(crate) fn codes(&self) -> Vec<String> {
        let remarks = self.last().remarks;
        remarks.into_iter().map(|one| one.code).collect()
    }
}

pub(crate) fn root(node: &Live) -> String {
    node.tree.directory.path().display().to_string()
}

/// However new the file is; and not at its very end.
pub(crate) fn due() -> Validity {
    let (now, days) = (Timestamp::now(), |days: i64| {
        SignedDuration::from_hours(24 * days)
    });
    valid(now - days(28), now + days(2))
}

pub(crate) const UNIT: &str = "unit = \"haproxy.service\"\naddress = \"ADDRESS\"\n";

/// Ended a while ago.
pub(crate) fn ended() -> Validity {
    let now = Timestamp::now();
    valid(
        now - SignedDuration::from_hours(24 * 30),
        now - SignedDuration::from_hours(1),
    )
}

/// Has the API server's flags name these files.
pub(crate) fn used_by_the_api_server(node: &Live, files: &[&str]) {
    let manifest = node
        .tree
        .path("/etc/kubernetes/manifests/kube-apiserver.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    let mut changed = text.clone();
    for (index, file) in files.iter().enumerate() {
        let directory = file.rsplit_once('/').unwrap().0;
        for (before, line) in [
            (
                "    - \"--secure-port",
                format!("    - \"--tls-sni-cert-key={file}\""),
            ),
            (
                "    - {mountPath: /etc/kubernetes/pki",
                format!("    - {{mountPath: {directory}, name: more-{index}}}"),
            ),
            (
                "  - {name: pki, hostPath",
                format!("  - {{name: more-{index}, hostPath: {{path: {directory}}}}}"),
            ),
        ] {
            assert!(changed.contains(before), "{text}");
            changed = changed.replace(before, &format!("{line}\n{before}"));
        }
    }
    fs::write(&manifest, changed).unwrap();
}
