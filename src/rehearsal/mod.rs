//! The whole renewal on a private copy of the node's files, with real handshakes before and after.
//!
//! [`rehearse`] makes a copy in which every certificate is a double, signed by throw-away CAs of the same names and with
//! keys of its own, renews everything there, serves each new server certificate on a loopback listener and connects to it
//! with each client certificate, both sides with the trust that they have on the node. No private key of the node is
//! copied, and nobody trusts what is signed. [`Sample`] makes the files of a node that does not exist, for a first look on
//! any machine and for tests.

mod copy;
mod doubles;
mod handshakes;
mod identity;
mod kubeconfig;
mod private;
mod sample;
mod sample_manifests;
mod sources;
mod trials;

pub use copy::CopyError;
pub use handshakes::{Check, Verdict};
pub use private::{PrivateDirectory, sweep};
pub use sample::{Sample, SampleError};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::config::{Config, Description, Issuers, Locations, RequestFiles};
use crate::files::Targets;
use crate::host::Root;
use crate::issuer::{Given, Replacement};
use crate::journal::Trigger;
use crate::node::{
    CertificateId, Entry, Inventory, KeyState, Kubeconfig, Problem, Replaceable, TrustHolder,
};
use crate::operation::{
    Context, Event, Fault, MoreNames, NotRenewed, OperationError, Options, Remark, RenewalReport,
    renew,
};
use crate::pki::certificates_to_pem;
use crate::plan::{Action, Note, Obstacle, PlanItem, Request, plan};

/// What a rehearsal showed.
#[derive(Debug)]
pub struct Rehearsal {
    /// What the renewal on the copy did. Its paths are the node's.
    pub renewal: RenewalReport,
    /// What is left alone, and why, as the node itself is.
    pub left: Vec<(CertificateId, Obstacle)>,
    /// What is to be known of a renewal on the node itself, by certificate.
    pub notes: Vec<(CertificateId, Note)>,
    /// What was to be looked at on the node and could not be.
    pub unread: Vec<Problem>,
    /// Every handshake, passed or not.
    pub checks: Vec<Check>,
    /// Files of the node that are different afterwards; there must be none.
    pub changed_outside: Vec<PathBuf>,
}

/// Why there was no rehearsal.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RehearsalError {
    /// The private directory, or the copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The renewal on the copy failed: why, with the node's paths.
    #[error("the renewal on the copy failed: {0}")]
    #[strum(serialize = "rehearsal-failed")]
    Renewal(String),
    /// The node has nothing to rehearse with.
    #[error(
        "no certificate of a kubeadm node was found below {}; `kubecertd rehearse --sample` makes one up",
        .0.display()
    )]
    NoNode(PathBuf),
}

impl RehearsalError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Copy(error) => error.code(),
            own => own.into(),
        }
    }
}

/// What is renewed on the copy: as much as possible.
const EVERYTHING: Request = Request::All { force: true };

/// Rehearses on a copy in `directory`, which the caller makes private and removes. Each event comes with its sentence, in which
/// paths are the node's.
///
/// # Errors
/// [`RehearsalError`].
pub async fn rehearse(
    context: &Context,
    directory: &Path,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(&Event, &str) + Send),
) -> Result<Rehearsal, RehearsalError> {
    let inventory = context.observe();
    if inventory
        .entries
        .iter()
        .all(|entry| entry.present().is_none())
    {
        return Err(RehearsalError::NoNode(
            context.root.directory().to_path_buf(),
        ));
    }
    let before = sources::states(&context.root, &inventory);
    let copy = Root::new(directory).map_err(|source| CopyError::File {
        path: directory.to_path_buf(),
        source,
    })?;
    let broken = copy::copy_node(context, &inventory, &copy)?;
    let there = Context::new(copy, located(context, &inventory), None);
    let copied = there.observe();
    let present = handshakes::handshakes(&there.root, &copied).await;
    let options = Options {
        more_names: MoreNames::default(),
        trigger: Trigger::Command("rehearse".to_owned()),
        restart: false,
        node_down: false,
    };
    let home = Home {
        copy: &there.root,
        node: &context.root,
    };
    let mut at_home = |event: Event| events(&event, &home.paths(&event.to_string()));
    let mut renewal = renew(&there, &EVERYTHING, &options, stop, &mut at_home)
        .await
        .map_err(|error: OperationError| RehearsalError::Renewal(home.paths(&error.to_string())))?;
    for NotRenewed { id, fault } in &mut renewal.failed {
        let authority = inventory.entry(id).and_then(|entry| entry.authority);
        fault.text = match broken.iter().find(|(broken, _)| Some(*broken) == authority) {
            Some((_, on_the_node)) => on_the_node.clone(),
            None => home.paths(&fault.text),
        };
    }
    let changed = there.observe();
    let trusting = trusting(&copied, &changed);
    let refused = refused(context, &inventory, &renewal, &trusting);
    renewal.failed.extend(refused);
    let renewed = handshakes::handshakes(&there.root, &changed).await;
    let mut checks = handshakes::compared(&present, renewed);
    for check in &mut checks {
        if let Verdict::Noted(reason) | Verdict::Failed(reason) = &mut check.verdict {
            *reason = home.paths(reason);
        }
    }
    let after = sources::states(&context.root, &inventory);
    let changed_outside = before
        .into_iter()
        .filter(|(path, state)| after.get(path) != Some(state))
        .map(|(path, _)| path)
        .collect();
    // What is asked for has no name that could be unknown.
    let own = plan(&inventory, &context.config, &EVERYTHING, crate::host::now())
        .map(|plan| plan.items)
        .unwrap_or_default();
    Ok(Rehearsal {
        left: left(&own, &renewal),
        notes: notes(&own, &renewal),
        unread: inventory.problems,
        renewal,
        checks,
        changed_outside,
    })
}

/// The configuration with what the kubelet's settings say about places: not every file that says it is copied.
fn located(context: &Context, inventory: &Inventory) -> Config {
    let on_node = |path: &Path| Some(context.root.node_path(path));
    let config = context.config.clone();
    // The copy is root's, and has no users.
    let of_nobody = |one| Description {
        owner: None,
        group: None,
        ..one
    };
    let described = config.locations.described.into_iter();
    Config {
        locations: Locations {
            manifests: on_node(&inventory.directories.manifests),
            kubelet_pki: on_node(&inventory.directories.kubelet_pki),
            described: described
                .map(|(name, one)| (name, of_nobody(one)))
                .collect(),
            ..config.locations
        },
        // Nobody elsewhere is asked for the sake of a copy.
        issuers: Issuers {
            files: RequestFiles {
                enabled: false,
                ..config.issuers.files
            },
            named: BTreeMap::new(),
        },
        ..config
    }
}

/// What is left alone on the node, for the reasons that it has there.
fn left(own: &[PlanItem], renewal: &RenewalReport) -> Vec<(CertificateId, Obstacle)> {
    let own_reason = |id: &CertificateId| {
        own.iter().find_map(|item| match &item.action {
            Action::Leave(obstacle) if item.id == *id => Some(obstacle.clone()),
            Action::Leave(_) | Action::Renew(_) | Action::Wait => None,
        })
    };
    renewal
        .left
        .iter()
        .map(|(id, obstacle)| {
            let reason = own_reason(id).unwrap_or_else(|| obstacle.clone());
            (id.clone(), reason)
        })
        .collect()
}

/// Of a kind of key that cannot be made, say, in whose place the copy has another.
fn notes(own: &[PlanItem], renewal: &RenewalReport) -> Vec<(CertificateId, Note)> {
    let is_said = |id: &CertificateId, said: &Note| {
        let said_of = |remark: &Remark| match remark {
            Remark::Note { certificate, note } => certificate == id && **note == *said,
            _ => false,
        };
        renewal.warnings.iter().any(said_of)
    };
    own.iter()
        .filter(|item| matches!(item.action, Action::Renew(_)))
        .flat_map(|item| {
            item.notes
                .iter()
                .map(|note| (item.id.clone(), note.clone()))
        })
        .filter(|(id, note)| !is_said(id, note))
        .collect()
}

/// What would be refused on the node although it was done on the copy: files that must not be replaced there, and texts of
/// kubeconfigs, of which the copy has only what matters, that cannot be edited. `trusting`: those to which a CA is added.
fn refused(
    context: &Context,
    inventory: &Inventory,
    renewal: &RenewalReport,
    trusting: &BTreeSet<&CertificateId>,
) -> Vec<NotRenewed> {
    let replaceable = Replaceable::of(&context.root, inventory);
    let mut targets = Targets::new(&context.store(), &replaceable);
    let renewed = |id: &CertificateId| renewal.renewed.iter().any(|one| one.id == *id);
    let entries = inventory.entries.iter();
    entries
        .filter(|entry| renewed(&entry.id))
        .filter_map(|entry| {
            let files: BTreeSet<&Path> = entry.files().collect();
            let files: Vec<Replacement> = files
                .into_iter()
                .map(|path| Replacement {
                    id: entry.id.clone(),
                    path: path.to_path_buf(),
                    contents: Zeroizing::default(),
                    mode_if_new: 0o600,
                    given: Given::default(),
                })
                .collect();
            let reason = is_its_own(entry)
                .and_then(|()| targets.check(&files).map_err(|error| error.to_string()))
                .and_then(|()| edited(context, inventory, entry, trusting.contains(&entry.id)))
                .err()?;
            Some(NotRenewed {
                id: entry.id.clone(),
                fault: Fault {
                    code: "not-replaceable",
                    text: format!("{}: {reason}", entry.id),
                },
            })
        })
        .collect()
}

/// Whether its files may be replaced on the node: in the copy nobody else could have put them there.
fn is_its_own(entry: &Entry) -> Result<(), String> {
    match entry.present().map(|present| &present.key) {
        Some(KeyState::NotOwn(problem)) => Err(problem.to_string()),
        _ => Ok(()),
    }
}

/// Edits the text of a kubeconfig as a renewal would.
fn edited(
    context: &Context,
    inventory: &Inventory,
    entry: &Entry,
    is_trusting: bool,
) -> Result<(), String> {
    if !kubeconfig::is_kubeconfig(entry) || entry.certificate_path != entry.path {
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", entry.path.display());
    let bytes = context.root.read(&entry.path).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| failed(&error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| failed(&error))?;
    let text = Kubeconfig::replace_credentials(text, "certificate\n", "key\n")
        .map_err(|error| failed(&error))?;
    let signer = entry
        .authority
        .and_then(|name| inventory.authority(name)?.certificate());
    if let Some(signer) = signer.filter(|_| is_trusting) {
        Kubeconfig::trust(&text, &certificates_to_pem([signer])).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// The kubeconfigs that trust something else than before.
fn trusting<'node>(before: &'node Inventory, after: &Inventory) -> BTreeSet<&'node CertificateId> {
    let trusts = before.trusts.iter();
    trusts
        .filter_map(|trust| match &trust.holder {
            TrustHolder::Kubeconfig { id, embedded: true } => after
                .trusts
                .iter()
                .find(|other| other.holder == trust.holder)
                .filter(|other| other.authorities != trust.authorities)
                .map(|_| id),
            _ => None,
        })
        .collect()
}

/// Sentences about the copy, as they are about the node.
struct Home<'a> {
    copy: &'a Root,
    node: &'a Root,
}

impl Home<'_> {
    /// With the node's paths in the place of the copy's, which is gone when they are read.
    fn paths(&self, sentence: &str) -> String {
        let node = self.node.directory().display().to_string();
        sentence.replace(
            &self.copy.directory().display().to_string(),
            node.trim_end_matches('/'),
        )
    }
}
