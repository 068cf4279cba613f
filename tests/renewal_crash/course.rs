//! What the program does while a fault comes in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use kubecertd::files::generations;
use kubecertd::journal::Store;
use kubecertd::pki::{NewLeaf, certificates_to_pem};
use testkit::Node;
use testkit::injection::{End, Point, Traced};
use testkit::kubeadm::kubeconfig_with;
use testkit::live::valid;
use testkit::machine::Machine;
use testkit::pair::Pair;
use testkit::tree::Entry;

/// Where the kubelet keeps its certificates.
pub(crate) const KUBELET_PKI: &str = "/var/lib/kubelet/pki";
/// What an exporter serves, which is not kubeadm's.
pub(crate) const EXPORTER: &str = "/etc/exporter";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Course {
    /// `renew all`, which works.
    Renew,
    /// `rollback` of such a renewal, which works.
    PutBack,
    /// `renew all`, with an API server that does not get well with its new certificate.
    Undo,
    /// `recover`, after a `renew all` that was killed at this point.
    Recover(Point),
    /// `kubelet repair` of a client certificate that the kubelet should have renewed, which works.
    Repair,
    /// `ca extend all`, which works.
    Extend,
    /// `renew` of a certificate that is not kubeadm's and whose service is told, which works.
    Described,
}

impl Course {
    /// A wary API server gets well only with the certificate it has at the beginning.
    pub(crate) fn is_wary(&self) -> bool {
        *self == Self::Undo
    }

    /// Does what comes before on a node.
    pub(crate) fn prepare(&self, node: &mut Machine, authorities: &Node) {
        match self {
            Self::Renew | Self::Undo | Self::Extend => {}
            Self::Repair => overdue_kubelet(node, authorities),
            Self::Described => described(node, authorities),
            Self::PutBack => {
                let renewed = node.run(&["renew", "all"]);
                assert!(renewed.status.success(), "{renewed:?}");
                node.before = node.cluster();
            }
            Self::Recover(point) => {
                let run = Self::Renew.traced(node).run(point, "signal=SIGKILL");
                assert_eq!(run.end, End::Killed, "{}", run.printed);
            }
        }
        if self.is_apart() {
            node.before = everything(node);
        }
    }

    pub(crate) fn traced(&self, node: &Machine) -> Traced {
        let command = match self {
            Self::Renew | Self::Undo => node.command(&["renew", "all"]),
            Self::PutBack => {
                let kept = generations(&Store::new(&node.root)).unwrap();
                node.command(&["rollback", &kept[0].id])
            }
            Self::Recover(_) => node.command(&["recover"]),
            Self::Repair => node.command(&["kubelet", "repair"]),
            Self::Extend => node.command(&["ca", "extend", "all"]),
            Self::Described => node.command(&["renew", "exporter"]),
        };
        Traced {
            command,
            environment: Vec::new(),
            // The second is that of a configuration that cannot be read.
            refused: &[1, 78],
            has_threads: false,
        }
    }

    /// How many receipts there are before it.
    pub(crate) fn receipts_before(&self) -> usize {
        usize::from(*self == Self::PutBack)
    }

    /// Whether it is about other certificates than kubeadm's, whose pods go on.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self, Self::Repair | Self::Extend | Self::Described)
    }
}

/// Every file that such a course may change.
pub(crate) fn everything(node: &Machine) -> BTreeMap<String, Entry> {
    let mut entries = node.cluster();
    for directory in [KUBELET_PKI, EXPORTER] {
        if node.path(directory).exists() {
            entries.extend(node.entries(directory));
        }
    }
    entries
}

/// A systemd that does all it is told, in no time: a program that ends well whatever its arguments are.
fn obeying_systemctl(node: &Machine) {
    fs::copy("/bin/true", node.place("/bin/systemctl")).unwrap();
    // What it reads and writes to.
    node.write("/dev/null", "");
}

/// A client certificate nine tenths of whose life are over, in the kubelet's own layout.
fn overdue_kubelet(node: &Machine, authorities: &Node) {
    obeying_systemctl(node);
    let now = Timestamp::now();
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let leaf = NewLeaf {
        common_name: "system:node:cp1".to_owned(),
        organizations: vec!["system:nodes".to_owned()],
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    let validity = valid(now - days(28), now + days(2));
    let client = Pair::sign(&leaf, &authorities.ca, validity);
    let dated = format!("{KUBELET_PKI}/kubelet-client-2026-01-01-00-00-00.pem");
    private(&node.write(&dated, client.certificate_pem() + &client.key_pem()));
    let current = format!("{KUBELET_PKI}/kubelet-client-current.pem");
    node.link(&current, &dated);
    let server = node.read("/etc/kubernetes/admin.conf");
    let server = server
        .lines()
        .find_map(|line| line.trim().strip_prefix("server: https://"));
    let config = kubeconfig_with(
        &certificates_to_pem([authorities.ca.certificate()]),
        &format!("client-certificate: {current}\n    client-key: {current}"),
    );
    let config = config.replace("192.0.2.10:6443", server.unwrap());
    private(&node.write("/etc/kubernetes/kubelet.conf", config));
}

fn described(node: &Machine, authorities: &Node) {
    obeying_systemctl(node);
    let leaf = NewLeaf {
        common_name: "exporter".to_owned(),
        organizations: Vec::new(),
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    let now = Timestamp::now();
    let day = SignedDuration::from_hours(24);
    let pair = Pair::sign(&leaf, &authorities.ca, valid(now - day, now + day * 30));
    node.write(&format!("{EXPORTER}/client.crt"), pair.certificate_pem());
    private(&node.write(&format!("{EXPORTER}/client.key"), pair.key_pem()));
    let old = node.read("/etc/kubecertd/kubecertd.toml");
    node.write(
        "/etc/kubecertd/kubecertd.toml",
        format!(
            "{old}[certificate.exporter]\nfile = \"{EXPORTER}/client.crt\"\nkey = \"{EXPORTER}/client.key\"\n\
             issuer = \"ca\"\nunit = \"exporter.service\"\n"
        ),
    );
}

fn private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}
