//! What a wish to extend CAs comes to: certificates, files, restarts. Nothing is changed yet.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::authority_use::started_before_change;
use super::error::Fault;
use super::hooks::longest as longest_hooks;
use super::{Context, OperationError};
use crate::checks::Intent;
use crate::files::Targets;
use crate::issuer::{
    ExtendedAuthority, IssuanceError, Replacement, extend_authority, successor_files,
};
use crate::node::{CertificateId, Inventory, PodRef, Replaceable};
use crate::pki::{AuthorityId, Certificate, is_of_one_authority};
use crate::plan::{
    AffectedPod, AuthorityPlace, Extension, Plan, RestartGroup, RestartMethod, extension, longest,
    restart_groups,
};
use crate::report::{Described, RenewedCertificate};

/// What becomes of the pods that read a CA's old certificate when they started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// They are restarted where it has ended, since they do not work until then.
    RestartedIfEnded,
    /// They are restarted.
    Restarted,
    /// They are left alone: something else restarts all of them.
    Left,
}

/// What somebody wants of CAs.
#[derive(Debug, Clone)]
pub struct ExtensionWish {
    /// Which.
    pub authorities: Vec<AuthorityId>,
    /// How long the new certificates last.
    pub validity: Duration,
    /// What becomes of the pods that read the old ones when they started.
    pub readers: Readers,
    /// Also where the clock looks wrong, or what restarts need does not answer.
    pub force: bool,
    /// The command, for the receipt: `ca extend all`.
    pub typed: String,
}

/// What a wish comes to, before anything is changed.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The CAs that can be extended here, or have the right certificate already.
    pub(super) found: Vec<Extension>,
    /// The certificates that are to be in place, each with the places of its CA.
    pub(super) extended: Vec<(ExtendedAuthority, Vec<AuthorityPlace>)>,
    /// The others, and why.
    pub(super) left: Vec<Fault>,
}

pub(super) fn prepare(node: &Inventory, wish: &ExtensionWish, now: Timestamp) -> Prepared {
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for name in &wish.authorities {
        match extension(node, *name, wish.validity, now) {
            Ok(extension) => found.push(extension),
            Err(obstacle) => left.push(Fault {
                code: obstacle.code(),
                text: format!("{name}: {obstacle}"),
            }),
        }
    }
    let extended = made(node, &found, wish, now, &mut left);
    Prepared {
        found,
        extended,
        left,
    }
}

/// The new contents of all files, each of which may be replaced.
pub(super) fn files(
    context: &Context,
    node: &Inventory,
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
) -> Result<Vec<Replacement>, OperationError> {
    let files = successor_files(node, extended).map_err(not_extended)?;
    let paths = files.iter().map(|file| file.path.as_path());
    let replaceable = Replaceable::with_authorities_in(&context.root, node, paths);
    Targets::new(&context.store(), &replaceable)
        .check(&files)
        .map_err(OperationError::Install)?;
    Ok(files)
}

/// Whether whoever still has one of the old certificates refuses what the CA signed.
pub(super) fn has_ended(
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
    now: Timestamp,
) -> bool {
    extended.iter().any(|(one, _)| now > one.old.not_after)
}

/// The certificates that are to be in place, each with the places of its CA. Two authorities of one certificate are one.
fn made(
    node: &Inventory,
    found: &[Extension],
    wish: &ExtensionWish,
    now: Timestamp,
    left: &mut Vec<Fault>,
) -> Vec<(ExtendedAuthority, Vec<AuthorityPlace>)> {
    let mut all: Vec<(ExtendedAuthority, Vec<AuthorityPlace>)> = Vec::new();
    for one in found.iter().filter(|one| !one.is_done()) {
        let is_known =
            |(known, _): &(ExtendedAuthority, _)| is_of_one_authority(&known.old, &one.present);
        if all.iter().any(is_known) {
            continue;
        }
        let made = if one.is_needed {
            extend_authority(node, one, wish.validity, now)
        } else {
            Ok(ExtendedAuthority {
                name: one.authority,
                old: outdated(one).clone(),
                new: one.present.clone(),
            })
        };
        match made {
            Ok(made) => all.push((made, one.places.clone())),
            Err(error) => left.push(error.into()),
        }
    }
    all
}

/// The first certificate that the present one is to follow.
fn outdated(extension: &Extension) -> &Certificate {
    extension
        .outdated()
        .flat_map(|place| &place.certificates)
        .find(|one| **one != extension.present)
        .unwrap_or(&extension.present)
}

pub(super) fn readers(found: &[&Extension]) -> Vec<PodRef> {
    let mut pods: Vec<PodRef> = Vec::new();
    for pod in found.iter().flat_map(|one| one.readers_at_start()) {
        if !pods.contains(&pod) {
            pods.push(pod);
        }
    }
    pods
}

/// Those CAs' that get another certificate, somewhere.
pub(super) fn changed<'a>(
    found: &'a [Extension],
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
) -> Vec<&'a Extension> {
    let is_changed = |one: &&Extension| {
        extended
            .iter()
            .any(|(made, _)| is_of_one_authority(&made.new, &one.present))
    };
    found.iter().filter(is_changed).collect()
}

/// The pods that read a certificate when they started which is, or is about to be, another one: where that is wished, and where the old
/// one has ended, so that they do not work until then.
pub(super) async fn to_be_restarted(
    context: &Context,
    node: &Inventory,
    (found, extended): (&[Extension], &[(ExtendedAuthority, Vec<AuthorityPlace>)]),
    wish: &ExtensionWish,
    now: Timestamp,
) -> Vec<PodRef> {
    let are_restarted = match wish.readers {
        Readers::RestartedIfEnded => has_ended(extended, now),
        Readers::Restarted => true,
        Readers::Left => false,
    };
    if !are_restarted {
        return Vec::new();
    }
    let changed = changed(found, extended);
    let mut pods = readers(&changed);
    let unchanged = found
        .iter()
        .filter(|one| wish.readers == Readers::Restarted && !changed.contains(one));
    for one in unchanged {
        for pod in started_before_change(context, node, one).await {
            if !pods.contains(&pod) {
                pods.push(pod);
            }
        }
    }
    pods
}

/// A kubelet that has a CA's certificate which has ended hears of no manifest: then it is restarted, and the pods through the container
/// runtime.
pub(super) fn plan(
    node: &Inventory,
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
    pods: &[PodRef],
    has_ended: bool,
    now: Timestamp,
) -> Plan {
    let ids: Vec<CertificateId> = extended
        .iter()
        .map(|(one, _)| CertificateId::of_authority(one.name))
        .collect();
    let restarts = restart_groups(node, pods);
    Plan {
        at: now,
        items: Vec::new(),
        affected: pods
            .iter()
            .map(|pod| AffectedPod {
                pod: pod.clone(),
                certificates: ids.clone(),
            })
            .collect(),
        expected: restarts.clone(),
        restarts,
        rereading: Vec::new(),
        method: if has_ended {
            RestartMethod::Containers {
                kubelet_changed: true,
            }
        } else {
            RestartMethod::Manifests
        },
        adopted_proofs: Vec::new(),
        adopted_users: Vec::new(),
        next_due: None,
        unread_manifests: node.unread_manifests.clone(),
    }
}

pub(super) fn intent(
    context: &Context,
    files: &[Replacement],
    plan: &Plan,
    broken: bool,
) -> Intent {
    Intent {
        targets: files.iter().map(|file| file.path.clone()).collect(),
        broken,
        ..of_groups(context, &plan.restarts)
    }
}

/// What restarts alone need; none are done on another root.
fn of_groups(context: &Context, groups: &[RestartGroup]) -> Intent {
    let groups = if context.is_live() { groups } else { &[] };
    Intent {
        manifests: groups
            .iter()
            .flat_map(RestartGroup::pods)
            .map(|pod| pod.manifest.clone())
            .collect(),
        longest: longest(groups, &context.config.restart)
            + longest_hooks(context, !groups.is_empty()),
        ..Intent::default()
    }
}

/// With the CA's own file, or where that stays the first that is brought up to date.
pub(super) fn lines(
    node: &Inventory,
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
    files: &[Replacement],
) -> Vec<RenewedCertificate> {
    let lines = extended.iter().filter_map(|(one, places)| {
        let own = &node.authority(one.name)?.certificate_path;
        let is_changed = |path: &&PathBuf| {
            let real = node.real(path);
            files.iter().any(|file| node.real(&file.path) == real)
        };
        let mut paths = std::iter::once(own).chain(places.iter().map(|place| &place.path));
        Some(RenewedCertificate {
            id: CertificateId::of_authority(one.name),
            path: paths.find(is_changed).unwrap_or(own).clone(),
            old_serial: one.old.serial.clone(),
            new_serial: one.new.serial.clone(),
            old_not_after: one.old.not_after,
            new_not_after: one.new.not_after,
            old: Some(Described::of(&one.old)),
            new: Some(Described::of(&one.new)),
        })
    });
    lines.collect()
}

fn not_extended(error: IssuanceError) -> OperationError {
    OperationError::NotExtended(vec![error.into()])
}
