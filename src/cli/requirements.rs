//! What a command needs of the machine it runs on: looked at before anything else, and said once.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

use super::arguments::{Command, Generated, OrdersAction};
use super::ca_arguments::CaAction;
use super::credential_arguments::{Csr, CsrAction};
use super::kubelet_arguments::KubeletAction;
use crate::node::{AuthorityState, CertificateState, KeyState};
use crate::operation::Context;

/// What is missing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    /// The rights of root.
    #[error(
        "{} cannot be {action} by this user (permission denied); run it as root, as in `sudo kubecertd {command}`",
        path.display()
    )]
    Root {
        /// What may not be read or written to.
        path: PathBuf,
        /// `read`, `written to`
        action: &'static str,
        /// What was asked for.
        command: &'static str,
    },
    /// Everything of kubeadm.
    #[error("there is no {}, so this is no node of a kubeadm cluster; run it on a control-plane node{}", .0.display(), .1)]
    Node(PathBuf, &'static str),
    /// What kubeadm makes on control-plane nodes only.
    #[error(
        "there are none of kubeadm's certificates, CA keys and static pods below {}, so this is no control-plane node (a \
         worker's certificates are renewed by its kubelet); run it on one{}",
        .0.display(), .1
    )]
    ControlPlane(PathBuf, &'static str),
}

/// What is done with the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Nothing but what everybody may read.
    Public,
    /// Its keys and kubeconfigs are looked at.
    Secrets,
    /// Files are written.
    Writes,
}

struct Needs {
    name: &'static str,
    what: Use,
    control_plane: bool,
    hint: &'static str,
}

/// Checks what `command` needs.
///
/// # Errors
/// The first thing that is missing.
pub(super) fn check(context: &Context, command: &Command) -> Result<(), Missing> {
    let Some(needs) = needs(command) else {
        return Ok(());
    };
    let is_root = geteuid().is_root();
    if !is_root {
        may_read(context, &needs)?;
    }
    if needs.control_plane {
        control_plane(context, needs.hint)?;
    }
    if !is_root && needs.what == Use::Writes {
        may_write(context, &needs)?;
    }
    Ok(())
}

fn needs(command: &Command) -> Option<Needs> {
    let needs = |name, what, control_plane| {
        Some(Needs {
            name,
            what,
            control_plane,
            hint: "",
        })
    };
    match command {
        // It waits for kubeadm to make a node of the machine.
        Command::Run { once } => needs("run", Use::Writes, *once),
        Command::CheckExpiration(_) => needs("check-expiration", Use::Public, true),
        Command::Renew(options) if options.dry_run => needs("renew", Use::Secrets, true),
        Command::Renew(_) => needs("renew", Use::Writes, true),
        Command::Rollback(options) if options.dry_run => needs("rollback", Use::Secrets, false),
        Command::Rollback(_) => needs("rollback", Use::Writes, false),
        Command::Turn { .. } => needs("turn", Use::Secrets, true),
        Command::Fleet { .. } => needs("fleet", Use::Secrets, true),
        Command::Requests { .. } => needs("requests", Use::Secrets, true),
        Command::Orders {
            action: Some(OrdersAction::Cancel { .. }),
        } => needs("orders cancel", Use::Writes, false),
        Command::Orders { .. } => needs("orders", Use::Secrets, false),
        Command::Signer { .. } => needs("signer check", Use::Secrets, true),
        Command::Restart { .. } => needs("restart", Use::Writes, true),
        Command::Kubelet { action } => {
            let what = if action.is_dry_run() {
                Use::Secrets
            } else {
                Use::Writes
            };
            match action {
                KubeletAction::Repair { .. } => needs("kubelet repair", what, false),
                KubeletAction::Issue(_) => needs("kubelet issue", what, true),
                KubeletAction::Accept(_) => needs("kubelet accept", what, false),
                KubeletAction::ServingBootstrap { .. } => {
                    needs("kubelet serving-bootstrap", what, false)
                }
            }
        }
        Command::Ca {
            action: CaAction::Status { .. },
        } => needs("ca status", Use::Secrets, false),
        Command::Ca {
            action: CaAction::Extend(options),
        } => {
            let what = if options.dry_run {
                Use::Secrets
            } else {
                Use::Writes
            };
            needs("ca extend", what, false)
        }
        Command::Hold { .. } => needs("hold", Use::Writes, false),
        Command::Unhold => needs("unhold", Use::Writes, false),
        Command::Plan { .. } => needs("plan", Use::Secrets, true),
        // Whether something can be written to is a part of what it looks at.
        Command::Preflight { .. } => needs("preflight", Use::Writes, true),
        Command::Rehearse { sample: true } => None,
        Command::Rehearse { sample: false } => Some(Needs {
            name: "rehearse",
            what: Use::Secrets,
            control_plane: true,
            hint: "; `kubecertd rehearse --sample` makes one up",
        }),
        Command::Generate {
            kind: Generated::AddressFilter,
        } => needs("generate address-filter", Use::Secrets, true),
        // What was cut off is finished wherever it is.
        Command::Recover { expired, .. } => needs("recover", Use::Writes, *expired),
        Command::Csr(Csr {
            action: CsrAction::Generate(options),
            ..
        }) if options.from_existing => needs("csr generate", Use::Secrets, true),
        // The others work on directories, which need not be a node's.
        Command::Csr(_) | Command::Pki(_) | Command::Kubeconfig(_) => None,
        Command::Status { .. }
        | Command::History { .. }
        | Command::Config { .. }
        | Command::Generate { .. } => None,
    }
}

/// Not by the user's number alone: a root directory of his own is his to read.
fn may_read(context: &Context, needs: &Needs) -> Result<(), Missing> {
    let (kubernetes, certificates) = (kubernetes(context), certificates(context));
    let enter = AccessFlags::R_OK | AccessFlags::X_OK;
    let mut all = vec![(kubernetes.clone(), enter), (certificates.clone(), enter)];
    if needs.what != Use::Public {
        let keys = [
            "ca.key",
            "etcd/ca.key",
            "front-proxy-ca.key",
            "apiserver.key",
        ];
        let kubeconfigs = ["admin.conf", "controller-manager.conf", "scheduler.conf"];
        let keys = keys.map(|name| certificates.join(name));
        let files = keys
            .into_iter()
            .chain(kubeconfigs.map(|name| kubernetes.join(name)));
        all.extend(files.map(|path| (path, AccessFlags::R_OK)));
    }
    match all
        .into_iter()
        .find(|(path, mode)| is_denied(context, path, *mode))
    {
        Some((path, _)) => Err(needs.root(path, "read")),
        None => Ok(()),
    }
}

/// The same of writing.
fn may_write(context: &Context, needs: &Needs) -> Result<(), Missing> {
    let state = context.store().directory().to_path_buf();
    for path in [state, certificates(context), kubernetes(context)] {
        let nearest = path
            .ancestors()
            .find(|path| matches!(context.root.look(path), Ok(Some(_))));
        if let Some(path) = nearest
            && is_denied(context, path, AccessFlags::W_OK)
        {
            return Err(needs.root(path.to_path_buf(), "written to"));
        }
    }
    Ok(())
}

impl Needs {
    fn root(&self, path: PathBuf, action: &'static str) -> Missing {
        Missing::Root {
            path,
            action,
            command: self.name,
        }
    }
}

fn is_denied(context: &Context, path: &Path, mode: AccessFlags) -> bool {
    match context.root.resolve(path) {
        Ok(real) => access(&real, mode) == Err(nix::errno::Errno::EACCES),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn control_plane(context: &Context, hint: &'static str) -> Result<(), Missing> {
    if has_usual_files(context) {
        return Ok(());
    }
    // Only files in unusual places are looked for with more effort.
    let inventory = context.observe();
    let has_certificate = inventory
        .entries
        .iter()
        .any(|entry| entry.id.is_catalogued() && !matches!(entry.state, CertificateState::Missing));
    let has_authority = inventory.authorities.iter().any(|authority| {
        !matches!(
            authority.state,
            AuthorityState::Missing
                | AuthorityState::Present {
                    key: KeyState::Missing,
                    ..
                }
        )
    });
    let has_pod = ["kube-apiserver", "etcd", "kube-controller-manager"]
        .iter()
        .any(|component| inventory.static_pod(component).is_some());
    // Whoever describes certificates of his own need not have any of kubeadm's.
    let has_described = !context.config.locations.described.is_empty();
    if has_certificate || has_authority || has_pod || has_described {
        return Ok(());
    }
    let kubernetes = inventory.directories.kubernetes;
    let is_there = context
        .root
        .resolve(&kubernetes)
        .is_ok_and(|real| matches!(context.root.look(&real), Ok(Some(_))));
    Err(if is_there {
        Missing::ControlPlane(kubernetes, hint)
    } else {
        Missing::Node(kubernetes, hint)
    })
}

/// Whether something is where kubeadm puts it on a control-plane node, and on no other.
fn has_usual_files(context: &Context) -> bool {
    let kubernetes = kubernetes(context);
    let certificates = certificates(context);
    [
        certificates.join("apiserver.crt"),
        certificates.join("ca.key"),
        kubernetes.join("manifests/kube-apiserver.yaml"),
        kubernetes.join("controller-manager.conf"),
    ]
    .iter()
    .any(|path| {
        context
            .root
            .resolve(path)
            .is_ok_and(|real| matches!(context.root.look(&real), Ok(Some(_))))
    })
}

fn kubernetes(context: &Context) -> PathBuf {
    context.root.join(&context.config.locations.kubernetes)
}

fn certificates(context: &Context) -> PathBuf {
    match &context.config.locations.certificates {
        Some(directory) => context.root.join(directory),
        None => kubernetes(context).join("pki"),
    }
}
