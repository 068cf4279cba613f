//! The kubelet's client certificate while it is valid: when its renewal is overdue, and what is done about it.
#![allow(clippy::unwrap_used, clippy::panic)]

use kubecertd::config::{Config, Renewal};
use kubecertd::node::{
    CertificateId, CertificateState, ClientLink, Inventory, KeyState, Present, Signer,
};
use kubecertd::pki::AuthorityId;
use kubecertd::plan::{
    KubeletNeed, Note, Request, Rotation, RotationFault, kubelet_need, kubelet_repair, plan,
};
use testkit::inventory::{
    DAY, YEAR, after, authority_certificate, authority_state, now, present, present_mut,
    set_authority,
};

use crate::expired::{embedding, like, referring};

fn repair(node: &Inventory) -> KubeletNeed {
    kubelet_repair(node, &Renewal::default(), now())
}

fn notes(node: &Inventory, id: &CertificateId) -> Vec<Note> {
    let plan = plan(node, &Config::default(), &Request::Due, now()).unwrap();
    let item = plan.items.iter().find(|item| item.id == *id).unwrap();
    item.notes.clone()
}

/// Of a year, with so much of it left.
fn aged(node: &mut Inventory, id: &str, left: i64) {
    let leaf = &mut present_mut(node, id).leaf;
    leaf.not_before = after(left - YEAR);
    leaf.not_after = after(left);
}

#[test]
fn it_is_asked_for_between_seven_and_nine_tenths_of_a_life() {
    let Present { leaf, .. } = present(after(0), after(1000 * 3600));
    let rotation = Rotation::of(&leaf);
    assert_eq!(rotation.opens, after(700 * 3600));
    assert_eq!(rotation.closes, after(900 * 3600));
    // An answer may take its time.
    assert_eq!(rotation.overdue, after(901 * 3600));
    let Present { leaf, .. } = present(after(0), after(1000));
    assert_eq!(Rotation::of(&leaf).overdue, after(910));
}

#[test]
fn nothing_is_done_before_it_is_overdue_and_a_new_one_is_made_then() {
    for (left, need) in [
        (YEAR, KubeletNeed::Nothing),
        (YEAR / 10, KubeletNeed::Nothing),
        (YEAR / 10 - 2 * 3600, like("kubelet-client-current.pem")),
        (DAY, like("kubelet-client-current.pem")),
    ] {
        let mut node = referring(DAY);
        aged(&mut node, "kubelet.conf", left);
        aged(&mut node, "kubelet-client-current.pem", left);
        assert_eq!(repair(&node), need, "{left}");
        assert_eq!(kubelet_need(&node, now()), KubeletNeed::Nothing);
        let is_said = !notes(&node, &CertificateId::KubeletClient).is_empty();
        assert_eq!(is_said, need != KubeletNeed::Nothing, "{left}");
    }
    // What has ended comes first.
    let node = referring(-DAY);
    assert_eq!(repair(&node), kubelet_need(&node, now()));
}

#[test]
fn what_keeps_the_kubelet_from_it_is_said() {
    let mut node = referring(DAY);
    aged(&mut node, "kubelet-client-current.pem", DAY);
    let faults = |node: &Inventory| match &notes(node, &CertificateId::KubeletClient)[..] {
        [Note::RotationOverdue { faults, .. }] => faults.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(faults(&node), []);
    node.kubelet.rotate_certificates = false;
    node.kubelet_client = ClientLink::NoLink;
    let path = node
        .directories
        .kubelet_pki
        .join("kubelet-client-current.pem");
    assert_eq!(
        faults(&node),
        [RotationFault::SwitchedOff, RotationFault::NoLink { path }]
    );
}

/// As kubeadm before 1.17 left it, and as `kubeadm init phase kubeconfig kubelet` does when it is repeated.
#[test]
fn a_kubeconfig_that_holds_its_certificate_is_made_to_refer_to_the_current_one() {
    let mut node = embedding(30 * DAY, YEAR);
    aged(&mut node, "kubelet-client-current.pem", YEAR);
    assert_eq!(repair(&node), KubeletNeed::Reference);
    assert!(matches!(
        &notes(&node, &CertificateId::KubeletConfig)[..],
        [Note::HoldsItsCertificate { .. }]
    ));
    // Not to one that is of no use itself: then both are made new.
    aged(&mut node, "kubelet-client-current.pem", DAY);
    assert_eq!(repair(&node), like("kubelet-client-current.pem"));
    aged(&mut node, "kubelet-client-current.pem", -DAY);
    assert_eq!(repair(&node), like("kubelet-client-current.pem"));
    assert!(notes(&node, &CertificateId::KubeletConfig).is_empty());
    // The kubelet has not renewed it yet, and still may.
    node.entries.pop();
    aged(&mut node, "kubelet.conf", YEAR / 2);
    assert_eq!(repair(&node), KubeletNeed::Nothing);
    aged(&mut node, "kubelet.conf", DAY);
    assert_eq!(repair(&node), like("kubelet.conf"));
}

/// Left by an earlier join, or its kubelet.conf lies elsewhere.
#[test]
fn what_is_not_this_nodes_is_not_referred_to_and_what_is_not_there_needs_nothing() {
    let whole = || {
        let mut node = embedding(30 * DAY, YEAR);
        aged(&mut node, "kubelet-client-current.pem", YEAR);
        node
    };
    let mut node = whole();
    present_mut(&mut node, "kubelet-client-current.pem").signer =
        Signer::Foreign("another".to_owned());
    assert_eq!(repair(&node), KubeletNeed::Nothing);
    let mut node = whole();
    present_mut(&mut node, "kubelet-client-current.pem")
        .leaf
        .common_name = Some("system:node:other".to_owned());
    assert_eq!(repair(&node), KubeletNeed::Nothing);
    let mut node = whole();
    let config = CertificateId::KubeletConfig;
    let config = node.entries.iter_mut().find(|one| one.id == config);
    config.unwrap().state = CertificateState::Missing;
    assert_eq!(repair(&node), KubeletNeed::Nothing);
}

#[test]
fn one_that_would_end_no_later_is_not_made() {
    let mut node = referring(DAY);
    aged(&mut node, "kubelet.conf", DAY);
    aged(&mut node, "kubelet-client-current.pem", DAY);
    let authority = authority_certificate(after(-YEAR), after(DAY / 2));
    let key = KeyState::Matching(None);
    set_authority(
        &mut node,
        AuthorityId::Kubernetes,
        authority_state(vec![authority], key),
    );
    assert!(matches!(repair(&node), KubeletNeed::Impossible(_)));
    // Nor one with more groups than a node's.
    let mut node = referring(DAY);
    aged(&mut node, "kubelet-client-current.pem", DAY);
    present_mut(&mut node, "kubelet-client-current.pem")
        .leaf
        .organizations
        .push("system:masters".to_owned());
    assert!(matches!(repair(&node), KubeletNeed::Impossible(_)));
}

#[test]
fn what_no_kubelet_renews_is_left_to_whoever_does() {
    let mut node = referring(DAY);
    node.entries.pop();
    let config = node.entries.last_mut().unwrap();
    config.certificate_path = "/etc/pki/kubelet.pem".into();
    aged(&mut node, "kubelet.conf", DAY);
    assert_eq!(repair(&node), KubeletNeed::Nothing);
}
