//! A kubeadm at work, and the clock.

use kubecertd::pki::{
    CertificateAuthority, NewLeaf, PrivateKey, Validity, certificates_from_pem, certificates_to_pem,
};
use testkit::{Node, contents};

use crate::renewers::{enable, kubespray, put};
use crate::{can_mount, in_namespace, kubernetes, said};

#[test]
fn a_kubeadm_that_works_on_these_files_is_waited_for() {
    if !can_mount() {
        return;
    }
    let node = Node::fresh();
    let before = kubernetes(&node);
    // A program of that name, which sees the node's directory as its /etc/kubernetes; and one that sees another.
    let output = in_namespace(
        &node,
        "mkdir -p /etc/kubernetes; cp $(command -v bash) $ROOT/kubeadm\n\
         mkdir $ROOT/other; mount --bind $ROOT/other /etc/kubernetes\n\
         unshare --mount sh -c \"exec $ROOT/kubeadm -c 'while :; do sleep 1; done' join elsewhere\" & elsewhere=$!; sleep 0.5\n\
         code=0; kubecertd preflight || code=$?; echo elsewhere=$code; kill $elsewhere\n\
         mount --bind $ROOT/etc/kubernetes /etc/kubernetes\n\
         $ROOT/kubeadm -c 'while :; do sleep 1; done' join 10.0.0.1:6443 --token=secret & here=$!; sleep 0.5\n\
         code=0; kubecertd preflight || code=$?; echo here=$code\n\
         code=0; kubecertd renew all || code=$?; echo renew=$code\n\
         kill $here; echo pid=$here\n",
    );
    let told = said(&output);
    let pid = told
        .lines()
        .find_map(|line| line.strip_prefix("pid="))
        .unwrap();
    for line in ["elsewhere=0", "here=1", "renew=1"] {
        assert!(told.contains(line), "{told}");
    }
    let expected = format!("`kubeadm join` is at work (process {pid}, since ");
    assert_eq!(told.matches(&expected).count(), 2, "{told}");
    assert!(!told.contains("secret"), "{told}");
    assert_eq!(kubernetes(&node), before);
}

#[test]
fn a_process_of_any_other_user_is_no_kubeadm_whatever_it_is_called() {
    if !can_mount() {
        return;
    }
    let node = Node::fresh();
    // With the unit's capabilities, by which nothing can be traced, and its /proc.
    let output = in_namespace(
        &node,
        "mkdir -p /etc/kubernetes; mount --bind $ROOT/etc/kubernetes /etc/kubernetes\n\
         mount -t tmpfs none /mnt; cp $(command -v bash) /mnt/kubeadm; chmod 755 /mnt /mnt/kubeadm\n\
         setpriv --reuid 65534 --regid 65534 --clear-groups \
           /mnt/kubeadm -c 'while :; do sleep 1; done' init & nobody=$!; sleep 0.5\n\
         code=0; kubecertd preflight || code=$?; echo open=$code\n\
         caps=-all,+chown,+fowner,+dac_override\n\
         mount -t proc -o hidepid=invisible,subset=pid proc /proc || mount -t proc -o hidepid=2 proc /proc\n\
         code=0; setpriv --bounding-set=$caps --inh-caps=$caps \
           $KUBECERTD --root $ROOT preflight || code=$?; echo closed=$code\n\
         /mnt/kubeadm -c 'while :; do sleep 1; done' init & root=$!; sleep 0.5\n\
         code=0; setpriv --bounding-set=$caps --inh-caps=$caps \
           $KUBECERTD --root $ROOT preflight || code=$?; echo root=$code\n\
         kill $nobody $root\n",
    );
    let told = said(&output);
    for line in ["open=0", "root=1"] {
        assert!(told.contains(line), "{told}");
    }
    // Other tests' processes may be seen by one that can trace nothing.
    assert_eq!(
        told.matches("`kubeadm init` is at work").count(),
        1,
        "{told}"
    );
}

/// Whether the kernel of this machine takes its clock for right: then no file can make it doubtful.
fn clock_is_synchronised() -> bool {
    let mut state = rtime_clock::adjtime::Timex::new();
    rtime_clock::adjtime::adjtimex(&mut state).unwrap();
    state.0.maxerror < 16_000_000
}

#[test]
fn what_happened_later_than_now_makes_the_clock_doubtful() {
    if clock_is_synchronised() {
        testkit::not_on_this_machine(
            "a doubtful clock needs a machine whose clock nobody synchronises",
        );
        return;
    }
    let hours = |number: i64| jiff::SignedDuration::from_hours(number);
    // Certificates that begin in two hours, in files just as new: so it was later than it is now.
    let node = Node::new(hours(-2), hours(24 * 300));
    let future = std::time::SystemTime::now() + std::time::Duration::from_secs(3 * 3600);
    let before = kubernetes(&node);
    let refused = node.run(&["renew", "admin.conf"]);
    assert!(!refused.status.success());
    let told = said(&refused);
    assert!(told.contains(" begins: it was set back"), "{told}");
    assert!(!node.run(&["run", "--once"]).status.success());
    assert_eq!(kubernetes(&node), before);

    // In older files they were dated ahead on purpose, which tells nothing of the clock.
    let node = Node::new(hours(-2), hours(24 * 300));
    for path in contents(node.directory.path()).keys() {
        if path.is_symlink() {
            continue;
        }
        std::fs::File::open(path)
            .and_then(|file| file.set_modified(std::time::SystemTime::now()))
            .unwrap();
    }
    let told = node.run(&["preflight"]);
    assert_eq!(told.status.code(), Some(0), "{}", said(&told));

    // The same from kubecertd's own history.
    let node = Node::fresh();
    assert!(node.run(&["renew", "admin.conf"]).status.success());
    let history = node.path("/var/lib/kubecertd/history.jsonl");
    std::fs::File::open(&history)
        .and_then(|file| file.set_modified(future))
        .unwrap();
    let told = said(&node.run(&["preflight"]));
    assert!(
        told.contains("when kubecertd's history was written"),
        "{told}"
    );
}

#[test]
fn what_begins_later_is_made_anew() {
    let node = Node::fresh();
    let pki = node.path("/etc/kubernetes/pki");
    let read = |name: &str| std::fs::read(pki.join(name)).unwrap();
    let authority = CertificateAuthority::new(
        &certificates_from_pem(&read("ca.crt")).unwrap(),
        PrivateKey::from_pem(&read("ca.key")).unwrap(),
    )
    .unwrap();
    let key = PrivateKey::from_pem(&read("apiserver.key")).unwrap();
    let now = jiff::Timestamp::now();
    let hours = |number: i64| jiff::SignedDuration::from_hours(number);
    // Made while the clock was ahead, in a file that was copied since; it would outlast its successor.
    let ahead = Validity {
        not_before: now + hours(24),
        not_after: now + hours(24 * 500),
    };
    let leaf = NewLeaf {
        common_name: "kube-apiserver".to_owned(),
        organizations: Vec::new(),
        subject_alt_names: Vec::new(),
        server_auth: true,
        client_auth: false,
    }
    .sign(&key, &authority, ahead)
    .unwrap();
    std::fs::write(pki.join("apiserver.crt"), certificates_to_pem([&leaf])).unwrap();
    let others = node.serial("etcd-server");
    let output = node.run(&["run", "--once"]);
    assert!(output.status.success(), "{}", said(&output));
    let new = node.certificate("apiserver");
    assert!(new.is_valid_at(now) && new.not_after < leaf.not_after);
    assert_eq!(node.serial("etcd-server"), others);
}

#[test]
fn a_history_that_cannot_be_understood_is_said_and_holds_nothing_up() {
    let node = Node::fresh();
    put(&node, "/var/lib/kubecertd/history.jsonl", "not a receipt\n");
    let output = node.run(&["preflight"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("unreadable") && said(&output).contains("line 1"));
}

#[test]
fn patience_ends_with_the_last_third_of_the_time() {
    let hours = |days: i64| jiff::SignedDuration::from_hours(24 * days);
    for (left, code, result) in [
        (29, 1, "wait"),
        (11, 1, "wait"),
        (9, 0, "warn"),
        (-3, 0, "warn"),
    ] {
        let node = Node::new(hours(365 - left), hours(left));
        kubespray(&node);
        enable(&node, "k8s-certs-renew.timer");
        let output = node.run(&["preflight"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(code), "{left}: {told}");
        assert!(
            told.contains(&format!("other-renewer   {result}")),
            "{told}"
        );
    }
}
