//! What a component has still to show after a renewal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::RestartMode;
use kubecertd::operation::{
    LastAnswer, PendingProof, PendingStep, ask_again, pending_proofs, restart_due, what_to_do,
};
use kubecertd::probe::PickedUp;
use testkit::live::{API_SERVER, Live, never, serve_what_is_there};
use testkit::loopback::{authority, issue};
use testkit::peer::{Clients, Handler, Listener, listen};

fn pending(node: &Live) -> Vec<PendingProof> {
    pending_proofs(&node.receipts(), &node.context.observe())
}

/// What the daemon would do at a moment with what the component answers.
async fn step(node: &Live, proof: &PendingProof, now: Timestamp) -> (PickedUp, PendingStep) {
    let answer = ask_again(&node.context, &node.context.observe(), proof, now).await;
    let last = LastAnswer {
        at: now,
        times: 2,
        answer: answer.clone(),
    };
    (answer, what_to_do(proof, Some(&last), now))
}

/// An API server answers there again, with the certificate that it has for itself.
async fn answers_again(node: &Live, port: u16) -> Listener {
    let pair = issue(
        &authority("apiserver-loopback-client-ca@1"),
        "apiserver-loopback-client@1",
    );
    let own = |name: &str| node.tree.path(&format!("/served.{name}"));
    std::fs::write(own("loopback.crt"), pair.certificate_pem()).unwrap();
    std::fs::write(own("loopback.key"), pair.key_pem()).unwrap();
    let handler: Handler = std::sync::Arc::new(|_, _| (200, "ok".to_owned()));
    let served = (own("crt"), own("key"));
    listen(("127.0.0.1", port), served, Clients::Anybody, true, handler).await
}

#[tokio::test]
async fn what_nothing_answers_about_is_asked_again_and_settled_by_an_answer_or_a_restart() {
    let mut node = Live::start(SignedDuration::from_hours(240)).await;
    node.context.config.restart.mode = RestartMode::WhenNeeded;
    node.context.config.restart.reload_timeout = Duration::from_secs(1);
    node.context.proof_bound = Duration::from_secs(1);
    let port = node.go_silent();
    let began = Instant::now();
    node.renew(&["apiserver"], &never(), &mut |_| ())
        .await
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(node.restarts(), 0);
    let receipt = node.receipts().remove(0);
    assert!(receipt.remarks.iter().any(|one| one.code == "not-shown"));
    let left = pending(&node);
    let [proof] = left.as_slice() else {
        panic!("{left:?}");
    };
    assert_eq!(proof.component, API_SERVER);
    assert_eq!(proof.certificates, ["apiserver".into()]);
    assert_eq!(proof.old_end, receipt.certificates[0].old_not_after);

    let later = proof.since + SignedDuration::from_mins(10);
    let (answer, next) = step(&node, proof, later).await;
    assert!(matches!(answer, PickedUp::Unknown { .. }), "{answer:?}");
    assert!(matches!(next, PendingStep::AskAt(at) if at > later));
    let near = proof.old_end - SignedDuration::from_hours(23);
    assert_eq!(step(&node, proof, near).await.1, PendingStep::RestartNow);

    let listener = answers_again(&node, port).await;
    let (answer, next) = step(&node, proof, later).await;
    assert!(
        matches!(answer, PickedUp::No(_)),
        "it serves the old one: {answer:?}"
    );
    assert_eq!(next, PendingStep::RestartNow);
    drop(listener);
    serve_what_is_there(&node.tree);
    let _listener = answers_again(&node, port).await;
    let (answer, next) = step(&node, proof, later).await;
    assert!(matches!(answer, PickedUp::Yes(_)), "{answer:?}");
    assert_eq!(next, PendingStep::Proved);

    // Nothing of that is kept on disk; a restart settles it for good.
    assert_eq!(pending(&node).len(), 1);
    let components = [API_SERVER.to_owned()];
    restart_due(&node.context, &components, &never(), &mut |_| {})
        .await
        .unwrap();
    assert_eq!(pending(&node), []);
}
