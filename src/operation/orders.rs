//! Requests to CAs elsewhere: opened ahead of time, closed when they are overtaken. Outside any operation, but under its lock.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Context;
use super::api_access::{access_by, api_access};
use super::context::holds;
use super::event::Event;
use super::remark::Remark;
use super::run::Run;
use crate::cluster::Known;
use crate::host::digest;
use crate::issuer::ask;
use crate::journal::{Lock, TransactionError};
use crate::node::{CertificateId, Inventory};
use crate::orders::{
    ApiDesk, AskedIssuer, Looked, OpenOrder, OrderError, OrderStore, Step, decide, look,
};
use crate::pki::digest_of_request;
use crate::plan::{Action, Obstacle, plan_due};

/// How long another operation is waited for.
const LOCK_ATTEMPTS: u32 = 120;
const LOCK_PAUSE: Duration = Duration::from_millis(500);

/// Looks at the open requests and at what came for them.
#[must_use]
pub fn look_at_orders(context: &Context, inventory: &Inventory, now: Timestamp) -> Looked {
    look(&context.root, inventory, &context.config, now)
}

/// Opens the requests whose time has come and closes those that are overtaken, unless an operation runs. What could not be done, one
/// sentence each.
pub fn keep_orders(
    context: &Context,
    inventory: &Inventory,
    now: Timestamp,
    events: &mut dyn FnMut(Event),
) -> Vec<String> {
    let steps = steps(context, inventory, now);
    // A key of a request that is half closed goes at the first chance, not with the next request.
    if steps.is_empty() && !OrderStore::new(&context.root).has_leftovers() {
        return Vec::new();
    }
    let lock = match Lock::take_at_once(&context.store()) {
        Ok(lock) => lock,
        // It is done after that operation.
        Err(TransactionError::Busy { .. }) => return Vec::new(),
        Err(error) => return vec![format!("requests cannot be kept: {error}")],
    };
    // Another process may have done some of it meanwhile.
    let steps = self::steps(context, inventory, now);
    carry_out(context, &lock, inventory, (steps, now), events)
}

/// Asks the programs and signers that sign for CAs elsewhere, where that is to be done now, and keeps what they answer. What could not be done,
/// one sentence each.
///
/// They may take long, so that no lock is held meanwhile; what was decided of an order by another process wins.
pub async fn ask_issuers(context: &Context, inventory: &Inventory) -> Vec<String> {
    let (asked, mut failed) = ask_now(context, inventory, (&[], None)).await;
    if asked.is_empty() {
        return failed;
    }
    match lock_for_answers(context).await {
        Ok(lock) => failed.extend(keep_answers(context, &lock, &asked)),
        Err(error) => failed.push(format!("what an issuer answered cannot be kept: {error}")),
    }
    failed
}

/// The same by hand, for these at once, with the operation's lock.
pub(super) async fn ask_issuers_by_hand(
    context: &Context,
    lock: &Lock,
    inventory: &Inventory,
    (at_once, stop): (&[CertificateId], &watch::Receiver<bool>),
) -> Vec<String> {
    let (asked, mut failed) = ask_now(context, inventory, (at_once, Some(stop))).await;
    failed.extend(keep_answers(context, lock, &asked));
    failed
}

async fn ask_now(
    context: &Context,
    inventory: &Inventory,
    at_once: (&[CertificateId], Option<&watch::Receiver<bool>>),
) -> (Vec<AskedIssuer>, Vec<String>) {
    let now = crate::host::now();
    let looked = look_at_orders(context, inventory, now);
    let known = Known::read(&context.store());
    let connect = |kubeconfig: Option<&Path>| {
        let (access, servers) = match kubeconfig {
            Some(path) => access_by(context, inventory, &known, &context.root.join(path)),
            None => api_access(context, inventory, &known),
        }?;
        Ok(ApiDesk { access, servers })
    };
    let about = (inventory, &context.config);
    let asking = looked.ask_issuers(about, &connect, at_once, now);
    let (asked, failed) = asking.await;
    (asked, failed.iter().map(ToString::to_string).collect())
}

/// What was answered once may not come again, so another operation is waited for; for a while.
async fn lock_for_answers(context: &Context) -> Result<Lock, TransactionError> {
    for _ in 1..LOCK_ATTEMPTS {
        match Lock::take_at_once(&context.store()) {
            Err(TransactionError::Busy { .. }) => tokio::time::sleep(LOCK_PAUSE).await,
            taken => return taken,
        }
    }
    Lock::take_at_once(&context.store())
}

fn keep_answers(context: &Context, _lock: &Lock, asked: &[AskedIssuer]) -> Vec<String> {
    let store = OrderStore::new(&context.root);
    let (open, _) = store.open_orders();
    asked
        .iter()
        .filter(|one| open.contains(&one.order))
        .filter_map(|one| {
            let answer = one.answer.as_deref();
            let kept = store.keep_contact(&one.order, &one.contact, answer);
            let error = kept.err()?;
            Some(format!("{}: {error}", one.order.certificate))
        })
        .collect()
}

/// Opens requests that an administrator asks for by name, due or not.
pub(super) fn open_orders(
    context: &Context,
    lock: &Lock,
    inventory: &Inventory,
    (wanted, now): (Vec<CertificateId>, Timestamp),
    events: &mut dyn FnMut(Event),
) -> Vec<String> {
    let steps = wanted.into_iter().map(Step::Open).collect();
    carry_out(context, lock, inventory, (steps, now), events)
}

/// Closes the requests whose answers an operation has put in place.
pub(super) fn close_overtaken(run: &mut Run<'_>) {
    let context = run.context;
    if OrderStore::new(&context.root).open_orders().0.is_empty() {
        return;
    }
    run.forget_node();
    let (node, now, lock) = (run.node(), crate::host::now(), run.lock);
    let closing = steps(context, &node, now)
        .into_iter()
        .filter(|step| !matches!(step, Step::Open(_)))
        .collect();
    let mut told = Vec::new();
    let failed = carry_out(context, lock, &node, (closing, now), &mut |event| {
        told.push(event);
    });
    for event in told {
        run.emit(event);
    }
    for reason in failed {
        run.remark(Remark::NotAsked { reason });
    }
}

/// Whether a certificate is left alone only because nobody has asked for it yet.
pub(super) fn can_be_asked_for(action: &Action) -> bool {
    matches!(
        action,
        Action::Leave(
            Obstacle::ExternalAuthority {
                request_from: Some(_),
                ..
            } | Obstacle::ForeignIssuer {
                request_from: Some(_),
                ..
            } | Obstacle::AskedElsewhere {
                request_from: Some(_),
                ..
            }
        )
    )
}

fn steps(context: &Context, inventory: &Inventory, now: Timestamp) -> Vec<Step> {
    let looked = look_at_orders(context, inventory, now);
    let holds = holds(&context.store());
    let bare = plan_due(inventory, &context.config, &holds, &[], now);
    decide(inventory, &bare, &looked.open(), &looked.delivered, now)
}

fn carry_out(
    context: &Context,
    _lock: &Lock,
    inventory: &Inventory,
    (steps, now): (Vec<Step>, Timestamp),
    events: &mut dyn FnMut(Event),
) -> Vec<String> {
    let store = OrderStore::new(&context.root);
    let mut failed = Vec::new();
    if let Err(error) = store.sweep() {
        failed.push(format!("requests cannot be kept: {error}"));
    }
    for step in steps {
        let done = match &step {
            Step::Open(id) => open(context, inventory, &store, id, now).map(|order| {
                Some(Event::RequestOpened {
                    certificate: id.clone(),
                    request: store.request_on_node(&order),
                    inbox: store.inbox_on_node(),
                    issuer: issuer(context, inventory, id),
                })
            }),
            Step::Close { order, by } => store.close(&order.id).map(|()| {
                Some(Event::RequestClosed {
                    certificate: order.certificate.clone(),
                    by: *by,
                })
            }),
            Step::Discard(name) => store.discard(name).map(|()| None),
        };
        match done {
            Ok(Some(event)) => events(event),
            Ok(None) => {}
            Err(error) => failed.push(match &step {
                Step::Open(id) => format!("{id}: no request could be made: {error}"),
                Step::Close { order, .. } => {
                    format!("the request for {} stays open: {error}", order.certificate)
                }
                Step::Discard(name) => {
                    format!("inbox: {} stays: {error}", name.to_string_lossy())
                }
            }),
        }
    }
    failed
}

fn open(
    context: &Context,
    inventory: &Inventory,
    store: &OrderStore,
    id: &CertificateId,
    now: Timestamp,
) -> Result<OpenOrder, OrderError> {
    let asked = ask(inventory, &context.config.renewal, id)?;
    let public_key = digest(&asked.key.public_key_der());
    let leaf = inventory
        .entry(id)
        .and_then(|entry| entry.present())
        .map(|present| &present.leaf);
    let order = OpenOrder {
        id: format!(
            "{}-{}",
            as_file_name(id),
            public_key.get(..8).unwrap_or_default()
        ),
        certificate: id.clone(),
        since: now,
        asks_for: leaf.map(digest_of_request).unwrap_or_default(),
        follows: leaf.map(|leaf| leaf.fingerprint()).unwrap_or_default(),
        public_key,
    };
    let by_files = context.config.issuers.files.enabled;
    store.open(&order, &asked, by_files)?;
    Ok(order)
}

/// Who is asked for a certificate, where that is not whoever signs its file.
fn issuer(context: &Context, inventory: &Inventory, id: &CertificateId) -> Option<String> {
    let authority = inventory.entry(id)?.authority?;
    let asked = context.config.issuers.asked_for(id.as_str(), authority);
    asked.map(|(name, _)| name.to_owned())
}

/// The name of a certificate where it is the beginning of a file's: the configuration may give any, a path included.
fn as_file_name(id: &CertificateId) -> String {
    let plain = |letter: char| {
        let is_plain = letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        if is_plain { letter } else { '-' }
    };
    let name: String = id.as_str().chars().take(LONGEST_NAME).map(plain).collect();
    if name.starts_with('.') {
        format!("-{name}")
    } else {
        name
    }
}

/// Of a file's name, the part that a certificate's makes; letters.
const LONGEST_NAME: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_certificate_leads_to_another_directory() {
        for (name, file) in [
            ("admin.conf", "admin.conf"),
            ("etcd-host/peer", "etcd-host-peer"),
            ("../../x", "-..-..-x"),
            ("..", "-.."),
            ("a b\n\u{e9}", "a-b--"),
        ] {
            assert_eq!(as_file_name(&CertificateId::from(name)), file);
        }
        assert!(as_file_name(&CertificateId::from("x".repeat(500).as_str())).len() <= LONGEST_NAME);
    }
}
