//! The kubelet asks for its serving certificate itself (`serverTLSBootstrap`): switched on or off on this node as an operation like any
//! other, and in the cluster's kubelet-config, from which kubeadm writes the configuration of nodes that join or are upgraded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::adopted::Adopted;
use super::api_access::api_access;
use super::checks::{may_be_put_there, permit, preflight_for, take_lock};
use super::execute::{Change, execute};
use super::kubelet_repair::{kubelet_plan, may_restart_kubelet};
use super::recover::finish;
use super::report::RenewalReport;
use super::requests::{Decided, Wanted, decide_request, list_requests};
use super::restarts::may_restart;
use super::run::Run;
use super::waiting::reported;
use super::{Context, Event, OperationError};
use crate::api::{Access, ApiError, ConfigMaps};
use crate::checks::{Asked, Finding, Intent};
use crate::cluster::{Known, SERVING, Verdict};
use crate::host::stopped;
use crate::issuer::{Given, Replacement};
use crate::journal::{OperationKind, Trigger};
use crate::net::Address;
use crate::node::{
    BootstrapEdit, CertificateId, Inventory, Replaceable, Signer, with_serving_bootstrap,
};
use crate::probe::prove;

/// What the kubelet serves by then, in its `--cert-dir`.
const CURRENT: &str = "kubelet-server-current.pem";
const SYSTEM: &str = "kube-system";
const CONFIG_MAP: &str = "kubelet-config";
/// Its key.
const KEY: &str = "kubelet";
/// So often it is tried upon a ConfigMap that others write to meanwhile.
const MOST_TRIES: usize = 5;
/// From the kubelet's restart until it serves a certificate that the cluster signed.
const SERVED_WITHIN: Duration = Duration::from_secs(180);
/// So long a request that does not pass is looked at again: a Node may be too young, or its addresses not be there yet.
const DOUBTED_FOR: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_secs(2);
/// For the proof of a certificate that is there.
const PROOF: Duration = Duration::from_secs(20);

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapChanges {
    /// In the kubelet's configuration on this node: its file, and how.
    pub node: Option<(PathBuf, BootstrapEdit)>,
    /// In the cluster's `kube-system/kubelet-config`.
    pub cluster: Option<BootstrapEdit>,
}

/// What became of it.
#[derive(Debug)]
pub struct BootstrapReport {
    /// What was to be changed.
    pub changes: BootstrapChanges,
    /// The operation on this node; `None` where nothing was to be changed here.
    pub renewal: Option<RenewalReport>,
    /// Why the cluster's configuration could not be changed, if it could not.
    pub cluster_failed: Option<ApiError>,
    /// What the kubelet serves now.
    pub serving: ServingSeen,
}

/// What the kubelet serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServingSeen {
    /// A certificate that the cluster's CA signed, as a handshake shows.
    Proved(String),
    /// Nothing: its request does not pass every check.
    Waits {
        /// The request's name.
        request: String,
        /// Why.
        reasons: Vec<String>,
    },
    /// It could not be seen, for this reason.
    NotSeen(String),
    /// What it made itself: it is switched off.
    Off,
}

/// What would be changed to have it so.
///
/// # Errors
/// [`OperationError::KubeletConfiguration`] where it cannot be edited in place, [`OperationError::ClusterConfiguration`].
pub async fn bootstrap_changes(
    context: &Context,
    node: &Inventory,
    wanted: bool,
) -> Result<BootstrapChanges, OperationError> {
    if !node.kubelet.present {
        return Err(OperationError::KubeletConfiguration {
            path: context.config.locations.kubelet_configuration.clone(),
            reason: "there is no configuration of a kubelet that can be read".to_owned(),
        });
    }
    let file = &node.kubelet.file;
    let refused = |reason: String| OperationError::KubeletConfiguration {
        path: context.root.node_path(file),
        reason,
    };
    let text = context
        .root
        .read(file)
        .map_err(|error| refused(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| refused("it is no text".to_owned()))?;
    let edit = with_serving_bootstrap(&text, wanted).map_err(refused)?;
    if edit.is_none() && node.kubelet.server_tls_bootstrap != wanted {
        return Err(refused(format!(
            "it says serverTLSBootstrap: {wanted}, and a file of the kubelet's --config-dir says otherwise; change that one"
        )));
    }
    let map = ClusterMap::of(context, node)?;
    let (_, cluster) = map.edit(wanted).await?;
    Ok(BootstrapChanges {
        node: edit.map(|edit| (file.clone(), edit)),
        cluster,
    })
}

/// Switches it on or off: on this node, as one transaction with the kubelet's restart, then in the cluster's configuration; then follows
/// the kubelet until it serves what it should, and approves its request where that passes every check.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub async fn set_serving_bootstrap(
    context: &Context,
    (wanted, force): (bool, bool),
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<BootstrapReport, OperationError> {
    let (changes, renewal) = {
        let lock = take_lock(context)?;
        let mut run = Run::new(context, &lock, stop, &mut *events);
        finish(&mut run).await?;
        run.learn_of_others().await;
        let node = run.node();
        let changes = bootstrap_changes(context, &node, wanted).await?;
        let renewal = match &changes.node {
            None => None,
            Some(change) => Some(Box::pin(on_node(&mut run, change, (wanted, force))).await?),
        };
        (changes, renewal)
    };
    let node = context.observe();
    let cluster_failed = match &changes.cluster {
        None => None,
        Some(_) => in_cluster(context, &node, wanted).await.err(),
    };
    let serving = if !wanted {
        ServingSeen::Off
    } else if !context.is_live() || !may_restart(context) {
        ServingSeen::NotSeen("the kubelet was not restarted".to_owned())
    } else {
        let waiting = served(context, stop);
        let what = ("kubelet", "its serving certificate");
        reported(waiting, what, SERVED_WITHIN, events).await
    };
    Ok(BootstrapReport {
        changes,
        renewal,
        cluster_failed,
        serving,
    })
}

/// The transaction on this node.
async fn on_node(
    run: &mut Run<'_>,
    (file, edit): &(PathBuf, BootstrapEdit),
    (wanted, force): (bool, bool),
) -> Result<RenewalReport, OperationError> {
    let (context, node, now) = (run.context, run.node(), crate::host::now());
    let asked = Asked::ByHand { force };
    let intent = Intent {
        targets: [file.clone()].into(),
        ..Intent::default()
    };
    let mut found: Vec<Finding> = preflight_for(context, &node, &intent, asked, now);
    found.extend(may_restart_kubelet(context, &node, asked).await);
    permit(run, found)?;
    let replaceable = Replaceable::of(&context.root, &node);
    let files = vec![Replacement {
        id: CertificateId::KubeletServing(CURRENT.into()),
        path: file.clone(),
        contents: Zeroizing::new(edit.text.clone().into_bytes()),
        mode_if_new: 0o644,
        given: Given::default(),
    }];
    may_be_put_there(context, (&node, &replaceable), &files).map_err(|fault| {
        OperationError::KubeletConfiguration {
            path: context.root.node_path(file),
            reason: fault.text,
        }
    })?;
    let word = if wanted { "enable" } else { "disable" };
    let change = Change {
        kind: OperationKind::Renew,
        trigger: Trigger::Command(format!("kubelet serving-bootstrap {word}")),
        certificates: Vec::new(),
        plan: kubelet_plan(context, &node, now)?,
        had_expired: false,
        files,
        replaceable,
        no_restart: None,
        adopted: Adopted::default(),
        beside: context.store().in_flight()?,
        begun: Instant::now(),
    };
    Box::pin(execute(run, change, RenewalReport::default())).await
}

/// The cluster's configuration of kubelets.
struct ClusterMap {
    access: Arc<Access>,
    servers: Vec<Address>,
}

impl ClusterMap {
    fn of(context: &Context, node: &Inventory) -> Result<Self, ApiError> {
        let known = Known::read(&context.store());
        let (access, servers) = api_access(context, node, &known)?;
        Ok(Self { access, servers })
    }

    /// Its version, and what would be changed in it.
    async fn edit(&self, wanted: bool) -> Result<(String, Option<BootstrapEdit>), OperationError> {
        let unusual = |reason: String| OperationError::KubeletConfiguration {
            path: PathBuf::from(format!("ConfigMap {SYSTEM}/{CONFIG_MAP}")),
            reason,
        };
        let found = self.read().await?;
        let Some((version, text)) = found else {
            // kubeadm makes it; who has none, has no node made from it.
            return Ok((String::new(), None));
        };
        let edit = with_serving_bootstrap(&text, wanted).map_err(unusual)?;
        Ok((version, edit))
    }

    async fn read(&self) -> Result<Option<(String, String)>, ApiError> {
        let mut last = None;
        for server in &self.servers {
            let maps = ConfigMaps::at(&self.access, server, SYSTEM);
            match maps.versioned(CONFIG_MAP, KEY).await {
                Err(error) if error.may_differ_elsewhere() => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(ApiError::no_server))
    }

    async fn write(&self, version: &str, text: &str) -> Result<(), ApiError> {
        let mut last = None;
        for server in &self.servers {
            let maps = ConfigMaps::at(&self.access, server, SYSTEM);
            match maps.set(CONFIG_MAP, version, (KEY, text)).await {
                Err(error) if error.may_differ_elsewhere() => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(ApiError::no_server))
    }
}

/// Changes the cluster's configuration, upon the version that was read.
async fn in_cluster(context: &Context, node: &Inventory, wanted: bool) -> Result<(), ApiError> {
    let map = ClusterMap::of(context, node)?;
    let mut last = None;
    for _ in 0..MOST_TRIES {
        let (version, edit) = match map.edit(wanted).await {
            Ok(read) => read,
            Err(OperationError::ClusterConfiguration(error)) => return Err(error),
            Err(error) => {
                return Err(ApiError::ApiConflict {
                    reason: error.to_string(),
                });
            }
        };
        let Some(edit) = edit else {
            return Ok(());
        };
        match map.write(&version, &edit.text).await {
            Err(error @ ApiError::ApiConflict { .. }) => last = Some(error),
            answer => return answer,
        }
    }
    Err(last.unwrap_or_else(ApiError::no_server))
}

/// Follows the kubelet until it serves what the cluster's CA signed.
async fn served(context: &Context, stop: &watch::Receiver<bool>) -> ServingSeen {
    let began = Instant::now();
    let mut doubted: Option<(Instant, ServingSeen)> = None;
    let mut seen = "it made no request".to_owned();
    while began.elapsed() < SERVED_WITHIN {
        let node = context.observe();
        match proved(context, &node).await {
            Ok(evidence) => return ServingSeen::Proved(evidence),
            Err(Some(reason)) => seen = reason,
            Err(None) => match decided(context, &node).await {
                Ok(Some(waits)) => {
                    let (since, _) = doubted.get_or_insert((Instant::now(), waits.clone()));
                    if since.elapsed() > DOUBTED_FOR {
                        return waits;
                    }
                }
                Ok(None) => {}
                Err(error) => seen = error.to_string(),
            },
        }
        tokio::select! {
            biased;
            () = stopped(stop) => break,
            () = sleep(LOOK) => {}
        }
    }
    doubted.map_or(ServingSeen::NotSeen(seen), |(_, waits)| waits)
}

/// The evidence that it serves the certificate that it has of the cluster's CA; `None` where it has none.
async fn proved(context: &Context, node: &Inventory) -> Result<String, Option<String>> {
    let entry = node.entries.iter().find(|entry| {
        entry.id.is_kubelets_server() && entry.certificate_path.ends_with(Path::new(CURRENT))
    });
    let entry = entry.ok_or(None)?;
    let present = entry.present().ok_or(None)?;
    let is_current =
        present.signer == Signer::Expected && present.leaf.is_valid_at(crate::host::now());
    if !is_current {
        return Err(None);
    }
    let id = entry.id.clone();
    let proofs = prove(node, &context.config.restart, &[id], PROOF).await;
    match proofs.into_iter().next() {
        Some(Ok(proof)) => Ok(proof.evidence),
        Some(Err(error)) => Err(Some(error.to_string())),
        None => Err(None),
    }
}

/// Approves the newest request of this node's kubelet, where it passes every check; what speaks against it where it does not.
async fn decided(context: &Context, node: &Inventory) -> Result<Option<ServingSeen>, ApiError> {
    let name = node.node_name.as_deref().unwrap_or_default();
    let requests = list_requests(context, node).await?;
    let newest = requests
        .into_iter()
        .filter(|one| one.signer == SERVING && one.node() == Some(name) && one.is_pending())
        .filter(crate::cluster::KubeletRequest::has_plain_name)
        .max_by_key(|one| one.created);
    let Some(request) = newest else {
        return Ok(None);
    };
    let wanted = Wanted::Approve { force: false };
    match decide_request(context, node, &request.name, wanted).await? {
        Decided::Refused(reviewed) => {
            let reasons = match reviewed.judgement.verdict() {
                Verdict::Approve => Vec::new(),
                Verdict::Leave(reasons) | Verdict::Deny(reasons) => reasons,
            };
            Ok(Some(ServingSeen::Waits {
                request: request.name,
                reasons: reasons.iter().map(ToString::to_string).collect(),
            }))
        }
        Decided::Done(_) | Decided::Already(_) | Decided::Gone => Ok(None),
    }
}
