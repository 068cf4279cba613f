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
mod trials;

pub use copy::CopyError;
pub use handshakes::{Check, Verdict};
pub use private::{PrivateDirectory, sweep};
pub use sample::{Sample, SampleError};

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::config::{Config, Locations};
use crate::node::{Inventory, Kubeconfig, Problem};
use crate::operation::{Context, Event, OperationError, Options, RenewalReport, renew};
use crate::plan::{Action, Obstacle, PlanItem, Request, plan};
use crate::root::Root;
use crate::transaction::Trigger;

/// What a rehearsal showed.
#[derive(Debug)]
pub struct Rehearsal {
    /// What the renewal on the copy did. Its paths are the node's.
    pub renewal: RenewalReport,
    /// What is left alone, and why, as the node itself is.
    pub left: Vec<(String, Obstacle)>,
    /// What is to be known of a renewal on the node itself, by certificate.
    pub notes: Vec<(String, String)>,
    /// What was to be looked at on the node and could not be.
    pub unread: Vec<Problem>,
    /// Every handshake, passed or not.
    pub checks: Vec<Check>,
    /// Files of the node that are different afterwards; there must be none.
    pub changed_outside: Vec<PathBuf>,
}

/// Why there was no rehearsal.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The private directory, or the copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The renewal on the copy failed: why, with the node's paths.
    #[error("the renewal on the copy failed: {0}")]
    Renewal(String),
    /// The node has nothing to rehearse with.
    #[error(
        "no certificate of a kubeadm node was found below {}; `kubecertd rehearse --sample` makes one up",
        .0.display()
    )]
    NoNode(PathBuf),
}

/// What is renewed on the copy: as much as possible.
const EVERYTHING: Request = Request::All { force: true };

/// Rehearses on a copy in `directory`, which the caller makes private and removes.
///
/// # Errors
/// [`RehearsalError`].
pub async fn rehearse(
    context: &Context,
    directory: &Path,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
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
    let before = copy::states(&context.root, &inventory);
    let copy = Root::new(directory).map_err(|source| CopyError::File {
        path: directory.to_path_buf(),
        source,
    })?;
    let broken = copy::copy_node(context, &inventory, &copy)?;
    let there = Context::new(copy, located(context, &inventory), None);
    let present = handshakes::handshakes(&there.root, &there.observe()).await;
    let options = Options {
        trigger: Trigger::Command("rehearse".to_owned()),
        restart: false,
        stopped: false,
    };
    let home = Home {
        copy: &there.root,
        node: &context.root,
    };
    let mut at_home = |event| events(home.event(event));
    let mut renewal = renew(&there, &EVERYTHING, &options, stop, &mut at_home)
        .await
        .map_err(|error: OperationError| RehearsalError::Renewal(home.paths(&error.to_string())))?;
    for (name, reason) in &mut renewal.failed {
        let authority = inventory.entry(name).and_then(|entry| entry.authority);
        *reason = match broken.iter().find(|(broken, _)| Some(*broken) == authority) {
            Some((_, on_the_node)) => on_the_node.clone(),
            None => home.paths(reason),
        };
    }
    renewal
        .failed
        .extend(unedited(&context.root, &inventory, &renewal));
    let renewed = handshakes::handshakes(&there.root, &there.observe()).await;
    let mut checks = handshakes::compared(&present, renewed);
    for check in &mut checks {
        if let Verdict::Noted(reason) | Verdict::Failed(reason) = &mut check.verdict {
            *reason = home.paths(reason);
        }
    }
    let after = copy::states(&context.root, &inventory);
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
    Config {
        locations: Locations {
            manifests: on_node(&inventory.directories.manifests),
            kubelet_pki: on_node(&inventory.directories.kubelet_pki),
            ..config.locations
        },
        ..config
    }
}

/// What is left alone on the node, for the reasons that it has there.
fn left(own: &[PlanItem], renewal: &RenewalReport) -> Vec<(String, Obstacle)> {
    let own_reason = |name: &str| {
        own.iter().find_map(|item| match &item.action {
            Action::Leave(obstacle) if item.name == name => Some(obstacle.clone()),
            Action::Leave(_) | Action::Renew(_) | Action::Wait => None,
        })
    };
    renewal
        .left
        .iter()
        .map(|(name, obstacle)| {
            let reason = own_reason(name).unwrap_or_else(|| obstacle.clone());
            (name.clone(), reason)
        })
        .collect()
}

/// Of a kind of key that cannot be made, say, in whose place the copy has another.
fn notes(own: &[PlanItem], renewal: &RenewalReport) -> Vec<(String, String)> {
    let is_said = |name: &str, note: &str| {
        let sentence = format!("{name}: {note}");
        renewal.warnings.contains(&sentence)
    };
    own.iter()
        .filter(|item| matches!(item.action, Action::Renew(_)))
        .flat_map(|item| {
            item.notes
                .iter()
                .map(|note| (item.name.clone(), note.clone()))
        })
        .filter(|(name, note)| !is_said(name, note))
        .collect()
}

/// Kubeconfigs of the node whose text could not be edited: the copy has only what matters of it.
fn unedited(root: &Root, inventory: &Inventory, renewal: &RenewalReport) -> Vec<(String, String)> {
    let renewed = |name: &str| renewal.renewed.iter().any(|one| one.name == name);
    inventory
        .entries
        .iter()
        .filter(|entry| kubeconfig::is_kubeconfig(entry) && renewed(&entry.name))
        .filter(|entry| entry.certificate_path == entry.path)
        .filter_map(|entry| {
            let edited = root
                .read(&entry.path)
                .map(zeroize::Zeroizing::new)
                .map_err(|error| error.to_string())
                .and_then(|bytes| {
                    let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
                    Kubeconfig::replace_credentials(text, "certificate\n", "key\n")
                        .map_err(|error| error.to_string())
                });
            let reason = edited.err()?;
            Some((
                entry.name.clone(),
                format!("{}: {}: {reason}", entry.name, entry.path.display()),
            ))
        })
        .collect()
}

/// Sentences about the copy, as they are about the node.
struct Home<'a> {
    copy: &'a Root,
    node: &'a Root,
}

impl Home<'_> {
    fn event(&self, event: Event) -> Event {
        match event {
            Event::Warning(sentence) => Event::Warning(self.paths(&sentence)),
            Event::IssueFailed {
                certificate,
                reason,
            } => Event::IssueFailed {
                certificate,
                reason: self.paths(&reason),
            },
            other => other,
        }
    }

    /// With the node's paths in the place of the copy's, which is gone when they are read.
    fn paths(&self, sentence: &str) -> String {
        let node = self.node.directory().display().to_string();
        sentence.replace(
            &self.copy.directory().display().to_string(),
            node.trim_end_matches('/'),
        )
    }
}
