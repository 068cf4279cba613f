//! Copies of admin.conf follow it, after the proof: until then its old certificate may come back, and in the copies it goes on working
//! either way. What is missed here, by a crash or since a file was just in use, the daemon's next look finds by its certificate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Context;
use super::event::Event;
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use crate::config::Discover;
use crate::files::{
    CopyFault, CopyFile, CopyPlace, CopyState, Credentials, Original, SeenCopy, copy_places,
};
use crate::host::{Root, in_time, now, read_bounded};
use crate::journal::{Lock, TransactionError};
use crate::node::{CertificateId, Credential, Inventory, Kubeconfig, accounts};
use crate::pki::{Certificate, PrivateKey, certificates_from_pem};
use crate::report::{History, Receipt, RenewedCertificate};

/// What has copies.
const ORIGINALS: [CertificateId; 2] = [CertificateId::ADMIN, CertificateId::SUPER_ADMIN];

/// How long a place has to answer: a home may lie on another machine.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of one place.
#[derive(Debug, Default)]
struct Visited {
    /// The copies as they were found, or as they are now.
    seen: Vec<SeenCopy>,
    /// Those of them that have new credentials now.
    updated: Vec<SeenCopy>,
    /// Why nothing is known of the file that lies there, or why it could not be changed.
    fault: Option<CopyFault>,
}

/// The copies of admin.conf and super-admin.conf on the node, as they are now.
#[must_use]
pub fn look_at_copies(context: &Context, inventory: &Inventory) -> Vec<SeenCopy> {
    let originals = originals(context, inventory);
    let visited = visit_all(context, &originals, Doing::Looking);
    visited.into_iter().flat_map(|(_, one)| one.seen).collect()
}

/// Brings the copies of what was renewed up to date.
pub(super) fn update_copies(run: &mut Run<'_>, report: &mut RenewalReport) {
    let config = &run.context.config.admin_copies;
    if copy_places(&run.context.root, config).is_empty() {
        return;
    }
    let originals = renewed_originals(run.context, &report.renewed);
    let visited = visit_all(run.context, &originals, Doing::Updating);
    let Told { events, remarks } = told(&visited);
    for event in events {
        run.emit(event);
    }
    for remark in remarks {
        run.remark(remark.clone());
        report.warnings.push(remark);
    }
    let updated = visited.into_iter().flat_map(|(_, one)| one.updated);
    let paths: BTreeSet<PathBuf> = updated.map(|one| one.path).collect();
    report.copies.extend(paths);
}

/// Brings copies up to date that were left behind; what stands against that of those that are worth another attempt, or that an
/// administrator has to see to. Nothing is done while another process is at work.
///
/// # Errors
/// Where the lock cannot be had for another reason.
pub fn catch_up_copies(
    context: &Context,
    inventory: &Inventory,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Remark>, TransactionError> {
    let originals = originals(context, inventory);
    let looked = visit_all(context, &originals, Doing::Looking);
    let is_stale = |one: &SeenCopy| one.state == CopyState::Stale;
    let some_are_stale = looked.iter().any(|(_, one)| one.seen.iter().any(is_stale));
    if !some_are_stale || !may_begin(context) {
        let mut remarks = standing(told(&looked).remarks);
        remarks.extend(are_homes_hidden(context).then_some(Remark::HomesHidden));
        return Ok(remarks);
    }
    let _lock = match Lock::take_at_once(&context.store()) {
        Ok(lock) => lock,
        Err(TransactionError::Busy { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // An operation that began meanwhile and was cut off may put the old certificate back.
    if !context.store().in_flight()?.is_empty() {
        return Ok(Vec::new());
    }
    let originals = with_credentials(inventory, originals);
    let told = told(&visit_all(context, &originals, Doing::Updating));
    told.events.into_iter().for_each(tell);
    Ok(standing(told.remarks))
}

/// Whether the daemon begins anything by itself.
fn may_begin(context: &Context) -> bool {
    let is_on_hold = matches!(context.store().on_hold(now()), Ok(Some(_)));
    context.config.renewal.enabled && !is_on_hold
}

/// Whether users' copies are wanted and no home of a user is there: systemd hides them from a unit without a word.
fn are_homes_hidden(context: &Context) -> bool {
    const HOMES: &str = "/home";
    if context.config.admin_copies.discover != Discover::Users {
        return false;
    }
    let root = context.root.clone();
    let look = move || {
        let mut homes = accounts(&root)
            .into_iter()
            .filter(|account| account.home.starts_with(HOMES))
            .peekable();
        homes.peek().is_some() && !homes.any(|account| root.is_directory(&root.join(account.home)))
    };
    in_time(Path::new(HOMES), PATIENCE, look).unwrap_or(false)
}

/// Those that are not a user's own affair.
fn standing(mut remarks: Vec<Remark>) -> Vec<Remark> {
    remarks.retain(|remark| match remark {
        Remark::CopyNotUpdated { fault, .. } => !fault.is_at_will(),
        _ => true,
    });
    remarks
}

/// What is said of a visit.
struct Told {
    events: Vec<Event>,
    remarks: Vec<Remark>,
}

fn told(visited: &[(PathBuf, Visited)]) -> Told {
    let mut told = Told {
        events: Vec::new(),
        remarks: Vec::new(),
    };
    for (place, one) in visited {
        told.events
            .extend(one.updated.iter().map(|copy| Event::CopyUpdated {
                certificate: copy.of.clone(),
                path: copy.path.clone(),
            }));
        if let Some(fault) = &one.fault {
            let stale = one.seen.iter().find(|copy| copy.state == CopyState::Stale);
            told.remarks.push(Remark::CopyNotUpdated {
                path: stale.map_or(place, |copy| &copy.path).clone(),
                certificate: stale.map(|copy| copy.of.clone()),
                fault: fault.clone(),
            });
        }
        told.remarks.extend(one.seen.iter().filter_map(|copy| {
            let CopyState::Kept(fault) = &copy.state else {
                return None;
            };
            Some(Remark::CopyNotUpdated {
                path: copy.path.clone(),
                certificate: Some(copy.of.clone()),
                fault: fault.clone(),
            })
        }));
    }
    told
}

/// Whether stale copies get new credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Looking,
    Updating,
}

/// Every place, each on a thread of its own for as long as it has to answer: what one user's home does holds no other up.
fn visit_all(context: &Context, originals: &[Original], doing: Doing) -> Vec<(PathBuf, Visited)> {
    if originals.is_empty() {
        return Vec::new();
    }
    let at = now();
    copy_places(&context.root, &context.config.admin_copies)
        .into_iter()
        .map(|place| {
            let path = place.path();
            let (root, its) = (context.root.clone(), (place.clone(), originals.to_vec()));
            let work = move || visit(&root, &its.0, &its.1, doing, at);
            let visited = in_time(&path, PATIENCE, work).unwrap_or_else(|| {
                let fault = unread(&place, CopyFault::NoAnswer);
                Visited {
                    fault,
                    ..Visited::default()
                }
            });
            (path, visited)
        })
        .collect()
}

fn visit(
    root: &Root,
    place: &CopyPlace,
    originals: &[Original],
    doing: Doing,
    at: Timestamp,
) -> Visited {
    let mut visited = Visited::default();
    let file = match CopyFile::read(root, place) {
        Ok(Some(file)) => file,
        Ok(None) => return visited,
        Err(fault) => {
            visited.fault = unread(place, fault);
            return visited;
        }
    };
    visited.seen = file.seen(originals, at);
    let is_stale = |one: &SeenCopy| one.state == CopyState::Stale;
    if doing == Doing::Looking || !visited.seen.iter().any(is_stale) {
        return visited;
    }
    match file.update(originals, at) {
        Ok(updated) => {
            for copy in visited.seen.iter_mut().filter(|one| is_stale(one)) {
                copy.state = CopyState::Current;
            }
            visited.updated = updated;
        }
        Err(fault) => visited.fault = Some(fault),
    }
    visited
}

/// What is said of a file that could not be read. A link in root's home is as a rule one to the original itself.
fn unread(place: &CopyPlace, fault: CopyFault) -> Option<CopyFault> {
    let is_to_be_said =
        place.is_administrators() && !(place.is_discovered() && fault == CopyFault::LinkThere);
    if !is_to_be_said {
        tracing::debug!(path = %place.path().display(), %fault, "not looked at as a copy of admin.conf");
    }
    is_to_be_said.then_some(fault)
}

/// The files of these that were renewed, as they are now: each is read once more, and not the whole node.
fn renewed_originals(context: &Context, renewed: &[RenewedCertificate]) -> Vec<Original> {
    let is_original = |line: &&RenewedCertificate| ORIGINALS.contains(&line.id);
    let mut lines = renewed.iter().filter(is_original).peekable();
    if lines.peek().is_none() {
        return Vec::new();
    }
    let receipts = receipts(context);
    lines
        .filter_map(|line| {
            let (certificate, credentials) = embedded(&context.root.resolve(&line.path).ok()?)?;
            Some(Original {
                id: line.id.clone(),
                replaced: replaced(&receipts, renewed, &line.id, &certificate),
                certificate,
                credentials: Some(credentials),
            })
        })
        .collect()
}

/// The two files as they were seen.
fn originals(context: &Context, inventory: &Inventory) -> Vec<Original> {
    let receipts = receipts(context);
    ORIGINALS
        .into_iter()
        .filter_map(|id| {
            let certificate = inventory.entry(&id)?.present()?.leaf.clone();
            Some(Original {
                replaced: replaced(&receipts, &[], &id, &certificate),
                id,
                certificate,
                credentials: None,
            })
        })
        .collect()
}

fn receipts(context: &Context) -> Vec<Receipt> {
    let entries = History::new(&context.store()).entries();
    let entries = entries.unwrap_or_else(|error| {
        tracing::debug!(%error, "which certificates were replaced is not known");
        Vec::new()
    });
    entries.into_iter().flatten().collect()
}

/// What was replaced in a file by the receipts, and by an operation that has none yet.
fn replaced(
    receipts: &[Receipt],
    renewed: &[RenewedCertificate],
    id: &CertificateId,
    present: &Certificate,
) -> BTreeSet<String> {
    let earlier = receipts.iter().flat_map(|receipt| &receipt.certificates);
    let mut replaced: BTreeSet<String> = earlier
        .chain(renewed)
        .filter(|line| line.id == *id)
        .flat_map(|line| line.old.iter().chain(&line.new))
        .map(|described| described.fingerprint.clone())
        .collect();
    replaced.remove(&present.fingerprint());
    replaced
}

/// The same with what copies are given, as far as the files still have the certificates that were seen there.
fn with_credentials(inventory: &Inventory, originals: Vec<Original>) -> Vec<Original> {
    let read = |original: &Original| {
        let path = &inventory.entry(&original.id)?.path;
        let (certificate, credentials) = embedded(inventory.real(path))?;
        (certificate == original.certificate).then_some(credentials)
    };
    originals
        .into_iter()
        .map(|original| Original {
            credentials: read(&original),
            ..original
        })
        .collect()
}

/// What a kubeconfig has embedded, if certificate and key belong together.
fn embedded(path: &Path) -> Option<(Certificate, Credentials)> {
    let contents = Zeroizing::new(read_bounded(path).ok()?);
    let kubeconfig = Kubeconfig::parse(&*contents).ok()?;
    let (Credential::Embedded(certificate), Credential::Embedded(key)) =
        (&kubeconfig.certificate, &kubeconfig.key)
    else {
        return None;
    };
    let leaf = certificates_from_pem(certificate)
        .ok()?
        .into_iter()
        .next()?;
    if !PrivateKey::from_pem(key).is_ok_and(|key| key.matches(&leaf)) {
        return None;
    }
    let text = |pem: &[u8]| {
        let text = std::str::from_utf8(pem).ok()?;
        Some(Zeroizing::new(text.to_owned()))
    };
    let credentials = Credentials {
        certificate: text(certificate)?,
        key: text(key)?,
    };
    Some((leaf, credentials))
}
