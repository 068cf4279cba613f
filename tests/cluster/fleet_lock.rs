//! The lock that reboots share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kubecertd::cluster::{FleetLock, FleetLockError, slot_id};
use kubecertd::config::Turn;
use kubecertd::host::Root;
use testkit::Node;
use testkit::peer::{Asked, Clients, Listener, Replier, Reply, listen_as, listen_plainly};

const ID: &str = "kubecertd-cp1-0123";

fn lock(url: &str, authorities: Option<PathBuf>) -> FleetLock {
    let turn = Turn {
        fleet_lock_url: Some(url.to_owned()),
        fleet_lock_group: "control-plane".to_owned(),
        fleet_lock_ca: authorities,
        ..Turn::default()
    };
    FleetLock::new(&turn, ID).unwrap()
}

/// Over http, with what was asked.
async fn plain(reply: fn(&Asked) -> Reply) -> (Listener, FleetLock, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let replier: Replier = Arc::new(move |asked| {
        noted.lock().unwrap().push(asked.text.clone());
        reply(asked)
    });
    let listener = listen_plainly(("127.0.0.1", 0), replier).await;
    let lock = lock(&format!("http://127.0.0.1:{}/lock", listener.port), None);
    (listener, lock, seen)
}

fn ok(_: &Asked) -> Reply {
    Reply::Answer(200, String::new())
}

#[tokio::test]
async fn it_is_asked_as_the_protocol_says() {
    let (_listener, lock, seen) = plain(ok).await;
    lock.acquire().await.unwrap();
    lock.acquire().await.unwrap();
    lock.release().await.unwrap();
    let seen = seen.lock().unwrap().clone();
    let lines: Vec<&str> = seen
        .iter()
        .map(|text| text.lines().next().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "POST /lock/v1/pre-reboot HTTP/1.1",
            "POST /lock/v1/pre-reboot HTTP/1.1",
            "POST /lock/v1/steady-state HTTP/1.1",
        ]
    );
    for text in &seen {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.lines().any(|line| line == "fleet-lock-protocol: true"),
            "{head}"
        );
        assert_eq!(
            body,
            r#"{"client_params":{"id":"kubecertd-cp1-0123","group":"control-plane"}}"#
        );
    }
}

#[tokio::test]
async fn a_server_that_says_no_is_quoted() {
    let (_listener, lock, _) = plain(|_| {
        let body = r#"{"kind":"all_slots_full","value":"slot is \u001b[2J held\nby node cp2"}"#;
        Reply::Answer(409, body.to_owned())
    })
    .await;
    let error = lock.acquire().await.unwrap_err();
    assert!(error.is_refusal());
    assert_eq!(error.code(), "fleet-lock-refused");
    let said = error.to_string();
    assert!(said.contains("(all_slots_full): slot is "), "{said}");
    assert!(!said.contains(char::is_control), "{said}");
    let (_listener, lock, _) = plain(|_| {
        let long = "x".repeat(30_000);
        Reply::Answer(500, format!(r#"{{"kind":"{long}","value":"{long}"}}"#))
    })
    .await;
    let error = lock.release().await.unwrap_err();
    assert!(
        error.is_refusal() && error.to_string().len() < 600,
        "{error}"
    );
}

type Case = (&'static str, fn(&Asked) -> Reply, &'static str);

#[tokio::test]
async fn what_is_no_fleet_lock_server_is_told_apart() {
    const NOT: &str = "fleet-lock-not-understood";
    let cases: [Case; 8] = [
        (
            "404",
            |_| Reply::Answer(404, "404 page not found".to_owned()),
            NOT,
        ),
        ("204", |_| Reply::Answer(204, String::new()), NOT),
        ("garbage", |_| Reply::Answer(409, "no".to_owned()), NOT),
        (
            "numbers",
            |_| Reply::Answer(409, r#"{"kind":1,"value":2}"#.to_owned()),
            NOT,
        ),
        ("1 MB", |_| Reply::Answer(200, "x".repeat(1 << 20)), NOT),
        (
            "a redirection",
            |_| {
                let head =
                    "HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
                Reply::Bytes(head.as_bytes().to_vec())
            },
            NOT,
        ),
        ("no HTTP", |_| Reply::Bytes(b"220 mail\r\n".to_vec()), NOT),
        ("hangs", |_| Reply::Silence, "fleet-lock-unreachable"),
    ];
    for (what, reply, code) in cases {
        let (_listener, lock, _) = plain(reply).await;
        let began = Instant::now();
        let error = lock.acquire().await.unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(!error.is_refusal());
        assert!(began.elapsed() < Duration::from_secs(16), "{what}");
        assert!(error.to_string().len() < 400, "{error}");
    }
    let (listener, lock, _) = plain(ok).await;
    drop(listener);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let error = lock.acquire().await.unwrap_err();
    assert_eq!(error.code(), "fleet-lock-unreachable", "{error}");
}

#[tokio::test]
async fn over_https_only_a_verified_server_is_asked() {
    let node = Node::with_authorities();
    node.leaf("fleet", &node.ca, "fleet");
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let replier: Replier = Arc::new(move |_| {
        *count.lock().unwrap() += 1;
        Reply::Answer(200, String::new())
    });
    let pair = node.pair("fleet");
    let listener = listen_as(("127.0.0.1", 0), pair, Clients::Anybody, true, replier).await;
    let url = format!("https://127.0.0.1:{}", listener.port);
    let ca = |name: &str| node.path(&format!("{}/{name}.crt", testkit::PKI));
    lock(&url, Some(ca("ca"))).acquire().await.unwrap();
    assert_eq!(*asked.lock().unwrap(), 1);
    for authorities in [Some(ca("etcd/ca")), Some(ca("none")), None] {
        let error = lock(&url, authorities).acquire().await.unwrap_err();
        assert_eq!(error.code(), "fleet-lock-unverified", "{error}");
    }
    let other = url.replace("127.0.0.1", "127.0.0.2");
    let error = lock(&other, Some(ca("ca"))).acquire().await.unwrap_err();
    assert!(
        matches!(error, FleetLockError::FleetLockUnreachable { .. }),
        "{error}"
    );
    assert_eq!(*asked.lock().unwrap(), 1, "no other got a request");
}

#[test]
fn a_node_is_called_the_same_in_every_life_and_not_as_zincati_calls_it() {
    let node = Node::with_authorities();
    let root: &Root = &node.root;
    assert!(slot_id(root, "cp1").is_err());
    node.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let id = slot_id(root, "cp1").unwrap();
    assert_eq!(id, slot_id(root, "cp1").unwrap());
    assert!(id.starts_with("kubecertd-cp1-"), "{id}");
    assert!(!id.contains("0123456789abcdef0123456789abcdef"));
    assert_eq!(FleetLock::new(&Turn::default(), &id), None);
}
