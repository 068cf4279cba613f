//! The same with real members on the loopback interface, over TLS as kubeadm sets it up. `tests/e2e/etcd` gets them and runs this.
#![allow(clippy::print_stdout)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kubecertd::cluster::etcd::{
    AlarmKind, Disturbed, Leadership, Objection, Readings, Verdict, caught_up, judge,
    move_leadership, read,
};
use kubecertd::node::Inventory;
use testkit::loopback::{NODE_ADDRESS, words};
use testkit::{Node, PKI};

const MEMBER: Disturbed = Disturbed::Member;
/// So small that it can be filled.
const QUOTA: usize = 24 << 20;

struct Member {
    name: String,
    client: u16,
    peer: u16,
    process: Option<Child>,
}

struct Members {
    programs: PathBuf,
    node: Node,
    all: Vec<Member>,
}

impl Drop for Members {
    fn drop(&mut self) {
        for member in &mut self.all {
            member.kill();
        }
    }
}

impl Member {
    fn new(name: &str) -> Self {
        let port = || {
            let listener = std::net::TcpListener::bind((NODE_ADDRESS, 0)).unwrap();
            (listener.local_addr().unwrap().port(), listener)
        };
        let ((client, _one), (peer, _other)) = (port(), port());
        Self {
            name: name.to_owned(),
            client,
            peer,
            process: None,
        }
    }

    fn peer_url(&self) -> String {
        format!("https://{NODE_ADDRESS}:{}", self.peer)
    }

    fn client_url(&self) -> String {
        format!("https://{NODE_ADDRESS}:{}", self.client)
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Members {
    fn new(programs: PathBuf) -> Self {
        let node = Node::with_authorities();
        for name in ["server", "peer", "healthcheck-client"] {
            node.leaf(&format!("etcd/{name}"), &node.etcd_ca, name);
        }
        let mut all = Self {
            programs,
            node,
            all: ["cp1", "cp2", "cp3"].map(Member::new).into(),
        };
        for index in 0..3 {
            all.start(index, "new");
        }
        all
    }

    fn pki(&self, name: &str) -> String {
        let path = self.node.path(&format!("{PKI}/{name}"));
        path.to_str().unwrap().to_owned()
    }

    fn start(&mut self, index: usize, state: &str) {
        let cluster: Vec<String> = self.all[..3.max(index + 1)]
            .iter()
            .map(|one| format!("{}={}", one.name, one.peer_url()))
            .collect();
        let member = &self.all[index];
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.node.path(&format!("/{}.log", member.name)))
            .unwrap();
        let mut command = Command::new(self.programs.join("etcd"));
        command
            .arg(format!("--name={}", member.name))
            .arg(format!(
                "--data-dir={}",
                self.node.path(&format!("/{}", member.name)).display()
            ))
            .arg(format!("--listen-client-urls={}", member.client_url()))
            .arg(format!("--advertise-client-urls={}", member.client_url()))
            .arg(format!("--listen-peer-urls={}", member.peer_url()))
            .arg(format!(
                "--initial-advertise-peer-urls={}",
                member.peer_url()
            ))
            .arg(format!("--initial-cluster={}", cluster.join(",")))
            .arg(format!("--initial-cluster-state={state}"))
            .arg(format!("--quota-backend-bytes={QUOTA}"));
        for (flag, name) in [
            ("cert-file", "etcd/server.crt"),
            ("key-file", "etcd/server.key"),
            ("trusted-ca-file", "etcd/ca.crt"),
            ("peer-cert-file", "etcd/peer.crt"),
            ("peer-key-file", "etcd/peer.key"),
            ("peer-trusted-ca-file", "etcd/ca.crt"),
        ] {
            command.arg(format!("--{flag}={}", self.pki(name)));
        }
        command.args(["--client-cert-auth", "--peer-client-cert-auth"]);
        // One that has to be asked over gRPC.
        if index == 2 {
            command.arg("--enable-grpc-gateway=false");
        }
        command.stdout(Stdio::from(log.try_clone().unwrap()));
        command.stderr(Stdio::from(log));
        let process = command.spawn().unwrap();
        self.all[index].process = Some(process);
    }

    /// A node whose member is this one.
    fn node_of(&self, index: usize) -> Inventory {
        let member = &self.all[index];
        self.node.manifest(
            "etcd",
            &words(&[
                "etcd",
                &format!("--name={}", member.name),
                &format!("--listen-client-urls={}", member.client_url()),
                &format!("--cert-file={PKI}/etcd/server.crt"),
                &format!("--key-file={PKI}/etcd/server.key"),
                &format!("--trusted-ca-file={PKI}/etcd/ca.crt"),
                &format!("--quota-backend-bytes={QUOTA}"),
            ]),
        );
        self.node.observe_without_kubelet()
    }

    fn control(&self, through: usize, arguments: &[&str], input: &[u8]) -> String {
        let mut process = Command::new(self.programs.join("etcdctl"))
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints={}", self.all[through].client_url()))
            .arg(format!("--cacert={}", self.pki("etcd/ca.crt")))
            .arg(format!(
                "--cert={}",
                self.pki("etcd/healthcheck-client.crt")
            ))
            .arg(format!("--key={}", self.pki("etcd/healthcheck-client.key")))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(input).unwrap();
        let output = process.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    }
}

async fn verdict(node: &Inventory) -> (Readings, Verdict) {
    let began = Instant::now();
    let readings = read(node, &[]).await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(11), "{took:?}");
    let verdict = judge(&readings, None, MEMBER);
    println!("    read in {took:.1?}");
    for one in &verdict.objections {
        println!("    {}: {one}", one.code());
    }
    for one in &verdict.warnings {
        println!("    warning, {}: {one}", one.code());
    }
    (readings, verdict)
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.objections.iter().map(Objection::code).collect()
}

/// Until it is so; what was read then.
async fn until(
    what: &str,
    node: &Inventory,
    mut is_so: impl FnMut(&Readings, &Verdict) -> bool,
) -> Readings {
    let began = Instant::now();
    loop {
        if let Ok(readings) = read(node, &[]).await {
            let verdict = judge(&readings, None, MEMBER);
            if is_so(&readings, &verdict) {
                println!("{what}: after {:.1?}", began.elapsed());
                return readings;
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{what}: {verdict:?}"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn programs() -> PathBuf {
    let folder = std::env::var("KUBECERTD_TEST_ETCD").expect("the folder of etcd and etcdctl");
    Path::new(&folder).to_path_buf()
}

#[tokio::test]
#[ignore = "needs etcd: tests/e2e/etcd"]
async fn real_members_are_read_as_they_are() {
    let mut members = Members::new(programs());
    let node = members.node_of(0);
    let readings = until("three members well", &node, |_, verdict| verdict.allows()).await;
    let own = readings.own_member().unwrap().status.clone().unwrap();
    println!("etcd {}", own.version);
    let old = own.version.starts_with("3.4.");

    // The leader gives its leadership away.
    let position = |readings: &Readings| {
        let leader = readings
            .own_member()
            .unwrap()
            .status
            .as_ref()
            .unwrap()
            .leader;
        let name = &readings.member(leader).unwrap().name;
        members
            .all
            .iter()
            .position(|one| one.name == *name)
            .unwrap()
    };
    let leads = position(&readings);
    let node = members.node_of(leads);
    let (before, _) = verdict(&node).await;
    let Leadership::Moved { to, took } = move_leadership(&node, &before).await.unwrap() else {
        panic!("it leads");
    };
    println!(
        "{} gave the leadership to {to} in {took:.1?}",
        members.all[leads].name
    );
    let (readings, now) = verdict(&node).await;
    assert!(now.allows());
    assert_eq!(readings.who(to.id), to);
    let led = position(&readings);
    assert_eq!(members.all[led].name, to.name);
    let again = move_leadership(&node, &readings).await.unwrap();
    assert_eq!(again, Leadership::Elsewhere);

    // It goes, and comes back.
    let before = readings;
    members.all[leads].kill();
    members.start(leads, "existing");
    until("the member is back and has caught up", &node, |after, _| {
        caught_up(&before, after).is_empty()
    })
    .await;

    // One that is killed keeps the next from going.
    until("all are well again", &node, |_, verdict| verdict.allows()).await;
    let other = (0..3)
        .find(|index| *index != leads && *index != led)
        .unwrap();
    members.all[other].kill();
    println!("{} was killed:", members.all[other].name);
    let (_, now) = verdict(&node).await;
    assert_eq!(codes(&now), ["etcd-quorum"]);
    let error = now.warnings[0].to_string();
    assert!(error.contains(&members.all[other].name), "{error}");
    // Without a quorum nothing is confirmed.
    members.all[led].kill();
    println!("{} was killed as well:", members.all[led].name);
    let (_, now) = verdict(&node).await;
    let found = codes(&now);
    assert!(found.contains(&"etcd-quorum"), "{found:?}");
    assert!(old || found.contains(&"etcd-list-unconfirmed"), "{found:?}");
    for index in [other, led] {
        members.start(index, "existing");
    }
    until("all are well again", &node, |_, verdict| verdict.allows()).await;

    // A fourth, as a learner, until it is promoted.
    members.all.push(Member::new("cp4"));
    let url = format!("--peer-urls={}", members.all[3].peer_url());
    // etcd adds none to members that have only just found each other.
    let began = Instant::now();
    loop {
        let said = members.control(0, &["member", "add", "cp4", "--learner", &url], b"");
        if said.contains(" added to cluster ") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{said}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("cp4 was added:");
    let (_, now) = verdict(&node).await;
    assert_eq!(codes(&now), ["etcd-not-started", "etcd-learner"]);
    members.start(3, "existing");
    let readings = until("cp4 has started", &node, |_, verdict| {
        codes(verdict) == ["etcd-learner"]
    })
    .await;
    let id = readings
        .members
        .iter()
        .find(|one| one.name == "cp4")
        .unwrap()
        .id;
    let id = format!("{id:x}");
    println!(
        "{}",
        members.control(0, &["member", "promote", &id], b"").trim()
    );
    until("of four one may go", &node, |readings, verdict| {
        readings.members.len() == 4 && verdict.allows()
    })
    .await;

    // The database fills up.
    let value: Vec<u8> = (0..1 << 20)
        .map(|at: u32| at.to_le_bytes()[1] | 1)
        .collect();
    let mut almost_full = false;
    for number in 0..40 {
        let said = members.control(0, &["put", &format!("key{number}")], &value);
        let (_, now) = verdict(&node).await;
        let found = codes(&now);
        if said.contains("OK") {
            almost_full |= found.contains(&"etcd-database");
            continue;
        }
        assert!(said.contains("database space exceeded"), "{said}");
        break;
    }
    assert!(almost_full);
    let (_, now) = verdict(&node).await;
    let is_alarm = |one: &Objection| {
        matches!(
            one,
            Objection::EtcdAlarm {
                alarm: AlarmKind::NoSpace,
                ..
            }
        )
    };
    assert!(now.objections.iter().any(is_alarm), "{now:?}");
    assert!(!codes(&now).contains(&"etcd-unwell"), "{now:?}");
}
