//! A node that runs: manifests, a kubelet, a container runtime on a socket, an API server that serves what was on the disk
//! when its container started.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::Config;
use kubecertd::journal::{Lock, Trigger};
use kubecertd::operation::{
    Context, Event, Machine, MoreNames, OperationError, Options, RecoveryReport, RenewalReport,
    finish_recovery, renew,
};
use kubecertd::pki::{NewLeaf, SubjectAltName, Validity};
use kubecertd::plan::Request;
use kubecertd::report::{History, Receipt};
use kubecertd::runtime::KubeletService;
use tokio::sync::watch;

use crate::cri::{self, Runtime, Shared};
use crate::kubelet::{self, Containers, Kubelet};
use crate::loopback::{serial_in, words};
use crate::node::{Node, PKI};
use crate::pair::Pair;
use crate::peer::{Clients, Handler, Listener, listen};

pub const API_SERVER: &str = "kube-apiserver";
pub const GRACE: Duration = Duration::from_millis(50);

/// Whether the API server gets well with a certificate, by its serial.
pub type Well = Arc<Mutex<Box<dyn Fn(&str) -> bool + Send>>>;

pub struct Live {
    pub context: Context,
    pub tree: Arc<Node>,
    well: Well,
    pub kubelet: Kubelet,
    told: Vec<Event>,
    listener: Option<Listener>,
}

impl Live {
    /// Its API server's certificate has this long to live; every other one is fresh.
    pub async fn start(remaining: SignedDuration) -> Self {
        let now = Timestamp::now();
        Self::start_with(valid(now - SignedDuration::from_mins(50), now + remaining)).await
    }

    /// Its API server's certificate is valid so long; every other one is fresh.
    pub async fn start_with(validity: Validity) -> Self {
        let tree = Arc::new(Node::with_authorities());
        leaf(&tree, "apiserver", validity);
        tree.leaf(
            "front-proxy-client",
            &tree.front_proxy_ca,
            "front-proxy-client",
        );
        tree.write_kubelet_settings("");
        let runtime = Runtime::new("v1");
        let socket = tree.path("/cri.sock");
        cri::serve(&socket, Arc::clone(&runtime));
        runtime.lock().unwrap().start(API_SERVER);
        serve_what_is_there(&tree);
        let well: Well = Arc::new(Mutex::new(Box::new(|_| true)));
        let listener = listen(
            ("127.0.0.1", 0),
            (tree.path("/served.crt"), tree.path("/served.key")),
            Clients::Anybody,
            true,
            health(&tree, &runtime, &well),
        )
        .await;
        tree.manifest(
            API_SERVER,
            &words(&[
                API_SERVER,
                &format!("--secure-port={}", listener.port),
                &format!("--tls-cert-file={PKI}/apiserver.crt"),
                &format!("--tls-private-key-file={PKI}/apiserver.key"),
                &format!("--proxy-client-cert-file={PKI}/front-proxy-client.crt"),
                &format!("--requestheader-client-ca-file={PKI}/asked.crt"),
            ]),
        );
        fs::copy(
            tree.path(&format!("{PKI}/front-proxy-ca.crt")),
            tree.path(&format!("{PKI}/asked.crt")),
        )
        .unwrap();
        let started = {
            let tree = Arc::clone(&tree);
            move |_: &str| serve_what_is_there(&tree)
        };
        let kubelet = kubelet::watch(
            tree.path("/etc/kubernetes/manifests"),
            GRACE,
            Containers {
                runtime,
                started,
                lingers: None,
            },
        );
        let mut config = Config::default();
        config.restart.container_runtime = Some(socket);
        config.restart.timeout = Duration::from_secs(2);
        fs::create_dir_all(tree.path("/proc")).unwrap();
        let machine = Machine {
            kubelet: KubeletService::through("/bin/true".into()),
            processes: tree.path("/proc"),
        };
        let context = Context {
            machine: Some(machine),
            ..Context::new(tree.root.clone(), config, None)
        };
        Self {
            context,
            tree,
            well,
            kubelet,
            told: Vec::new(),
            listener: Some(listener),
        }
    }

    pub fn serial(&self, name: &str) -> String {
        serial_in(&self.tree.pair(name).0)
    }

    pub fn served(&self) -> String {
        serial_in(&self.tree.path("/served.crt"))
    }

    pub fn is_well(&self, well: impl Fn(&str) -> bool + Send + 'static) {
        *self.well.lock().unwrap() = Box::new(well);
    }

    /// Nothing answers on the API server's port any more; which one that was.
    pub fn go_silent(&mut self) -> u16 {
        self.listener.take().unwrap().port
    }

    /// How often the API server was started again.
    pub fn restarts(&self) -> usize {
        let events = self.kubelet.events.lock().unwrap();
        events
            .iter()
            .filter(|line| line.starts_with("started"))
            .count()
    }

    pub fn receipts(&self) -> Vec<Receipt> {
        History::new(&self.context.store()).receipts().unwrap()
    }

    pub fn api_port(&self) -> u16 {
        self.listener.as_ref().map_or(0, |listener| listener.port)
    }

    pub fn in_flight(&self) -> usize {
        self.context.store().in_flight().unwrap().len()
    }

    pub async fn renew(
        &mut self,
        names: &[&str],
        stop: &watch::Receiver<bool>,
        on: &mut (dyn FnMut(&Event) + Send),
    ) -> Result<RenewalReport, OperationError> {
        let request = Request::Named {
            for_names: Vec::new(),
            names: words(names),
            force: true,
        };
        self.renew_requested(&request, stop, on).await
    }

    /// As the daemon does.
    pub async fn renew_due(&mut self) -> Result<RenewalReport, OperationError> {
        self.renew_requested(&Request::Due, &never(), &mut |_| ())
            .await
    }

    async fn renew_requested(
        &mut self,
        request: &Request,
        stop: &watch::Receiver<bool>,
        on: &mut (dyn FnMut(&Event) + Send),
    ) -> Result<RenewalReport, OperationError> {
        let options = Options {
            more_names: MoreNames::default(),
            trigger: Trigger::Command("renew".to_owned()),
            restart: true,
            node_down: false,
        };
        let told = &mut self.told;
        let mut events = |event| {
            on(&event);
            told.push(event);
        };
        renew(&self.context, request, &options, stop, &mut events).await
    }

    pub async fn recover(
        &mut self,
        on: &mut (dyn FnMut(&Event) + Send),
    ) -> Result<Vec<RecoveryReport>, OperationError> {
        let lock = Lock::take(&self.context.store()).unwrap();
        let told = &mut self.told;
        let mut events = |event| {
            on(&event);
            told.push(event);
        };
        finish_recovery(&self.context, &lock, &never(), &mut events).await
    }

    /// A renewal that ends at this event, as if the process had.
    pub async fn renew_cut_off(&mut self, names: &[&str], at: fn(&Event) -> bool) {
        let (sender, stop) = watch::channel(false);
        let mut on = |event: &Event| {
            if at(event) {
                sender.send(true).unwrap();
            }
        };
        let error = self.renew(names, &stop, &mut on).await.unwrap_err();
        assert!(matches!(error, OperationError::Stopped), "{error}");
        assert_eq!(self.in_flight(), 1);
        assert!(self.receipts().is_empty());
    }
}

pub fn never() -> watch::Receiver<bool> {
    watch::channel(false).1
}

pub fn valid(not_before: Timestamp, not_after: Timestamp) -> Validity {
    Validity {
        not_before,
        not_after,
    }
}

pub fn leaf(node: &Node, name: &str, validity: Validity) {
    let leaf = NewLeaf {
        common_name: API_SERVER.to_owned(),
        organizations: Vec::new(),
        subject_alt_names: vec![SubjectAltName::Ip("127.0.0.1".parse().unwrap())],
        server_auth: true,
        client_auth: false,
    };
    node.write_leaf(name, &Pair::sign(&leaf, &node.ca, validity));
}

pub fn serve_what_is_there(tree: &Node) {
    let (certificate, key) = tree.pair("apiserver");
    fs::copy(key, tree.path("/served.key")).unwrap();
    fs::copy(certificate, tree.path("/served.crt")).unwrap();
}

pub fn health(tree: &Arc<Node>, runtime: &Shared, well: &Well) -> Handler {
    let (tree, runtime, well) = (Arc::clone(tree), Arc::clone(runtime), Arc::clone(well));
    Arc::new(move |_, _| {
        let serial = serial_in(&tree.path("/served.crt"));
        if runtime.lock().unwrap().runs(API_SERVER) && (well.lock().unwrap())(&serial) {
            (200, "ok".to_owned())
        } else {
            (503, "not well".to_owned())
        }
    })
}
