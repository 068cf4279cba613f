//! Kubelets' requests as an administrator sees and decides them.

use super::Context;
use super::api_access::api_access;
use crate::api::{ApiError, Decision, DecisionKind, SigningRequestObject};
use crate::cluster::{
    Case, ClusterFacts, Judgement, Known, KubeletRequest, Lookups, RequestDesk, Verdict, judge,
    look_up, names_to_look_up,
};
use crate::node::Inventory;
use crate::probe::known_members;

/// So often a decision is tried upon a request that others write to meanwhile.
const MOST_TRIES: usize = 5;

/// A request with all that was found about it.
#[derive(Debug, Clone)]
pub struct Reviewed {
    object: SigningRequestObject,
    /// What the API says of it.
    pub request: KubeletRequest,
    /// What the checks found.
    pub judgement: Judgement,
}

/// What came of a decision by hand.
#[derive(Debug, Clone)]
pub enum Decided {
    /// It is written.
    Done(Box<Reviewed>),
    /// It was not, since checks did not pass.
    Refused(Box<Reviewed>),
    /// It was not, since it is decided already.
    Already(Box<Reviewed>),
    /// There is no such request, or no more.
    Gone,
}

/// What an administrator wants.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// To approve it, with `force` whatever the checks find.
    Approve {
        /// Whatever the checks find.
        force: bool,
    },
    /// To deny it for this reason.
    Deny {
        /// In a sentence.
        reason: &'a str,
    },
}

/// All requests to all signers.
///
/// # Errors
/// [`ApiError`].
pub async fn list_requests(
    context: &Context,
    inventory: &Inventory,
) -> Result<Vec<KubeletRequest>, ApiError> {
    let known = Known::read(&context.store());
    desk(context, inventory, &known)?.list().await
}

/// One request, judged as the approver would; `None` where there is none.
///
/// # Errors
/// [`ApiError`].
pub async fn review_request(
    context: &Context,
    inventory: &Inventory,
    name: &str,
) -> Result<Option<Reviewed>, ApiError> {
    let kept = Known::read(&context.store());
    let known = kept.with_others(known_members(inventory).await);
    let desk = desk(context, inventory, &known)?;
    let Some(object) = desk.get(name).await? else {
        return Ok(None);
    };
    let request = KubeletRequest::of(&object);
    let backlog = desk.backlog().await?;
    let facts = ClusterFacts::of(inventory, &known.others, desk.nodes().await?);
    let now = crate::host::now();
    let standing = backlog.standing(&request, now);
    let none = Lookups::new();
    let case = Case {
        request: &request,
        facts: &facts,
        settings: &context.config.approver,
        standing: &standing,
        lookups: &none,
        now,
    };
    let mut judgement = judge(&case);
    let names = names_to_look_up(&judgement);
    if !names.is_empty() {
        let lookups = look_up(&names).await;
        judgement = judge(&Case {
            lookups: &lookups,
            ..case
        });
    }
    Ok(Some(Reviewed {
        object,
        request,
        judgement,
    }))
}

/// Approves or denies a request. What was written to it meanwhile is read and judged again first.
///
/// # Errors
/// [`ApiError`].
pub async fn decide_request(
    context: &Context,
    inventory: &Inventory,
    name: &str,
    wanted: Wanted<'_>,
) -> Result<Decided, ApiError> {
    let known = Known::read(&context.store());
    let desk = desk(context, inventory, &known)?;
    let mut last = None;
    for _ in 0..MOST_TRIES {
        let Some(reviewed) = review_request(context, inventory, name).await? else {
            return Ok(Decided::Gone);
        };
        let reviewed = Box::new(reviewed);
        if !reviewed.request.is_pending() {
            return Ok(Decided::Already(reviewed));
        }
        let passes = reviewed.judgement.verdict() == Verdict::Approve;
        if matches!(wanted, Wanted::Approve { force: false }) && !passes {
            return Ok(Decided::Refused(reviewed));
        }
        let decision = decision(inventory, &reviewed.judgement, wanted);
        match desk.decide(&reviewed.object, &decision).await {
            Ok(()) => return Ok(Decided::Done(reviewed)),
            Err(ApiError::ApiNotFound { .. }) => return Ok(Decided::Gone),
            Err(error @ ApiError::ApiConflict { .. }) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(ApiError::ApiConflict {
        reason: name.to_owned(),
    }))
}

fn decision(inventory: &Inventory, judgement: &Judgement, wanted: Wanted<'_>) -> Decision {
    let node = inventory.node_name.as_deref().unwrap_or("this node");
    let (kind, word, message) = match wanted {
        Wanted::Approve { .. } => {
            let mut codes: Vec<&str> = judgement.reasons.iter().map(|one| one.code()).collect();
            codes.dedup();
            let spite = match codes.as_slice() {
                [] => String::new(),
                codes => format!(" in spite of {}", codes.join(", ")),
            };
            (
                DecisionKind::Approved,
                "KubecertdApprove",
                format!("approved by hand with kubecertd on {node}{spite}"),
            )
        }
        Wanted::Deny { reason } => (
            DecisionKind::Denied,
            "KubecertdDeny",
            format!("denied by hand with kubecertd on {node}: {reason}"),
        ),
    };
    Decision {
        kind,
        reason: word.to_owned(),
        message,
        at: crate::host::now(),
    }
}

fn desk(context: &Context, inventory: &Inventory, known: &Known) -> Result<RequestDesk, ApiError> {
    let (access, servers) = api_access(context, inventory, known)?;
    Ok(RequestDesk::new(access, servers))
}
