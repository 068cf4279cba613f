use serde_json::{Value, json};

use super::*;

fn order() -> OpenOrder {
    OpenOrder {
        id: "Admin.conf-01234567".to_owned(),
        certificate: "admin.conf".into(),
        since: jiff::Timestamp::UNIX_EPOCH,
        public_key: "0123456789abcdef00".to_owned(),
        asks_for: String::new(),
        follows: String::new(),
    }
}

const WANTED: NewSigningRequest<'static> = NewSigningRequest {
    name: "one",
    annotations: &[],
    signer: "example.com/own",
    text: "pem",
    usages: &["digital signature", "client auth"],
    seconds: 600,
};

fn object(status: Value) -> SigningRequestObject {
    serde_json::from_value(json!({
        "metadata": {"name": "one", "uid": "u-1"},
        "spec": {
            "request": "cGVt", "signerName": "example.com/own", "expirationSeconds": 600,
            "usages": ["digital signature", "client auth"], "username": "x",
        },
        "status": status,
    }))
    .unwrap()
}

#[test]
fn a_token_is_read_back_and_anything_else_begins_anew() {
    let uid = "6f0c2b1e-0000-4000-8000-000000000001".to_owned();
    for state in [
        SigningState::Next(7),
        SigningState::Open { attempt: 3, uid },
    ] {
        assert_eq!(SigningState::of(Some(&state.token())), state);
    }
    for token in [
        None,
        Some(""),
        Some("0 next"),
        Some("-1 next"),
        Some("1 open"),
        Some("1 open a/b"),
        Some("1 open a b"),
        Some("x open u"),
        Some("token of a program"),
        Some("5000000000 next"),
    ] {
        assert_eq!(SigningState::of(token), SigningState::Next(1), "{token:?}");
    }
    let open = SigningState::Open {
        attempt: 2,
        uid: "u".to_owned(),
    };
    assert_eq!(open.after(), SigningState::Next(3));
    assert_eq!(
        SigningState::Next(u32::MAX).after(),
        SigningState::Next(u32::MAX)
    );
}

#[test]
fn the_name_has_what_nobody_else_knows_before_and_the_attempt() {
    assert_eq!(
        request_name(&order(), 2),
        "kubecertd-admin.conf-0123456789abcdef-2"
    );
    assert_eq!(SigningState::Next(2).open_name(&order()), None);
    let open = SigningState::Open {
        attempt: 2,
        uid: "u".to_owned(),
    };
    assert_eq!(open.open_name(&order()).unwrap(), request_name(&order(), 2));
}

#[test]
fn progress_is_what_the_object_says() {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "R\u{1b}[2J", "message": "m"});
    let ended = |how: &str| Progress::Ended(format!("{how} (R\\u001b[2J): m"));
    let long = vec![b'x'; LONGEST_ANSWER + 1];
    for (status, expected) in [
        (json!(null), Progress::Pending),
        (json!({}), Progress::Pending),
        (
            json!({"conditions": [condition("Approved")]}),
            Progress::Approved,
        ),
        (
            json!({"conditions": [condition("Approved")], "certificate": ""}),
            Progress::Approved,
        ),
        (
            json!({"conditions": [condition("Approved")], "certificate": "eA=="}),
            Progress::Issued(b"x".to_vec()),
        ),
        (
            json!({"conditions": [condition("Denied")]}),
            ended("denied"),
        ),
        (
            json!({"conditions": [condition("Approved"), condition("Failed")]}),
            ended("failed"),
        ),
        // One that was denied counts no more, whatever came.
        (
            json!({"conditions": [condition("Denied")], "certificate": "eA=="}),
            ended("denied"),
        ),
    ] {
        assert_eq!(
            Progress::of(&object(status.clone()), &WANTED),
            expected,
            "{status}"
        );
    }
    let mut much = object(json!({}));
    much.status.as_mut().unwrap().certificate = Some(k8s_openapi::ByteString(long));
    assert!(matches!(Progress::of(&much, &WANTED), Progress::Ended(_)));
}

#[test]
fn an_object_of_another_request_is_not_ours() {
    let issued =
        json!({"conditions": [{"type": "Approved", "status": "True"}], "certificate": "eA=="});
    for (path, value) in [
        ("/metadata/name", json!("two")),
        ("/spec/request", json!("b3RoZXI=")),
        ("/spec/signerName", json!("example.com/other")),
        ("/spec/usages", json!(["digital signature", "server auth"])),
        ("/spec/usages", json!(null)),
        ("/spec/expirationSeconds", json!(601)),
    ] {
        let mut other = serde_json::to_value(object(issued.clone())).unwrap();
        *other.pointer_mut(path).unwrap() = value;
        let other: SigningRequestObject = serde_json::from_value(other).unwrap();
        assert_eq!(Progress::of(&other, &WANTED), Progress::NotOurs, "{path}");
    }
    // An API server before 1.22.
    let mut old = object(issued);
    old.spec.expiration_seconds = None;
    assert_eq!(Progress::of(&old, &WANTED), Progress::Issued(b"x".to_vec()));
}

#[test]
fn only_a_uid_that_can_be_kept_is_one() {
    for (text, is_one) in [("u-1", true), ("", false), ("a b", false), ("a\nb", false)] {
        let mut one = object(json!({}));
        one.metadata.uid = Some(text.to_owned());
        assert_eq!(uid(&one).is_some(), is_one, "{text:?}");
    }
    let mut one = object(json!({}));
    one.metadata.uid = Some("x".repeat(LONGEST_UID + 1));
    assert_eq!(uid(&one), None);
}
