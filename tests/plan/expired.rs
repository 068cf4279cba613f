//! Whether expired certificates have stopped a node, and what its kubelet needs: decided from values.
#![allow(clippy::unwrap_used, clippy::panic)]

use kubecertd::config::Config;
use kubecertd::node::{
    AuthorityState, CertificateId, CertificateState, Entry, Fault, Inventory, KeyState, Present,
    Problem, Signer,
};
use kubecertd::pki::AuthorityId;
use kubecertd::plan::{
    Action, KubeletNeed, Reachability, Request, expired, is_node_down, kubelet_need, plan,
};
use testkit::inventory::{
    DAY, YEAR, after, authority_certificate, authority_state, node, now, present, present_mut,
    set_authority,
};
use testkit::loopback::ids;

const CONFIG: &str = "/etc/kubernetes/kubelet.conf";
const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

const ALIVE: Reachability = Reachability {
    kubelet: true,
    api_server: true,
};
const DOWN: Reachability = Reachability {
    kubelet: false,
    api_server: false,
};

fn of_a_node(not_after: i64) -> Present {
    let mut present = present(after(-YEAR), after(not_after));
    present.leaf.common_name = Some("system:node:cp".to_owned());
    present.leaf.organizations = vec!["system:nodes".to_owned()];
    present
}

fn entry(id: CertificateId, path: &str, certificate: &str, state: Present) -> Entry {
    Entry {
        id,
        path: path.into(),
        certificate_path: certificate.into(),
        key_path: Some(certificate.into()),
        authority: Some(AuthorityId::Kubernetes),
        state: CertificateState::Present(Box::new(state)),
        described: None,
    }
}

/// A node whose kubelet.conf refers to the rotated certificate.
pub(crate) fn referring(not_after: i64) -> Inventory {
    let mut node = node();
    let state = of_a_node(not_after);
    node.entries.push(entry(
        CertificateId::KubeletConfig,
        CONFIG,
        CURRENT,
        state.clone(),
    ));
    node.entries
        .push(entry(CertificateId::KubeletClient, CURRENT, CURRENT, state));
    node
}

/// A node whose kubelet.conf holds its certificate itself, and what the kubelet has rotated.
pub(crate) fn embedding(embedded: i64, rotated: i64) -> Inventory {
    let mut node = referring(rotated);
    let config = entry(
        CertificateId::KubeletConfig,
        CONFIG,
        CONFIG,
        of_a_node(embedded),
    );
    let position = node.entries.len() - 2;
    node.entries[position] = config;
    node
}

pub(crate) fn like(name: &str) -> KubeletNeed {
    KubeletNeed::Certificate { like: name.into() }
}

#[test]
fn the_kubelet_needs_what_it_could_not_start_without() {
    assert_eq!(kubelet_need(&node(), now()), KubeletNeed::Nothing);
    assert_eq!(kubelet_need(&referring(DAY), now()), KubeletNeed::Nothing);
    assert_eq!(
        kubelet_need(&referring(-DAY), now()),
        like("kubelet-client-current.pem")
    );
    assert_eq!(
        kubelet_need(&embedding(-DAY, DAY), now()),
        KubeletNeed::Reference
    );
    assert_eq!(
        kubelet_need(&embedding(DAY, -DAY), now()),
        KubeletNeed::Nothing
    );
    assert_eq!(
        kubelet_need(&embedding(-DAY, -DAY), now()),
        like("kubelet-client-current.pem")
    );
    let mut never_rotated = embedding(-DAY, -DAY);
    never_rotated.entries.pop();
    assert_eq!(kubelet_need(&never_rotated, now()), like("kubelet.conf"));
}

#[test]
fn a_certificate_without_its_key_is_of_no_use() {
    let mut node = referring(DAY);
    present_mut(&mut node, "kubelet.conf").key = KeyState::Mismatched;
    assert_eq!(
        kubelet_need(&node, now()),
        like("kubelet-client-current.pem")
    );
}

#[test]
fn what_cannot_be_made_here_is_said_with_what_to_do() {
    let impossible = |node: &Inventory, parts: &[&str]| {
        let KubeletNeed::Impossible(reason) = kubelet_need(node, now()) else {
            panic!("{:?}", kubelet_need(node, now()));
        };
        for part in parts {
            assert!(reason.contains(part), "{part:?} in {reason}");
        }
    };
    let ca = |key: KeyState, not_after: i64| {
        authority_state(
            vec![authority_certificate(after(-YEAR), after(not_after))],
            key,
        )
    };
    let instead = "kubeadm kubeconfig user --org system:nodes --client-name system:node:cp";
    let mut node = referring(-DAY);
    let state = ca(KeyState::Missing, YEAR);
    set_authority(&mut node, AuthorityId::Kubernetes, state);
    impossible(&node, &["ca.key is not on this node", instead]);
    let state = ca(KeyState::Mismatched, YEAR);
    set_authority(&mut node, AuthorityId::Kubernetes, state);
    impossible(&node, &["ca.key is not the key of", instead]);
    let state = ca(KeyState::Matching(None), -DAY);
    set_authority(&mut node, AuthorityId::Kubernetes, state);
    impossible(&node, &["is not valid now", "extend the CA first"]);

    let mut foreign = referring(-DAY);
    for name in ["kubelet.conf", "kubelet-client-current.pem"] {
        present_mut(&mut foreign, name).signer = Signer::Foreign("CN=corporate".into());
    }
    impossible(&foreign, &["the CA of this node did not sign it"]);
    let mut another = referring(-DAY);
    for name in ["kubelet.conf", "kubelet-client-current.pem"] {
        present_mut(&mut another, name).leaf.organizations = vec!["system:masters".into()];
    }
    impossible(&another, &["is not the name of a node"]);
    let mut unreadable = referring(-DAY);
    unreadable.entries.pop();
    unreadable.entries.last_mut().unwrap().state = CertificateState::Unreadable(Problem {
        path: CURRENT.into(),
        fault: Fault::CannotBeRead {
            reason: "does not exist".into(),
        },
    });
    impossible(
        &unreadable,
        &[CURRENT, "does not exist", "kubeadm kubeconfig user"],
    );
}

#[test]
fn what_is_not_valid_yet_stops_a_node_as_well() {
    let mut node = referring(DAY);
    present_mut(&mut node, "etcd-peer").leaf.not_before = after(DAY);
    assert_eq!(expired(&node, now()), ids(&["etcd-peer"]));
    assert!(is_node_down(&node, DOWN, now()));
    // Two clocks may differ a little.
    present_mut(&mut node, "etcd-peer").leaf.not_before = after(300);
    assert_eq!(expired(&node, now()), []);
}

#[test]
fn a_node_is_node_down_when_something_essential_has_expired_and_somebody_does_not_answer() {
    let stopped = |node: &Inventory, reachability| is_node_down(node, reachability, now());
    let mut node = referring(DAY);
    assert!(!stopped(&node, DOWN), "nothing has expired");
    present_mut(&mut node, "admin.conf").leaf.not_after = after(-DAY);
    assert_eq!(expired(&node, now()), ids(&["admin.conf"]));
    assert!(!stopped(&node, DOWN), "nobody is stopped by admin.conf");
    for essential in [
        "apiserver",
        "apiserver-etcd-client",
        "etcd-server",
        "etcd-peer",
    ] {
        let mut node = referring(DAY);
        present_mut(&mut node, essential).leaf.not_after = after(-DAY);
        assert!(stopped(&node, DOWN), "{essential}");
        assert!(!stopped(&node, ALIVE), "{essential}");
    }
    let kubelet = referring(-DAY);
    assert_eq!(
        expired(&kubelet, now()),
        [CertificateId::KubeletConfig, CertificateId::KubeletClient]
    );
    assert!(!stopped(&kubelet, ALIVE));
    for reachability in [
        Reachability {
            kubelet: false,
            ..ALIVE
        },
        Reachability {
            api_server: false,
            ..ALIVE
        },
    ] {
        assert!(stopped(&kubelet, reachability));
        assert!(stopped(&embedding(-DAY, DAY), reachability));
    }
    let mut helpless = referring(-DAY);
    set_authority(
        &mut helpless,
        AuthorityId::Kubernetes,
        AuthorityState::Missing,
    );
    assert!(!stopped(&helpless, DOWN), "nothing could be done about it");
}

#[test]
fn by_hand_only_what_is_due_or_has_expired_is_renewed_and_watching_only_is_no_obstacle() {
    let mut node = referring(-DAY);
    present_mut(&mut node, "apiserver").leaf.not_after = after(-DAY);
    present_mut(&mut node, "etcd-peer").leaf.not_after = after(DAY);
    let mut config = Config::default();
    config.renewal.enabled = false;
    let renewed = |request: &Request| -> Vec<String> {
        let plan = plan(&node, &config, request, now()).unwrap();
        let items = plan.items.into_iter();
        items
            .filter(|item| matches!(item.action, Action::Renew(_)))
            .map(|item| item.id.to_string())
            .collect()
    };
    assert_eq!(
        renewed(&Request::DueByHand { force: false }),
        ["apiserver", "etcd-peer"]
    );
    assert!(renewed(&Request::Due).is_empty());
}
