//! `check-expiration` of whole nodes: kubeadm's table, JSON and YAML to the byte, and what is added to them.

// Helpers of tests are tests to us, though not to clippy.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

use jiff::Timestamp;
use kubecertd::config::Renewal;
use kubecertd::pki::certificates_to_pem;
use kubecertd::report::ExpirationInfo;
use testkit::Node;
use testkit::kubeadm::{days, leaf, made};

const DAY: Duration = Duration::from_secs(86_400);

fn info(tree: &Node, all: bool) -> ExpirationInfo {
    ExpirationInfo::new(&tree.observe(), made(), all)
}

/// The text with the temporary root taken out.
fn without_root(tree: &Node, text: &str) -> String {
    text.replace(&tree.root.directory().display().to_string(), "")
}

/// What kubeadm 1.36 prints a second after it made these; every line but the headers and the blank one ends in spaces.
const KUBEADM_TABLE: &str = "\
CERTIFICATE                  EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   EXTERNALLY MANAGED
admin.conf                   May 20, 2027 09:12 UTC   364d            ca                      no      |
apiserver                    May 20, 2027 09:12 UTC   364d            ca                      no      |
apiserver-etcd-client        May 20, 2027 09:12 UTC   364d            etcd-ca                 no      |
apiserver-kubelet-client     May 20, 2027 09:12 UTC   364d            ca                      no      |
controller-manager.conf      May 20, 2027 09:12 UTC   364d            ca                      no      |
etcd-healthcheck-client      May 20, 2027 09:12 UTC   364d            etcd-ca                 no      |
etcd-peer                    May 20, 2027 09:12 UTC   364d            etcd-ca                 no      |
etcd-server                  May 20, 2027 09:12 UTC   364d            etcd-ca                 no      |
front-proxy-client           May 20, 2027 09:12 UTC   364d            front-proxy-ca          yes     |
scheduler.conf               May 20, 2027 09:12 UTC   364d            ca                      no      |
!MISSING! super-admin.conf                                                                    |

CERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME   EXTERNALLY MANAGED
ca                      May 17, 2036 09:12 UTC   9y              no      |
etcd-ca                 May 17, 2036 09:12 UTC   9y              no      |
front-proxy-ca          May 17, 2036 09:12 UTC   9y              yes     |
";

fn joined_node() -> Node {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/etc/kubernetes/super-admin.conf");
    tree.remove("/etc/kubernetes/pki/front-proxy-ca.key");
    tree
}

#[test]
fn the_table_is_kubeadms() {
    let a_second_later = made() + jiff::SignedDuration::from_secs(1);
    let info = ExpirationInfo::new(&joined_node().observe(), a_second_later, false);
    assert_eq!(info.to_table(), KUBEADM_TABLE.replace('|', ""));
    // By its bytes: two columns of 29 and 25, then 16 and 24, and the last cell of eight.
    let lengths: Vec<usize> = info.to_table().lines().map(str::len).collect();
    let mut expected = vec![112];
    expected.extend([102; 10]);
    expected.extend([94, 0, 83, 73, 73, 73]);
    assert_eq!(lengths, expected);
    assert!(info.to_json().contains(
        r#"
            "name": "apiserver",
            "expirationDate": "2027-05-20T09:12:31Z",
            "residualTime": 31535999,
            "externallyManaged": false,
            "caName": "ca",
            "missing": false
"#
    ));
}

#[test]
fn json_is_kubeadms() {
    let json = info(&joined_node(), false).to_json();
    assert!(
        json.starts_with(
            r#"{
    "kind": "CertificateExpirationInfo",
    "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
    "certificates": [
        {
            "name": "admin.conf",
            "expirationDate": "2027-05-20T09:12:31Z",
            "residualTime": 31536000,
            "externallyManaged": false,
            "caName": "ca",
            "missing": false
        },
"#
        ),
        "{json}"
    );
    assert!(
        json.ends_with(
            r#"        {
            "name": "super-admin.conf",
            "expirationDate": null,
            "residualTime": 0,
            "externallyManaged": false,
            "missing": true
        }
    ],
    "certificateAuthorities": [
        {
            "name": "ca",
            "expirationDate": "2036-05-17T09:12:31Z",
            "residualTime": 315360000,
            "externallyManaged": false,
            "missing": false
        },
        {
            "name": "etcd-ca",
            "expirationDate": "2036-05-17T09:12:31Z",
            "residualTime": 315360000,
            "externallyManaged": false,
            "missing": false
        },
        {
            "name": "front-proxy-ca",
            "expirationDate": "2036-05-17T09:12:31Z",
            "residualTime": 315360000,
            "externallyManaged": true,
            "missing": false
        }
    ]
}
"#
        ),
        "{json}"
    );
}

#[test]
fn yaml_is_kubeadms() {
    let yaml = info(&joined_node(), false).to_yaml();
    assert!(
        yaml.starts_with(
            "\
apiVersion: output.kubeadm.k8s.io/v1alpha3
certificateAuthorities:
- expirationDate: \"2036-05-17T09:12:31Z\"
  externallyManaged: false
  missing: false
  name: ca
  residualTime: 315360000
"
        ),
        "{yaml}"
    );
    assert!(
        yaml.ends_with(
            "\
- caName: ca
  expirationDate: \"2027-05-20T09:12:31Z\"
  externallyManaged: false
  missing: false
  name: scheduler.conf
  residualTime: 31536000
- expirationDate: null
  externallyManaged: false
  missing: true
  name: super-admin.conf
  residualTime: 0
kind: CertificateExpirationInfo
"
        ),
        "{yaml}"
    );
    assert_same_as_json(&info(&joined_node(), true));
}

/// What is written as YAML is what is written as JSON.
fn assert_same_as_json(info: &ExpirationInfo) {
    let json: serde_json::Value = serde_json::from_str(&info.to_json()).unwrap();
    let yaml: serde_json::Value = serde_saphyr::from_str(&info.to_yaml()).unwrap();
    assert_eq!(yaml, json);
}

#[test]
fn expired_and_external_etcd() {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/etc/kubernetes/manifests");
    tree.remove("/etc/kubernetes/pki/etcd");
    tree.remove("/etc/kubernetes/super-admin.conf");
    std::fs::create_dir(tree.path("/etc/kubernetes/manifests")).unwrap();
    tree.write_leaf("apiserver", &leaf(&tree.ca, "kube-apiserver", 1));
    let info = ExpirationInfo::new(&tree.observe(), made() + days(2), false);
    assert_eq!(
        info.to_table(),
        "\
CERTIFICATE                  EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   EXTERNALLY MANAGED
admin.conf                   May 20, 2027 09:12 UTC   363d            ca                      no      |
apiserver                    May 21, 2026 09:12 UTC   <invalid>       ca                      no      |
apiserver-kubelet-client     May 20, 2027 09:12 UTC   363d            ca                      no      |
controller-manager.conf      May 20, 2027 09:12 UTC   363d            ca                      no      |
front-proxy-client           May 20, 2027 09:12 UTC   363d            front-proxy-ca          no      |
scheduler.conf               May 20, 2027 09:12 UTC   363d            ca                      no      |
!MISSING! super-admin.conf                                                                    |

CERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME   EXTERNALLY MANAGED
ca                      May 17, 2036 09:12 UTC   9y              no      |
front-proxy-ca          May 17, 2036 09:12 UTC   9y              no      |
"
        .replace('|', "")
    );
    assert!(info.to_json().contains("\"residualTime\": -86400,"));
}

#[test]
fn what_cannot_be_read_is_a_row_and_a_line() {
    let tree = Node::as_kubeadm_made_it();
    tree.write_pki("apiserver.crt", "");
    tree.write_pki("front-proxy-ca.crt", "x");
    tree.remove("/etc/kubernetes/pki/etcd/ca.crt");
    tree.write_pki("etcd/peer.key", leaf(&tree.ca, "x", 1).key_pem());
    tree.write("/etc/kubernetes/manifests/x", "kind: X\n");
    let info = info(&tree, false);
    let table = without_root(&tree, &info.to_table());
    let (rows, problems) = table.split_once("\nPROBLEMS\n").unwrap();
    let width = rows.lines().next().unwrap().find("EXTERNALLY").unwrap();
    assert!(
        rows.contains(&format!("\n{:width$}\n", "!UNREADABLE! apiserver")),
        "{rows}"
    );
    assert!(rows.contains("\n!UNREADABLE! front-proxy-ca"), "{rows}");
    assert!(rows.contains("\n!MISSING! etcd-ca"), "{rows}");
    assert_eq!(
        problems,
        "\
/etc/kubernetes/pki/apiserver.crt: is empty; restore it from a backup, or remove it and make it again with kubeadm
/etc/kubernetes/pki/etcd/peer.key: the key does not belong to the certificate; restore both from one backup, or renew
/etc/kubernetes/pki/front-proxy-ca.crt: holds no PEM block CERTIFICATE; restore it from a backup
/etc/kubernetes/manifests/x: not a Pod: kind is \"X\" and not \"Pod\"; the kubelet tries to run every file of this \
directory as a pod, so move it elsewhere or repair it
"
    );
    let json: serde_json::Value = serde_json::from_str(&info.to_json()).unwrap();
    assert_eq!(json["certificates"][1]["name"], "apiserver");
    assert_eq!(json["certificates"][1]["missing"], false);
    assert!(
        json["certificates"][1]["error"]
            .as_str()
            .unwrap()
            .contains("is empty")
    );
    assert_eq!(json["problems"].as_array().unwrap().len(), 4);
    assert_same_as_json(&info);
}

#[test]
fn all_adds_a_table() {
    let tree = Node::as_kubeadm_made_it();
    let short = testkit::kubeadm::authority("Corporate CA");
    let hook = leaf(&short, "hook", 30);
    tree.write_pki("hook.crt", hook.certificate_pem());
    tree.write_pki("damaged.crt", "");
    // A chain that ends before its leaf.
    let ends = leaf(&tree.ca, "ends-early", 10);
    let server = leaf(&tree.ca, "kube-apiserver", 365);
    tree.write_pki(
        "apiserver.crt",
        certificates_to_pem([&server.certificate, &ends.certificate]),
    );
    tree.write_pki("apiserver.key", server.key_pem());
    let info = info(&tree, true);
    let table = without_root(&tree, &info.to_table());
    let added = table.split("\n\n").nth(2).unwrap();
    assert_eq!(
        added,
        "\
NAME                         EXPIRES                  EFFECTIVE                RESIDUAL TIME   SIGNED BY         PATH
apiserver                    May 20, 2027 09:12 UTC   May 30, 2026 09:12 UTC   10d             ca                /etc/kubernetes/pki/apiserver.crt
kubelet.conf                 May 20, 2027 09:12 UTC   -                        365d            ca                /etc/kubernetes/kubelet.conf
kubelet-client-current.pem   May 20, 2027 09:12 UTC   -                        365d            ca                /var/lib/kubelet/pki/kubelet-client-current.pem
kubelet.crt                  May 20, 2027 09:12 UTC   -                        365d            itself            /var/lib/kubelet/pki/kubelet.crt
!UNREADABLE! damaged.crt                                                                                         /etc/kubernetes/pki/damaged.crt
hook.crt                     Jun 19, 2026 09:12 UTC   -                        30d             CN=Corporate CA   /etc/kubernetes/pki/hook.crt"
    );
    let json: serde_json::Value = serde_json::from_str(&info.to_json()).unwrap();
    assert_eq!(
        json["certificates"][1]["expirationDate"],
        "2027-05-20T09:12:31Z"
    );
    assert_eq!(
        json["certificates"][1]["effectiveExpirationDate"],
        "2026-05-30T09:12:31Z"
    );
    let hook = &json["otherCertificates"][4];
    assert_eq!(hook["name"], "hook.crt");
    assert_eq!(hook["signedBy"], "CN=Corporate CA");
    assert_eq!(hook["missing"], false);
    assert_same_as_json(&info);
}

#[test]
fn the_end_of_what_is_left_alone_is_not_told_unless_it_is_kubeadms() {
    let tree = joined_node();
    tree.write_leaf("hook", &leaf(&tree.ca, "hook", 3));
    tree.write_leaf("etcd/peer", &leaf(&tree.etcd_ca, "node-1", 3));
    let mut renewal = Renewal::default();
    let due = |renewal: &Renewal| -> Vec<String> {
        let answer = info(&tree, true)
            .leaving(renewal)
            .due_within(4 * DAY, made());
        answer.due.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(due(&renewal), ["etcd-peer", "hook.crt"]);
    renewal.skip = ["hook.crt", "etcd-peer"].map(str::to_owned).into();
    assert_eq!(due(&renewal), ["etcd-peer"]);
}

#[test]
fn within_tells_what_is_due() {
    let tree = joined_node();
    let now = made();
    let answer = info(&tree, false).due_within(30 * DAY, now);
    assert_eq!(answer.exit_code(), 0, "{answer:?}");

    tree.write_leaf("etcd/peer", &leaf(&tree.etcd_ca, "node-1", 30));
    let answer = info(&tree, false).due_within(30 * DAY, now);
    assert_eq!(answer.due, [("etcd-peer".to_owned(), now + days(30))]);
    assert_eq!(answer.exit_code(), 1);
    assert_eq!(
        info(&tree, false)
            .due_within(30 * DAY - Duration::from_secs(1), now)
            .exit_code(),
        0
    );

    // Expired counts, and the authorities do.
    let late = now + days(3649);
    let answer = ExpirationInfo::new(&tree.observe(), late, false).due_within(DAY, late);
    assert_eq!(answer.due.len(), 10 + 3);
    assert_eq!(answer.due[0].0, "etcd-peer");

    // The kubelet's only with `all`.
    tree.write(
        "/etc/kubernetes/kubelet.conf",
        tree.kubeconfig_of(&leaf(&tree.ca, "system:node:node-1", 3)),
    );
    assert_eq!(info(&tree, false).due_within(4 * DAY, now).exit_code(), 0);
    assert_eq!(
        info(&tree, true).due_within(4 * DAY, now).due,
        [("kubelet.conf".to_owned(), now + days(3))]
    );

    // What nobody can read or find counts first.
    tree.remove("/etc/kubernetes/admin.conf");
    tree.write_pki("etcd/ca.crt", "");
    let answer = info(&tree, false).due_within(30 * DAY, now);
    assert_eq!(answer.exit_code(), 2);
    let names: Vec<&str> = answer
        .unreadable
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["admin.conf", "etcd-ca"]);
    assert!(
        answer.unreadable[0]
            .1
            .ends_with("/etc/kubernetes/admin.conf does not exist")
    );
    assert_eq!(answer.due.len(), 1);

    let forever = info(&tree, false).due_within(Duration::MAX, Timestamp::MAX);
    assert_eq!(forever.exit_code(), 2);
}
