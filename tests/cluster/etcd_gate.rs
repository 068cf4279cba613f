//! Every member is asked over TLS, and believed no more than it deserves.

use std::time::{Duration, Instant};

use kubecertd::cluster::etcd::{
    AlarmKind, Disturbed, Leadership, LeadershipError, Objection, ReadError, Readings, caught_up,
    judge, move_leadership, read,
};
use kubecertd::net::Address;
use testkit::etcd::Etcd;
use testkit::loopback::NODE_ADDRESS;
use testkit::peer::{Asked, Clients, Reply, listen, rogue, well};

const MEMBER: Disturbed = Disturbed::Member;

async fn readings(etcd: &Etcd) -> Readings {
    read(&etcd.inventory(), &[]).await.unwrap()
}

async fn objections(etcd: &Etcd) -> Vec<Objection> {
    judge(&readings(etcd).await, None, MEMBER).objections
}

async fn codes(etcd: &Etcd) -> Vec<&'static str> {
    let found = objections(etcd).await;
    found.iter().map(Objection::code).collect()
}

#[tokio::test]
async fn of_three_that_are_well_one_may_go() {
    let etcd = Etcd::start(3).await;
    let verdict = judge(&readings(&etcd).await, None, MEMBER);
    assert_eq!(verdict, Default::default());
    let state = etcd.state();
    for id in 1..=3 {
        for path in ["status", "alarm"] {
            let line = format!("POST /v3/maintenance/{path} HTTP/1.1");
            let expected = (id, line, "healthcheck-client".to_owned());
            assert!(state.asked.contains(&expected), "{expected:?}");
        }
    }
}

#[tokio::test]
async fn what_members_say_is_judged() {
    let etcd = Etcd::start(3).await;
    etcd.state().alarms = vec![(2, "NOSPACE".to_owned())];
    let found = objections(&etcd).await;
    let Objection::EtcdAlarm { member, alarm } = &found[0] else {
        panic!("{found:?}");
    };
    assert_eq!((member.name.as_str(), *alarm), ("cp2", AlarmKind::NoSpace));
    etcd.state().alarms.clear();
    etcd.change(3, |member| member.leader = 3);
    assert_eq!(codes(&etcd).await, ["etcd-leaders-differ"]);
    etcd.change(3, |member| (member.leader, member.term) = (1, 8));
    assert_eq!(codes(&etcd).await, ["etcd-terms-differ"]);
    etcd.change(3, |member| (member.term, member.applied) = (7, 3_000));
    assert_eq!(codes(&etcd).await, ["etcd-lagging", "etcd-quorum"]);
    let earlier = readings(&etcd).await;
    etcd.change(3, |member| member.applied = 3_500);
    assert!(judge(&readings(&etcd).await, Some(&earlier), MEMBER).allows());
    etcd.change(3, |member| member.applied = 5_000);
    etcd.change(2, |member| member.answers_as = 3);
    assert_eq!(codes(&etcd).await, ["etcd-other-member", "etcd-quorum"]);
    etcd.change(2, |member| member.answers_as = 2);
    etcd.change(2, |member| member.name = "cp3".to_owned());
    assert_eq!(codes(&etcd).await, ["etcd-name-twice"]);
    etcd.change(2, |member| member.name = "cp2".to_owned());
    assert_eq!(codes(&etcd).await, [""; 0]);
}

#[tokio::test]
async fn a_member_that_is_being_added_is_waited_for() {
    let mut etcd = Etcd::start(3).await;
    etcd.add(4).await;
    etcd.change(4, |member| member.is_learner = true);
    assert_eq!(codes(&etcd).await, ["etcd-learner"]);
    etcd.change(4, |member| {
        member.is_learner = false;
        member.name.clear();
        member.urls.clear();
    });
    assert_eq!(codes(&etcd).await, ["etcd-not-started", "etcd-quorum"]);
}

#[tokio::test]
async fn a_list_without_end_is_not_asked_to_its_end() {
    let mut etcd = Etcd::start(3).await;
    for id in 4..=18 {
        etcd.add(id).await;
    }
    assert_eq!(codes(&etcd).await, ["etcd-too-many-members"]);
    assert!(etcd.state().asked.iter().all(|(id, _, _)| *id <= 16));
}

#[tokio::test]
async fn one_that_is_away_keeps_the_next_from_going() {
    let mut etcd = Etcd::start(3).await;
    etcd.stop(3);
    assert_eq!(codes(&etcd).await, ["etcd-quorum"]);
    let verdict = judge(&readings(&etcd).await, None, MEMBER);
    let warning = verdict.warnings[0].to_string();
    assert!(
        warning.starts_with("etcd member cp3 does not answer: "),
        "{warning}"
    );
    // Nor does it matter which: without its own member a node knows whom to ask from before.
    let mut etcd = Etcd::start(3).await;
    etcd.stop(1);
    let error = read(&etcd.inventory(), &[]).await.unwrap_err();
    assert!(
        matches!(error, ReadError::EtcdMembersUnknown { .. }),
        "{error}"
    );
    let url = etcd.state().members[1].urls[0].clone();
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    let known = Address {
        host: NODE_ADDRESS.to_owned(),
        port,
    };
    let readings = read(&etcd.inventory(), &[known]).await.unwrap();
    assert_eq!(readings.own, Some(1));
    assert!(
        judge(&readings, None, MEMBER).allows(),
        "it is away already"
    );
}

type Says = fn(&Asked) -> Option<Reply>;

#[tokio::test]
async fn what_is_no_answer_is_none_within_the_bound() {
    let huge = |_: &Asked| {
        Some(Reply::Answer(
            200,
            format!("{{\"a\":\"{}\"}}", "x".repeat(10 << 20)),
        ))
    };

    let cases: [(&str, Says, &str); 13] = [
        ("hangs", |_| Some(Reply::Silence), "no answer within"),
        (
            "answers 500",
            |_| Some(Reply::Answer(500, "raft\u{1b}[2J".to_owned())),
            "status 500",
        ),
        (
            "answers 503",
            |_| Some(Reply::Answer(503, String::new())),
            "status 503",
        ),
        ("answers 10 MB", huge, "longer than"),
        (
            "answers garbage",
            |_| Some(Reply::Answer(200, "ok".to_owned())),
            "expected",
        ),
        (
            "answers a list",
            |_| Some(Reply::Answer(200, "[1]".to_owned())),
            "cannot be understood",
        ),
        (
            "nests deeply",
            |_| Some(Reply::Answer(200, "[".repeat(60_000))),
            "cannot be understood",
        ),
        (
            "a negative index",
            |_| {
                Some(Reply::Answer(
                    200,
                    r#"{"raftAppliedIndex":"-5"}"#.to_owned(),
                ))
            },
            "a whole number of 64 bits",
        ),
        (
            "more than 64 bits",
            |_| {
                Some(Reply::Answer(
                    200,
                    r#"{"leader":"18446744073709551616"}"#.to_owned(),
                ))
            },
            "a whole number of 64 bits",
        ),
        (
            "a negative size",
            |_| Some(Reply::Answer(200, r#"{"dbSize":-1}"#.to_owned())),
            "a whole number of 64 bits",
        ),
        (
            "sends to another",
            |_| {
                let head = "HTTP/1.1 307 X\r\nLocation: https://127.0.0.1:1/v3\r\nContent-Length: 0\r\n\r\n";
                Some(Reply::Bytes(head.as_bytes().to_vec()))
            },
            "status 307",
        ),
        (
            "speaks no HTTP",
            |_| Some(Reply::Bytes(b"220 mail\r\n".to_vec())),
            "HTTP",
        ),
        (
            "hangs up",
            |_| Some(Reply::Bytes(Vec::new())),
            "does not answer",
        ),
    ];
    let etcd = Etcd::start(3).await;
    for (what, says, part) in cases {
        etcd.says(3, says);
        let began = Instant::now();
        let verdict = judge(&readings(&etcd).await, None, MEMBER);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{what}: {took:?}");
        assert_eq!(verdict.objections.len(), 1, "{what}: {verdict:?}");
        assert_eq!(verdict.objections[0].code(), "etcd-quorum", "{what}");
        let said = verdict.warnings[0].to_string();
        assert!(said.contains(part), "{what}: {said}");
        assert!(
            said.len() < 700 && !said.contains(char::is_control),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_list_that_is_none_ends_it() {
    let etcd = Etcd::start(3).await;
    for body in [
        "no",
        r#"{"members":{}}"#,
        r#"{"members":[{"ID":"-1"}]}"#,
        r#"{"members":[{"ID":"1","clientURLs":[7]}]}"#,
    ] {
        etcd.says(1, move |asked| {
            let list = asked.line.contains("member/list");
            list.then(|| Reply::Answer(200, body.to_owned()))
        });
        let error = read(&etcd.inventory(), &[]).await.unwrap_err();
        assert_eq!(error.code(), "etcd-members-unknown", "{body}");
    }
    // An empty one has no member in it, so not this node's either.
    etcd.says(1, |asked| {
        let list = asked.line.contains("member/list");
        list.then(|| Reply::Answer(200, "{}".to_owned()))
    });
    let found = codes(&etcd).await;
    assert!(found.contains(&"etcd-own-missing"), "{found:?}");
    assert!(found.contains(&"etcd-quorum"), "{found:?}");
}

/// Asked without the question for a quorum, it is this member's memory.
#[tokio::test]
async fn a_list_that_no_quorum_confirms_is_not_enough() {
    let etcd = Etcd::start(3).await;
    etcd.says(1, |asked| {
        asked
            .text
            .contains("linearizable")
            .then(|| Reply::Answer(503, "etcdserver: no leader".to_owned()))
    });
    assert_eq!(codes(&etcd).await, ["etcd-list-unconfirmed"]);
}

#[tokio::test]
async fn only_a_verified_member_is_shown_anything() {
    let mut etcd = Etcd::start(3).await;
    etcd.stop(3);
    // Signed by another CA.
    etcd.node.leaf("foreign", &etcd.node.ca, "etcd");
    let (certificate, key) = etcd.node.pair("foreign");
    let foreign = rogue((NODE_ADDRESS, 0), (&certificate, &key), true, well()).await;
    let url = format!("https://{NODE_ADDRESS}:{}", foreign.listener.port);
    etcd.change(3, |member| member.urls = vec![url]);
    assert_eq!(codes(&etcd).await, ["etcd-quorum"]);
    assert!(foreign.seen.lock().unwrap().is_empty());
    // The certificate of a member, without its key.
    let (certificate, _) = etcd.node.pair("etcd/server");
    let replay = rogue((NODE_ADDRESS, 0), (&certificate, &key), true, well()).await;
    let url = format!("https://{NODE_ADDRESS}:{}", replay.listener.port);
    etcd.change(3, |member| member.urls = vec![url]);
    assert_eq!(codes(&etcd).await, ["etcd-quorum"]);
    assert!(replay.seen.lock().unwrap().is_empty());
    // The right certificate at an address that it is not for.
    let pair = etcd.node.pair("etcd/server");
    let clients = Clients::must(&etcd.node.etcd_ca);
    let elsewhere = listen(("127.0.0.77", 0), pair, clients, true, well()).await;
    let url = format!("https://127.0.0.77:{}", elsewhere.port);
    etcd.change(3, |member| member.urls = vec![url]);
    assert_eq!(codes(&etcd).await, ["etcd-quorum"]);
}

#[tokio::test]
async fn urls_are_text_that_others_write() {
    let etcd = Etcd::start(3).await;
    let url = etcd.state().members[2].urls[0].clone();
    for odd in [
        url.replace("https", "http"),
        url.replace("https://", "https://root:secret@"),
        format!("{url}/v3/../x"),
        format!("{url}\r\nX: y"),
        "unix:///run/etcd.sock".to_owned(),
        "https://\u{202e}evil:1".to_owned(),
        "x".repeat(20_000),
    ] {
        etcd.state().asked.clear();
        etcd.change(3, |member| member.urls = vec![odd.clone()]);
        let verdict = judge(&readings(&etcd).await, None, MEMBER);
        assert_eq!(verdict.objections[0].code(), "etcd-quorum", "{odd:?}");
        let said = verdict.warnings[0].to_string();
        assert!(said.contains("cannot be asked"), "{said}");
        assert!(
            said.len() < 400 && !said.contains(char::is_control),
            "{said}"
        );
        assert!(
            etcd.state().asked.iter().all(|(id, _, _)| *id != 3),
            "{odd:?}"
        );
    }
}

#[tokio::test]
async fn the_leadership_goes_to_one_that_can_take_it() {
    let etcd = Etcd::start(3).await;
    etcd.change(2, |member| member.applied = 4_990);
    let readings_before = readings(&etcd).await;
    let inventory = etcd.inventory();
    let moved = move_leadership(&inventory, &readings_before).await.unwrap();
    let Leadership::Moved { to, took } = moved else {
        panic!("{moved:?}");
    };
    assert_eq!(to.name, "cp3");
    assert!(took < Duration::from_secs(5));
    let again = move_leadership(&inventory, &readings_before).await.unwrap();
    assert_eq!(again, Leadership::Elsewhere);
    assert_eq!(caught_up(&readings_before, &readings(&etcd).await), []);
    // It says that it did, and did not.
    let etcd = Etcd::start(3).await;
    etcd.state().moves = false;
    let before = readings(&etcd).await;
    let error = move_leadership(&etcd.inventory(), &before)
        .await
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("did not go over to etcd member cp2"),
        "{said}"
    );
    assert!(said.contains("etcd member cp1 leads"), "{said}");
    // No member is there to take it.
    for id in [2, 3] {
        etcd.change(id, |member| member.is_learner = true);
    }
    let before = readings(&etcd).await;
    let error = move_leadership(&etcd.inventory(), &before)
        .await
        .unwrap_err();
    assert_eq!(error, LeadershipError::EtcdNoSuccessor);
}

#[tokio::test]
async fn without_etcd_there_is_no_gate() {
    let etcd = Etcd::start(1).await;
    let mut inventory = etcd.inventory();
    assert!(judge(&read(&inventory, &[]).await.unwrap(), None, MEMBER).allows());
    inventory.static_pods.clear();
    assert_eq!(
        read(&inventory, &[]).await.unwrap_err(),
        ReadError::EtcdNotHere
    );
}
