//! Members of an etcd that answer over its HTTP gateway, as wrongly as a test wants.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

use kubecertd::node::Inventory;

use crate::loopback::{NODE_ADDRESS, words};
use crate::node::{Node, PKI};
use crate::peer::{Asked, Clients, Listener, Replier, Reply, listen_as};

/// What a member says, whatever it is asked.
pub type Says = Box<dyn Fn(&Asked) -> Option<Reply> + Send>;

/// One member and what it says of itself.
pub struct Member {
    pub id: u64,
    pub name: String,
    pub urls: Vec<String>,
    pub is_learner: bool,
    pub answers_as: u64,
    pub leader: u64,
    pub term: u64,
    pub applied: u64,
    /// Asked first.
    pub says: Option<Says>,
}

pub struct State {
    pub members: Vec<Member>,
    /// `(member, alarm)`
    pub alarms: Vec<(u64, String)>,
    /// Whether a question for the leadership moves it.
    pub moves: bool,
    /// The first lines of all requests with the client's name, by member.
    pub asked: Vec<(u64, String, String)>,
}

/// Members cp1 (this node's), cp2, ... with the ids 1, 2, ..., of which the first leads.
pub struct Etcd {
    pub node: Node,
    state: Arc<Mutex<State>>,
    listeners: Vec<Option<Listener>>,
}

impl Etcd {
    pub async fn start(count: u64) -> Self {
        let node = Node::with_authorities();
        for name in ["server", "healthcheck-client"] {
            node.leaf(&format!("etcd/{name}"), &node.etcd_ca, name);
        }
        let state = Arc::new(Mutex::new(State {
            members: Vec::new(),
            alarms: Vec::new(),
            moves: true,
            asked: Vec::new(),
        }));
        let mut etcd = Self {
            node,
            state,
            listeners: Vec::new(),
        };
        for id in 1..=count {
            etcd.add(id).await;
        }
        let port = etcd.listeners[0].as_ref().unwrap().port;
        etcd.node.manifest(
            "etcd",
            &words(&[
                "etcd",
                "--name=cp1",
                &format!("--listen-client-urls=https://127.0.0.1:{port}"),
                &format!("--cert-file={PKI}/etcd/server.crt"),
                &format!("--key-file={PKI}/etcd/server.key"),
                &format!("--trusted-ca-file={PKI}/etcd/ca.crt"),
            ]),
        );
        etcd
    }

    /// One more, which is well.
    pub async fn add(&mut self, id: u64) {
        let address = if id == 1 { "127.0.0.1" } else { NODE_ADDRESS };
        let state = Arc::clone(&self.state);
        let replier: Replier = Arc::new(move |asked| state.lock().unwrap().reply(id, asked));
        let pair = self.node.pair("etcd/server");
        let clients = Clients::must(&self.node.etcd_ca);
        let listener = listen_as((address, 0), pair, clients, id.is_multiple_of(2), replier).await;
        let url = format!("https://{address}:{}", listener.port);
        self.listeners.push(Some(listener));
        self.state().members.push(Member {
            id,
            name: format!("cp{id}"),
            urls: vec![url],
            is_learner: false,
            answers_as: id,
            leader: 1,
            term: 7,
            applied: 5_000,
            says: None,
        });
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes one member.
    pub fn change(&self, id: u64, change: impl FnOnce(&mut Member)) {
        let mut state = self.state();
        change(state.members.iter_mut().find(|one| one.id == id).unwrap());
    }

    /// What it says, whatever it is asked.
    pub fn says(&self, id: u64, says: impl Fn(&Asked) -> Option<Reply> + Send + 'static) {
        self.change(id, |member| member.says = Some(Box::new(says)));
    }

    /// Nothing listens there any more.
    pub fn stop(&mut self, id: u64) {
        let index = usize::try_from(id - 1).unwrap();
        self.listeners[index] = None;
    }

    pub fn inventory(&self) -> Inventory {
        self.node.observe_without_kubelet()
    }
}

impl State {
    fn reply(&mut self, id: u64, asked: &Asked) -> Reply {
        let client = asked.client.clone().unwrap_or_default();
        self.asked.push((id, asked.line.clone(), client));
        let own = self.members.iter().find(|one| one.id == id).unwrap();
        if let Some(reply) = own.says.as_ref().and_then(|says| says(asked)) {
            return reply;
        }
        let path = asked.line.split(' ').nth(1).unwrap_or_default();
        let body = match path {
            "/v3/cluster/member/list" => self.list(),
            "/v3/maintenance/status" => status(own),
            "/v3/maintenance/alarm" => self.alarms(),
            "/v3/maintenance/transfer-leadership" => {
                let target = asked.text.split('"').nth(3).unwrap().parse().unwrap();
                if self.moves {
                    for member in &mut self.members {
                        member.leader = target;
                        member.term += 1;
                    }
                }
                r#"{"header":{}}"#.to_owned()
            }
            _ => return Reply::Answer(404, "404 page not found".to_owned()),
        };
        Reply::Answer(200, body)
    }

    fn list(&self) -> String {
        let members: Vec<String> = self.members.iter().map(listed).collect();
        format!(
            r#"{{"header":{{"cluster_id":"9"}},"members":[{}]}}"#,
            members.join(",")
        )
    }

    fn alarms(&self) -> String {
        let mut list = String::new();
        for (member, alarm) in &self.alarms {
            let comma = if list.is_empty() { "" } else { "," };
            write!(
                list,
                r#"{comma}{{"memberID":"{member}","alarm":"{alarm}"}}"#
            )
            .unwrap();
        }
        format!(r#"{{"header":{{}},"alarms":[{list}]}}"#)
    }
}

fn listed(member: &Member) -> String {
    let learner = if member.is_learner {
        r#","isLearner":true"#
    } else {
        ""
    };
    format!(
        r#"{{"ID":"{}","name":{},"peerURLs":["\u001b: //x y@","https://{NODE_ADDRESS}:2380"],"clientURLs":{}{learner}}}"#,
        member.id,
        serde_json::to_string(&member.name).unwrap(),
        serde_json::to_string(&member.urls).unwrap(),
    )
}

fn status(member: &Member) -> String {
    let learner = if member.is_learner {
        r#","isLearner":true"#
    } else {
        ""
    };
    format!(
        r#"{{"header":{{"cluster_id":"9","member_id":"{}","revision":"3","raft_term":"{}"}},"version":"3.5.30","dbSize":"20480","leader":"{}","raftIndex":"{}","raftTerm":"{}","raftAppliedIndex":"{}","dbSizeInUse":"16384"{learner}}}"#,
        member.answers_as, member.term, member.leader, member.applied, member.term, member.applied,
    )
}
