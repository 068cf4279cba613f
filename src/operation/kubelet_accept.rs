//! A kubelet's client certificate that was made on a control plane, put in place on a worker that was off until its own had ended.

use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use super::adopted::Adopted;
use super::checks::{may_be_put_there, permit, take_lock};
use super::execute::{Change, execute};
use super::issue::receipt_lines;
use super::kubelet_repair::{kubelet_plan, look_at_kubelet};
use super::recover::finish;
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use super::{Context, Event, OperationError};
use crate::checks::{Asked, Finding, Intent};
use crate::credentials::NodeFile;
use crate::host::read_bounded;
use crate::issuer::{Issued, Replacement, kubelet_files};
use crate::journal::{OperationKind, Trigger};
use crate::node::{
    CertificateId, Credential, Entry, Inventory, Kubeconfig, Replaceable, TrustHolder,
};
use crate::pki::{AuthorityId, Certificate, PrivateKey, certificates_from_pem};
use crate::plan::{
    OwnKnowledge, Presented, ReadmissionDoubt, readmission_doubts, readmission_signer,
};
use crate::report::{Described, RenewedCertificate};

/// What this command is called in journals and receipts.
const COMMAND: &str = "kubelet accept";

/// A file that may be taken, and what speaks against it all the same.
#[derive(Debug)]
pub struct Admission {
    file: NodeFile,
    issued: Issued,
    /// Whether the kubelet has no readable certificate that this one follows.
    follows_none: bool,
    /// What `--force` overrules.
    pub overruled: Vec<ReadmissionDoubt>,
}

/// What became of it.
#[derive(Debug)]
pub struct Accepted {
    /// What was done.
    pub report: RenewalReport,
    /// The file, of which nothing is needed any more.
    pub file: NodeFile,
}

/// Takes the certificate of a file for this node's kubelet, restarts that and proves that the API server accepts it. The file stays.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub async fn accept_kubelet(
    context: &Context,
    file: NodeFile,
    force: bool,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Accepted, OperationError> {
    let lock = take_lock(context)?;
    let mut run = Run::new(context, &lock, stop, events);
    finish(&mut run).await?;
    let node = run.node();
    let now = crate::host::now();
    let admission = admission(context, &node, file, force, now)?;
    let asked = Asked::ByHand { force };
    let found = look_at_kubelet(context, &node, &intent(context, &node), asked).await;
    permit(&mut run, found)?;
    let mut report = RenewalReport::default();
    for doubt in &admission.overruled {
        let remark = Remark::AcceptedByForce {
            doubt: doubt.to_string(),
        };
        run.remark(remark.clone());
        report.warnings.push(remark);
    }
    let replaceable = Replaceable::of(&context.root, &node);
    let change = Change {
        kind: OperationKind::Renew,
        trigger: Trigger::Command(COMMAND.to_owned()),
        certificates: lines(&node, &admission),
        plan: kubelet_plan(context, &node, now)?,
        had_expired: admission.follows_none || !admission.issued.old.is_valid_at(now),
        files: files(context, &node, &replaceable, &admission, now)?,
        replaceable,
        no_restart: None,
        adopted: Adopted::default(),
        beside: run.context.store().in_flight()?,
        begun: Instant::now(),
    };
    let report = Box::pin(execute(&mut run, change, report)).await?;
    Ok(Accepted {
        report,
        file: admission.file,
    })
}

/// What taking a file would come to, with what speaks against doing it now. Nothing is changed.
///
/// # Errors
/// [`OperationError`] where it is not taken.
pub async fn look_at_admission(
    context: &Context,
    file: NodeFile,
    force: bool,
) -> Result<(Admission, Vec<Finding>), OperationError> {
    let node = context.observe();
    let admission = admission(context, &node, file, force, crate::host::now())?;
    let asked = Asked::ByHand { force };
    let found = look_at_kubelet(context, &node, &intent(context, &node), asked).await;
    Ok((admission, found))
}

impl Admission {
    /// The certificate that would be taken.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.issued.certificate
    }
}

fn admission(
    context: &Context,
    node: &Inventory,
    file: NodeFile,
    force: bool,
    now: Timestamp,
) -> Result<Admission, OperationError> {
    let refused = |reasons: Vec<String>| OperationError::KubeletFileRefused {
        path: file.shown().to_path_buf(),
        reasons,
    };
    let one = |reason: String| refused(vec![reason]);
    let read = Kubeconfig::parse_sole(&file.contents).map_err(|error| one(error.to_string()))?;
    let (Credential::Embedded(certificate), Credential::Embedded(key)) =
        (&read.certificate, &read.key)
    else {
        return Err(one("what it has must be in it".to_owned()));
    };
    let certificates =
        certificates_from_pem(certificate).map_err(|error| one(error.to_string()))?;
    let key = PrivateKey::from_pem(key).map_err(|error| one(error.to_string()))?;
    let brought = match &read.certificate_authority {
        Some(pem) => certificates_from_pem(pem).map_err(|error| one(error.to_string()))?,
        None => Vec::new(),
    };
    let server = own_server(context, node).map_err(one)?;
    let name = node.node_name.as_deref().ok_or_else(|| {
        one("what this node is called is not known: it has neither a certificate of its kubelet's nor a host name".to_owned())
    })?;
    let trusted = trusted(node);
    let entry =
        followed(node).ok_or_else(|| one("the kubelet has no kubelet.conf here".to_owned()))?;
    let present = entry.present().map(|present| &present.leaf);
    let presented = Presented {
        certificates: &certificates,
        key: &key,
        server: &read.server,
        authorities: &brought,
    };
    let own = OwnKnowledge {
        node: name,
        server: &server,
        trusted: &trusted,
        present,
    };
    let (overruled, blocking): (Vec<_>, Vec<_>) = readmission_doubts(&presented, &own, now)
        .into_iter()
        .partition(|doubt| force && doubt.may_be_overruled());
    if !blocking.is_empty() {
        return Err(refused(blocking.iter().map(ToString::to_string).collect()));
    }
    let leaf = certificates.first().cloned();
    let leaf = leaf.ok_or_else(|| one(ReadmissionDoubt::NotOne(0).to_string()))?;
    let signer = readmission_signer(&leaf, &trusted, now)
        .or_else(|| readmission_signer(&leaf, &brought, now))
        .cloned()
        .ok_or_else(|| {
            one(ReadmissionDoubt::SignedByNobody {
                issuer: leaf.issuer.clone(),
            }
            .to_string())
        })?;
    let issued = Issued {
        id: entry.id.clone(),
        old: present.unwrap_or(&leaf).clone(),
        certificate: leaf,
        chain: Vec::new(),
        key,
        signer,
        made: now,
    };
    Ok(Admission {
        follows_none: present.is_none(),
        file,
        issued,
        overruled,
    })
}

/// The entry whose certificate the kubelet uses, or would.
fn followed(node: &Inventory) -> Option<&Entry> {
    let config = node.entry(&CertificateId::KubeletConfig)?;
    let embedded = config.certificate_path == config.path;
    let client = node
        .entry(&CertificateId::KubeletClient)
        .filter(|client| embedded || client.path == config.certificate_path);
    let both = [client, Some(config)];
    let mut present = both
        .iter()
        .flatten()
        .filter(|entry| entry.present().is_some());
    present.next().copied().or(client).or(Some(config))
}

/// The CAs of this cluster, by what lay on this node before: kubelet.conf's, and the one that kubeadm put here.
fn trusted(node: &Inventory) -> Vec<Certificate> {
    let of_config = |holder: &TrustHolder| matches!(holder, TrustHolder::Kubeconfig { id, .. } if *id == CertificateId::KubeletConfig);
    let own = node
        .trusts
        .iter()
        .filter(|trust| of_config(&trust.holder))
        .filter_map(|trust| trust.authorities.as_deref());
    let kubeadms = node.authority(AuthorityId::Kubernetes);
    let kubeadms = kubeadms.and_then(|authority| authority.certificates());
    own.chain(kubeadms).flatten().cloned().collect()
}

/// The API server that kubelet.conf has.
fn own_server(context: &Context, node: &Inventory) -> Result<String, String> {
    let path = node.directories.kubernetes.join("kubelet.conf");
    let shown = context.root.node_path(&path);
    let said = |error: &dyn std::fmt::Display| {
        format!(
            "{}: {error}; it says to which cluster this node belongs: restore it, or join the node anew with kubeadm",
            shown.display()
        )
    };
    let real = context.root.resolve(&path).map_err(|error| said(&error))?;
    let contents = read_bounded(&real).map_err(|error| said(&error))?;
    let config =
        Kubeconfig::parse(zeroize::Zeroizing::new(contents)).map_err(|error| said(&error))?;
    Ok(config.server)
}

fn intent(context: &Context, node: &Inventory) -> Intent {
    let entries = node.entries.iter();
    let clients: Vec<&Entry> = entries
        .filter(|entry| entry.id.is_kubelets_client())
        .collect();
    Intent::of_entries(node, &clients, &context.config.renewal)
}

fn files(
    context: &Context,
    node: &Inventory,
    replaceable: &Replaceable,
    admission: &Admission,
    now: Timestamp,
) -> Result<Vec<Replacement>, OperationError> {
    let refused = |reason: String| OperationError::KubeletFileRefused {
        path: admission.file.shown().to_path_buf(),
        reasons: vec![reason],
    };
    let files = kubelet_files(&context.root, node, &admission.issued, now)
        .map_err(|error| refused(error.to_string()))?;
    may_be_put_there(context, (node, replaceable), &files).map_err(|fault| refused(fault.text))?;
    Ok(files)
}

fn lines(node: &Inventory, admission: &Admission) -> Vec<RenewedCertificate> {
    let mut lines = receipt_lines(node, &admission.issued);
    if admission.follows_none {
        for line in &mut lines {
            // Nothing is known of the one before.
            line.old_serial = "-".to_owned();
            line.old_not_after = admission.issued.made;
            line.old = None::<Described>;
        }
    }
    lines
}
