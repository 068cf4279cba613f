//! The whole renewal on a private copy of the node's files, with real handshakes at the end.
//!
//! [`rehearse`] copies what the inventory knows, renews everything there, serves each new server certificate on a
//! loopback listener and connects to it with each new client certificate. [`Sample`] makes the files of a node that does
//! not exist, for a first look on any machine and for tests.

mod copy;
mod handshakes;
mod identity;
mod sample;
mod sample_manifests;

pub use copy::{CopyError, copy_node, digests};
pub use handshakes::{Check, handshakes};
pub use sample::{Sample, SampleError};

use std::path::PathBuf;

use tokio::sync::watch;

use crate::operation::{Context, Event, OperationError, Options, RenewalReport, renew};
use crate::plan::Request;
use crate::root::Root;
use crate::transaction::Trigger;

/// What a rehearsal showed.
#[derive(Debug)]
pub struct Rehearsal {
    /// What the renewal on the copy did.
    pub renewal: RenewalReport,
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
    /// The renewal on the copy failed.
    #[error("the renewal on the copy failed: {0}")]
    Renewal(#[from] OperationError),
    /// The node has nothing to rehearse with.
    #[error(
        "no certificate of a kubeadm node was found below {}; `kubecertd rehearse --sample` makes one up",
        .0.display()
    )]
    NoNode(PathBuf),
}

/// Rehearses on a copy in `directory`, which the caller makes private and removes.
///
/// # Errors
/// [`RehearsalError`].
pub async fn rehearse(
    context: &Context,
    directory: &std::path::Path,
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
    let before = digests(&context.root, &inventory);
    let copy = Root::new(directory).map_err(|source| CopyError {
        path: directory.to_path_buf(),
        source,
    })?;
    copy_node(&context.root, &inventory, context, &copy)?;
    let there = Context::new(copy, context.config.clone(), None);
    let options = Options {
        trigger: Trigger::Command("rehearse".to_owned()),
        restart: false,
        stopped: false,
    };
    let renewal = renew(
        &there,
        &Request::All { force: true },
        &options,
        stop,
        events,
    )
    .await?;
    let names: Vec<&str> = renewal
        .renewed
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let checks = handshakes(&there.observe(), &names).await;
    let after = digests(&context.root, &inventory);
    let changed_outside = before
        .into_iter()
        .filter(|(path, digest)| after.get(path) != Some(digest))
        .map(|(path, _)| path)
        .collect();
    Ok(Rehearsal {
        renewal,
        checks,
        changed_outside,
    })
}
