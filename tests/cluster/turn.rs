//! Taking the turn by a Lease of a real API's shape, over TLS.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kubecertd::cluster::{AsyncWell, Halt, Mark, NotTaken, Seat, Waiting, clear, look, take};
use kubecertd::net::Address;
use serde_json::json;
use testkit::Node;
use testkit::live::never;
use testkit::peer::{Clients, Replier, Reply, listen_as};

use crate::lease_api::{Api, status};

/// Nobody is seen to be well.
struct Unseen;

impl AsyncWell for Unseen {
    fn is_well<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async { false })
    }
}

pub(crate) async fn taken(seat: &Seat) -> Result<kubecertd::cluster::Held, NotTaken> {
    take(seat, &Unseen, &never(), &mut |_| ()).await
}

fn halt(node: &str) -> Halt {
    Halt {
        node: node.into(),
        operation: "20261126T192628Z-65d6".into(),
        code: "not-in-use".into(),
        reason: "the API server refuses it".into(),
        since: jiff::Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn one_has_it_and_the_other_waits_in_line() {
    let api = Api::start().await;
    let (one, other) = (api.seat("cp1"), api.seat("cp2"));
    let held = taken(&one).await.unwrap();
    assert_eq!(api.lease()["spec"]["holderIdentity"], "cp1/boot");
    held.confirm(Duration::from_secs(40)).await.unwrap();
    let mut told = Vec::new();
    let never = never();
    let mut tell = |waiting: &Waiting| told.push(waiting.clone());
    let waits = take(&other, &Unseen, &never, &mut tell);
    let releases = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        held.release(Mark::Clear).await.unwrap();
        Instant::now()
    };
    let (taken, released) = tokio::join!(waits, releases);
    let held = taken.unwrap();
    assert!(released.elapsed() < Duration::from_secs(5));
    assert!(
        matches!(&told[..], [Waiting::Held { by, .. }] if by.node == "cp1"),
        "{told:?}"
    );
    assert_eq!(held.token().transitions, 1);
    assert_eq!(api.lease()["spec"]["holderIdentity"], "cp2/boot");
}

#[tokio::test]
async fn a_failure_stops_the_others_until_it_is_cleared() {
    let api = Api::start().await;
    let (one, other) = (api.seat("cp1"), api.seat("cp2"));
    let held = taken(&one).await.unwrap();
    held.release(Mark::Set(halt("cp1"))).await.unwrap();
    assert_eq!(
        taken(&other).await.unwrap_err(),
        NotTaken::Halted(halt("cp1"))
    );
    assert_eq!(look(&other).await.unwrap().halt, Some(halt("cp1")));
    // It may go on itself; that alone clears nothing.
    let held = taken(&one).await.unwrap();
    held.release(Mark::Keep).await.unwrap();
    assert!(taken(&other).await.is_err());
    assert_eq!(clear(&other).await.unwrap(), Some(halt("cp1")));
    assert_eq!(clear(&other).await.unwrap(), None);
    drop(taken(&other).await.unwrap());
}

#[tokio::test]
async fn a_lease_that_is_deleted_or_taken_by_a_hand_ends_the_turn() {
    for by_hand in [false, true] {
        let api = Api::start().await;
        let held = taken(&api.seat("cp1")).await.unwrap();
        {
            let mut stored = api.stored.lock().unwrap();
            if by_hand {
                stored.version += 1;
                let version = stored.version.to_string();
                let lease = stored.lease.as_mut().unwrap();
                lease["spec"]["holderIdentity"] = json!("an admin");
                lease["metadata"]["resourceVersion"] = json!(version);
            } else {
                stored.lease = None;
            }
        }
        held.confirm(Duration::ZERO).await.unwrap_err();
        held.release(Mark::Clear).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_mark_that_was_not_left_is_said() {
    let api = Api::start().await;
    let held = taken(&api.seat("cp1")).await.unwrap();
    api.stored.lock().unwrap().lease = None;
    let released = held.release(Mark::Set(halt("cp1"))).await;
    assert_eq!(released.unwrap_err().code(), "api-conflict");
}

#[tokio::test]
async fn who_writes_the_lease_all_the_time_holds_nobody_up_for_ever() {
    for renewing in [true, false] {
        let api = Api::start().await;
        drop(taken(&api.seat("cp1")).await.unwrap());
        if !renewing {
            let Reply::Answer(code, body) = status(409, "Conflict") else {
                unreachable!()
            };
            let mut stored = api.stored.lock().unwrap();
            stored.lease.as_mut().unwrap()["spec"]["holderIdentity"] = json!("");
            stored.no_write = Some((code, body));
        }
        let stored = Arc::clone(&api.stored);
        let writes = tokio::spawn(async move {
            for round in 0_u32.. {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let mut stored = stored.lock().unwrap();
                stored.version += 1;
                let version = stored.version.to_string();
                let lease = stored.lease.as_mut().unwrap();
                lease["metadata"]["resourceVersion"] = json!(version);
                let second = round % 60;
                lease["spec"]["renewTime"] = json!(format!("2026-11-26T00:00:{second:02}.000000Z"));
            }
        });
        let seat = Seat {
            patience: Duration::from_secs(3),
            ..api.seat("cp2")
        };
        let begun = Instant::now();
        let error = taken(&seat).await.unwrap_err();
        writes.abort();
        let NotTaken::InLine { by } = error else {
            panic!("{error:?}");
        };
        assert_eq!(by.is_some(), renewing, "{by:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        let asked = api.stored.lock().unwrap().asked.len();
        assert!(asked < 60, "{asked} questions");
    }
}

#[tokio::test]
async fn whatever_the_api_answers_is_told_apart_and_never_the_turn() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    let failure = |code: u16| {
        let Reply::Answer(_, body) = status(code, "Why") else {
            unreachable!()
        };
        body
    };
    for (code, body, expected) in [
        (401, failure(401), "api-unauthorized"),
        (403, failure(403), "api-forbidden"),
        (410, failure(410), "api-trouble"),
        (429, failure(429), "api-trouble"),
        (500, failure(500), "api-trouble"),
        (503, "not json".to_owned(), "api-trouble"),
        (422, failure(422), "api-refused"),
        (200, "{".to_owned(), "api-trouble"),
        (200, "[]".to_owned(), "api-trouble"),
        (
            200,
            json!({"metadata": {"name": "kubecertd"}}).to_string(),
            "api-trouble",
        ),
        (200, "x".repeat(5 << 20), "api-too-long"),
    ] {
        api.instead(9, code, body.clone());
        let error = look(&seat).await.unwrap_err();
        let start: String = body.chars().take(60).collect();
        assert_eq!(error.code(), expected, "{code} {start}: {error}");
        let told = error.to_string();
        assert!(!told.contains('\u{1b}') && told.len() < 500, "{told}");
    }
    api.instead(9, 403, failure(403));
    let error = taken(&seat).await.unwrap_err();
    assert!(
        matches!(&error, NotTaken::Unreachable(why) if why.code() == "api-forbidden"),
        "{error:?}"
    );
    // What passes is tried again.
    api.instead(2, 500, failure(500));
    drop(taken(&seat).await.unwrap());
}

#[tokio::test]
async fn another_api_server_is_asked_where_the_first_does_not_answer() {
    let api = Api::start().await;
    let mut seat = api.seat("cp1");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    seat.servers.insert(
        0,
        Address {
            host: "127.0.0.1".into(),
            port,
        },
    );
    drop(taken(&seat).await.unwrap());
    seat.servers.pop();
    assert_eq!(look(&seat).await.unwrap_err().code(), "api-unreachable");
}

#[tokio::test]
async fn an_api_server_that_another_ca_signed_is_shown_nothing() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    let foreign = Node::with_authorities();
    foreign.leaf("apiserver", &foreign.ca, "kube-apiserver");
    let heard: Arc<Mutex<usize>> = Arc::default();
    let count = Arc::clone(&heard);
    let replier: Replier = Arc::new(move |_| {
        *count.lock().unwrap() += 1;
        Reply::Answer(200, "{}".to_owned())
    });
    let pair = foreign.pair("apiserver");
    let rogue = listen_as(("127.0.0.1", 0), pair, Clients::Anybody, true, replier).await;
    let seat = Seat {
        servers: vec![Address {
            host: "127.0.0.1".into(),
            port: rogue.port,
        }],
        ..seat
    };
    assert_eq!(look(&seat).await.unwrap_err().code(), "api-unreachable");
    assert_eq!(*heard.lock().unwrap(), 0);
}
