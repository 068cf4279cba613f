//! A signer that is asked by the certificates API: what is asked, what may come back, and what must not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::said;

use crate::signer::{Api, CLIENT, OWN, Signs, refusal};

fn seconds_until_asked_again(contact: &Value) -> i64 {
    let moment = |key: &str| contact[key].as_str().unwrap().parse::<Timestamp>().unwrap();
    let left = moment("askAgain").duration_since(moment("asked"));
    left.as_secs()
}

#[test]
fn what_is_approved_here_is_asked_for_and_in_place_in_one_pass() {
    let api = Api::start();
    api.configure(CLIENT, "\"controller-manager.conf\"", "approve = true\n");
    let before = api.serial();
    let said = said(&api.node.run(&["run", "--once"]));
    assert_ne!(api.serial(), before, "{said}");
    assert!(said.contains("; the issuer api is asked"), "{said}");
    let names = api.names();
    assert_eq!(names.len(), 1, "{names:?}");
    let request = api.stored().requests[&names[0]].clone();
    assert!(
        names[0].starts_with("kubecertd-controller-manager.conf-"),
        "{names:?}"
    );
    let spec = &request["spec"];
    assert_eq!(spec["signerName"], CLIENT);
    assert_eq!(
        spec["usages"],
        json!(["digital signature", "key encipherment", "client auth"])
    );
    assert_eq!(spec["expirationSeconds"], 31_536_000);
    let approval = &request["status"]["conditions"][0];
    assert_eq!(
        (&approval["type"], &approval["reason"]),
        (&json!("Approved"), &json!("KubecertdOwnRequest"))
    );
    let annotations = &request["metadata"]["annotations"];
    assert_eq!(
        annotations["kubecertd.io/certificate"],
        "controller-manager.conf"
    );
    // Nothing is left of it here, and the others were signed with the key on this node.
    let orders = std::fs::read_dir(api.node.path(crate::away::ORDERS)).unwrap();
    assert_eq!(orders.count(), 0);
    let ends = api.node.certificate("scheduler.conf").not_after;
    assert!(ends.duration_since(Timestamp::now()).as_hours() > 24 * 300);
}

#[test]
fn an_answer_that_comes_later_is_fetched_by_the_next_process_for_the_same_request() {
    let api = Api::start();
    api.configure(OWN, "\"controller-manager.conf\"", "");
    let before = api.serial();
    let told = api.renew();
    assert_eq!(api.serial(), before, "{told}");
    let name = api.names().remove(0);
    let waits =
        format!("waiting for the answer of the issuer api to the CertificateSigningRequest {name}");
    let plan = said(&api.node.run(&["plan"]));
    assert!(plan.contains(&waits), "{plan}");
    assert_eq!(seconds_until_asked_again(&api.contact()), 60);
    let signed = api.stored().requests[&name]["status"]["certificate"].clone();
    assert!(signed.is_null(), "it was never approved");

    api.stored().approves = true;
    let told = api.renew();
    assert_ne!(api.serial(), before, "{told}");
    assert_eq!(api.made(), 1);
}

#[test]
fn a_request_whose_answer_was_lost_is_found_again() {
    let api = Api::start();
    let before = api.serial();
    api.stored().loses_answers = true;
    let told = api.renew();
    assert!(told.contains("cannot do it now"), "{told}");
    assert_eq!(api.names(), [api.first_name()]);
    api.stored().loses_answers = false;
    let told = api.renew();
    assert_ne!(api.serial(), before, "{told}");
    assert_eq!(api.names().len(), 1, "no second one was made");
}

#[test]
fn what_is_not_what_was_asked_for_is_not_put_in_place_and_asked_for_anew() {
    for (signs, why) in [
        (
            Signs::OtherSubject,
            "lacks what the old one had: the subject",
        ),
        (Signs::OtherKey, "its answer is for another key"),
        (
            Signs::OtherAuthority,
            "not signed by an authority that its users trust",
        ),
        (Signs::Short, "not later than the old one"),
        (Signs::Nonsense, "no PEM block CERTIFICATE"),
        (Signs::Fails, "was failed (Played): as the test says"),
    ] {
        let api = Api::start();
        let before = api.serial();
        api.stored().signs = signs;
        let told = api.renew();
        let seen = format!("{told}{}", said(&api.node.run(&["orders"])));
        assert!(seen.contains(why), "{why}: {seen}");
        assert_eq!(api.serial(), before, "{why}");
        // It is not asked again at once, and then by another request.
        said(&api.node.run(&["run", "--once"]));
        assert_eq!(api.made(), 1, "{why}: {:?}", api.contact());
        assert!(seconds_until_asked_again(&api.contact()) >= 60);
        api.stored().signs = Signs::Well;
        let told = api.renew();
        assert_ne!(api.serial(), before, "{why}: {told}");
        let names = api.names();
        assert!(names.len() == 2 && names[1].ends_with("-2"), "{names:?}");
    }
}

#[test]
fn a_denial_is_said_and_asked_about_anew_only_after_an_hour() {
    let api = Api::start();
    api.configure(OWN, "\"controller-manager.conf\"", "");
    let before = api.serial();
    api.stored().denies = true;
    api.stored().approves = true;
    let told = api.renew();
    let name = api.names().remove(0);
    let why = format!("the CertificateSigningRequest {name} was denied (Played): as the test says");
    assert!(told.contains(&why), "{told}");
    assert_eq!(api.serial(), before, "what came with it counts for nothing");
    assert_eq!(seconds_until_asked_again(&api.contact()), 3600);
}

#[test]
fn one_that_is_deleted_is_made_anew_so_many_times_and_no_more() {
    let api = Api::start();
    api.stored().signs = Signs::Never;
    api.configure(OWN, "\"controller-manager.conf\"", "approve = true\n");
    let mut pauses = Vec::new();
    for _ in 0..30 {
        // One pass makes it; in the next it is gone.
        api.stored().no_decision = Some(refusal(403, ""));
        api.renew();
        api.stored().requests.clear();
        api.renew();
        pauses.push(seconds_until_asked_again(&api.contact()));
    }
    assert_eq!(api.made(), 24);
    assert_eq!(pauses[..3], [60, 120, 240]);
    assert_eq!(pauses[20], 21_600, "{pauses:?}");
    let orders = said(&api.node.run(&["orders"]));
    assert!(
        orders.contains("was asked 24 times without an answer of use"),
        "{orders}"
    );
    // Whoever has seen why begins anew.
    said(
        &api.node
            .run(&["orders", "cancel", "controller-manager.conf"]),
    );
    let before = api.serial();
    let mut stored = api.stored();
    (stored.signs, stored.no_decision) = (Signs::Well, None);
    drop(stored);
    let told = api.renew();
    assert_ne!(api.serial(), before, "{told}");
}

#[test]
fn one_that_another_put_in_its_place_counts_for_nothing() {
    let api = Api::start();
    api.configure(OWN, "\"controller-manager.conf\"", "");
    api.renew();
    let name = api.names().remove(0);
    let before = api.serial();
    // The same words, by whoever read and deleted it; approved and signed.
    let copy = api.stored().requests[&name].clone();
    api.stored().put(&name, copy);
    api.stored().approves = true;
    let told = api.renew();
    assert!(
        told.contains("was deleted before it was answered"),
        "{told}"
    );
    assert_eq!(api.serial(), before);
    api.renew();
    assert_ne!(api.serial(), before);
    assert!(api.names().iter().any(|name| name.ends_with("-2")));
}

#[test]
fn a_name_that_is_taken_by_another_request_is_left() {
    let api = Api::start();
    api.configure(OWN, "\"controller-manager.conf\"", "approve = true\n");
    let before = api.serial();
    api.stored().instead = Some(refusal(500, ""));
    api.renew();
    api.stored().instead = None;
    // Even if somebody could tell the name.
    let name = api.first_name();
    let other = json!({"spec": {
        "request": "eA==", "signerName": OWN, "expirationSeconds": 31_536_000,
        "usages": ["digital signature", "key encipherment", "client auth"],
    }});
    api.stored().put(&name, other);
    let told = api.renew();
    assert!(told.contains("is not what was asked for here"), "{told}");
    let approved = &api.stored().requests[&name]["status"].clone();
    assert_eq!(*approved, json!({}), "nobody approves another's request");
    api.renew();
    assert_ne!(api.serial(), before);
}

#[test]
fn an_api_that_does_not_do_it_is_said_and_asked_again_when_it_may() {
    for (code, header, why, pause) in [
        (429, "Retry-After: 77\r\n", "cannot do it now", 77),
        (429, "Retry-After: 0\r\n", "cannot do it now", 5),
        (429, "Retry-After: 99999999\r\n", "cannot do it now", 3600),
        (429, "Retry-After: soon\r\n", "cannot do it now", 60),
        (500, "", "cannot do it now", 60),
        (401, "", "does not accept the credential", 60),
        (403, "", "does not permit it", 60),
        (404, "", "has no such object", 60),
        (409, "", "another write was before this one", 60),
        (422, "", "refuses what it was sent", 60),
    ] {
        let api = Api::start();
        let before = api.serial();
        api.stored().instead = Some(refusal(code, header));
        let told = api.renew();
        assert!(told.contains(why), "{code} {header}: {told}");
        assert_eq!(
            seconds_until_asked_again(&api.contact()),
            pause,
            "{code} {header}"
        );
        assert_eq!(api.serial(), before);
        let asked = api.stored().asked.len();
        said(&api.node.run(&["run", "--once"]));
        assert_eq!(api.stored().asked.len(), asked, "{code}: not before that");
        api.stored().instead = None;
        let told = api.renew();
        assert_ne!(api.serial(), before, "{code}: {told}");
    }
}

#[test]
fn one_that_hangs_holds_nothing_up_and_the_other_requests_are_not_asked_about() {
    let api = Api::start();
    let both = "\"controller-manager.conf\", \"scheduler.conf\"";
    api.configure(CLIENT, both, "approve = true\n");
    api.stored().silent = true;
    let before = api.serial();
    let told = said(&api.node.run(&["run", "--once"]));
    assert!(told.contains("does not answer"), "{told}");
    assert_eq!(
        api.stored().asked.len(),
        1,
        "of the second the same is known"
    );
    // What is signed here is.
    let ends = api.node.certificate("apiserver").not_after;
    assert!(
        ends.duration_since(Timestamp::now()).as_hours() > 24 * 300,
        "{told}"
    );
    api.stored().silent = false;
    let told = said(
        &api.node
            .run(&["renew", "controller-manager.conf", "scheduler.conf"]),
    );
    assert_ne!(api.serial(), before, "{told}");
}

#[test]
fn a_credential_that_may_not_approve_is_told_and_a_person_can() {
    let api = Api::start();
    let before = api.serial();
    api.stored().no_decision = Some(refusal(403, ""));
    let told = api.renew();
    assert!(
        told.contains("may not be approved by this credential"),
        "{told}"
    );
    assert!(
        told.contains("kubectl certificate approve kubecertd-controller-manager.conf-"),
        "{told}"
    );
    api.stored().approves = true;
    let told = api.renew();
    assert_ne!(api.serial(), before, "{told}");
    assert_eq!(api.made(), 1);
}

#[test]
fn what_a_signer_of_kubernetes_cannot_sign_is_refused_before_it_is_asked() {
    let api = Api::start();
    for (certificate, why) in [
        (
            "apiserver",
            "it is for digital signature, key encipherment, server auth",
        ),
        ("super-admin.conf", "system:masters"),
        ("etcd-server", "etcd-ca signs it"),
        ("front-proxy-client", "front-proxy-ca signs it"),
    ] {
        api.configure(CLIENT, &format!("{certificate:?}"), "approve = true\n");
        let before = api.node.serial(certificate);
        let output = api.node.run(&["renew", certificate]);
        assert_eq!(output.status.code(), Some(1));
        let told = said(&output);
        assert!(told.contains(why), "{certificate}: {told}");
        assert!(
            told.contains("[issuer.api] gives it to kubernetes.io/kube-apiserver-client"),
            "{told}"
        );
        let plan = said(&api.node.run(&["plan", "-o", "json"]));
        assert!(plan.contains("not-of-signer"), "{plan}");
        assert_eq!(api.node.serial(certificate), before);
    }
    assert!(api.stored().asked.is_empty(), "{:?}", api.stored().asked);
}

#[test]
fn where_the_key_is_elsewhere_the_rest_is_asked_for_by_files() {
    let api = Api::start();
    std::fs::remove_file(api.node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let before = api.serial();
    let told = said(&api.node.run(&["run", "--once"]));
    assert_ne!(api.serial(), before, "{told}");
    let outbox = std::fs::read_dir(api.node.path(crate::away::OUTBOX)).unwrap();
    assert_eq!(outbox.count(), crate::away::BY_CA.len() - 1);
    assert_eq!(api.names().len(), 1);
}
