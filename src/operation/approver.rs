//! The approver's duty: on one control plane at a time, by a Lease of its own, every pending request of a kubelet is judged, and what
//! follows is done, or only said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Context;
use super::api_access::api_access;
use super::table::{Well, approver_seat};
use crate::api::{Access, ApiError, Decision, DecisionKind};
use crate::cluster::{
    AUTO_APPROVED, ApproverReason, Backlog, Case, ClusterFacts, EventReason, Held, Judgement,
    Known, KubeletRequest, Lookups, Mark, NodeEvent, NotTaken, RequestDesk, Seat, Subject, Verdict,
    judge, look, look_up, names_to_look_up, take,
};
use crate::config::ApproverMode;
use crate::host::{now, printable, uptime};
use crate::net::Address;
use crate::node::Inventory;
use crate::probe::known_members;
use crate::report::ApproverStatus;

/// How often pending requests are looked for, and whether whoever judges them still does.
const PAUSE: Duration = Duration::from_secs(20);
/// The same after failures, doubled until that.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A holder writes the Lease more often than this.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// One decision, with the reading before it, takes no longer.
const WORST: Duration = Duration::from_secs(25);
/// So many Events are written at a time, and so many wait to be written.
const MOST_EVENTS: usize = 50;
const MOST_WAITING: usize = 1000;
/// So many requests' names are looked up at a time.
const MOST_LOOKED_UP: usize = 20;

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub struct ApproverDuty {
    held: Option<Held>,
    /// The uid of the Lease that this process went by; one that was made anew is waited out.
    known: Option<String>,
    /// What the Lease said when it was looked at, and since when, in uptime.
    renewed: Option<(String, Duration)>,
    /// What was said of each request, by uid, so that it is said once.
    said: BTreeMap<String, String>,
    /// Events that are not written yet.
    events: VecDeque<NodeEvent>,
    status: ApproverStatus,
    failures: u32,
}

/// Whether this control plane judges.
enum Place {
    Active,
    Standby(Option<String>),
}

impl ApproverDuty {
    /// How long until the next look.
    #[must_use]
    pub fn pause(&self) -> Duration {
        (PAUSE * 2_u32.saturating_pow(self.failures.min(8))).min(LONGEST_PAUSE)
    }

    /// Gives the Lease back, since nothing is to be judged here any more. Where it cannot be given back it ends by itself.
    pub async fn end(&mut self) {
        if let Some(held) = self.held.take() {
            drop(held.release(Mark::Keep).await);
        }
        *self = Self::default();
    }

    /// Looks once, and does what follows.
    pub async fn look(&mut self, context: &Context, inventory: &Inventory) -> ApproverStatus {
        let before = self.status.clone();
        let settings = &context.config.approver;
        self.status.mode = match settings.mode {
            ApproverMode::Off => "off",
            ApproverMode::Observe => "observe",
            ApproverMode::Approve => "approve",
        }
        .to_owned();
        let done = match self.place(context, inventory).await {
            Ok(Place::Active) => {
                (self.status.active, self.status.holder) = (true, None);
                self.judge_all(context, inventory).await
            }
            Ok(Place::Standby(holder)) => {
                (self.status.active, self.status.holder) = (false, holder);
                (self.status.pending, self.status.left) = (0, 0);
                Ok(())
            }
            Err(error) => Err(error),
        };
        let failure = done.as_ref().err();
        self.failures = failure.map_or(0, |_| self.failures.saturating_add(1));
        self.status.failure = failure.map(ToString::to_string);
        self.status.code = failure.map(|error| error.code().to_owned());
        if let Some(reason) = &self.status.failure
            && before.code != self.status.code
        {
            tracing::warn!("kubelets' requests cannot be judged now: {reason}");
        }
        if self.status != before {
            self.status.since = Some(now());
        }
        self.status.clone()
    }

    async fn place(&mut self, context: &Context, inventory: &Inventory) -> Result<Place, ApiError> {
        let Some(seat) = approver_seat(context, inventory, self.known.clone()).await else {
            // The only control plane.
            return Ok(Place::Active);
        };
        let seat = seat?;
        if let Some(held) = &self.held {
            if held.confirm(WORST).await.is_ok() {
                return Ok(Place::Active);
            }
            tracing::info!("another control plane may judge kubelets' requests now");
            self.held = None;
        }
        let sight = look(&seat).await?;
        let holder = sight.holder.filter(|holder| holder.node != seat.me.node);
        let name = holder.map(|holder| printable(&holder.node).into_owned());
        if name.is_some() && !self.is_silent(sight.renewed) {
            return Ok(Place::Standby(name));
        }
        self.take(&seat, inventory, name).await
    }

    /// Whether the Lease says the same as a while ago, which one that is held does not.
    fn is_silent(&mut self, renewed: String) -> bool {
        let now = uptime();
        match &self.renewed {
            Some((known, since)) if *known == renewed => now.saturating_sub(*since) > SILENT_FOR,
            _ => {
                self.renewed = Some((renewed, now));
                false
            }
        }
    }

    async fn take(
        &mut self,
        seat: &Seat,
        inventory: &Inventory,
        holder: Option<String>,
    ) -> Result<Place, ApiError> {
        let (_going_on, stop) = watch::channel(false);
        match take(seat, &Well(inventory), &stop, &mut |_| {}).await {
            Ok(held) => {
                self.known = Some(held.token().lease.clone());
                self.held = Some(held);
                tracing::info!("this control plane judges kubelets' requests");
                Ok(Place::Active)
            }
            Err(NotTaken::Unreachable(error)) => Err(error),
            Err(NotTaken::InLine { by }) => {
                let by = by.map(|by| printable(&by.node).into_owned());
                Ok(Place::Standby(by.or(holder)))
            }
            Err(NotTaken::Halted(_) | NotTaken::Stopped) => Ok(Place::Standby(holder)),
        }
    }

    async fn judge_all(
        &mut self,
        context: &Context,
        inventory: &Inventory,
    ) -> Result<(), ApiError> {
        let kept = Known::read(&context.store());
        let (access, servers) = api_access(context, inventory, &kept)?;
        let desk = RequestDesk::new(access.clone(), servers.clone());
        let judged = self.judge_pending(context, inventory, kept, &desk).await;
        self.write_events(context, inventory, &access, &servers)
            .await;
        judged
    }

    async fn judge_pending(
        &mut self,
        context: &Context,
        inventory: &Inventory,
        kept: Known,
        desk: &RequestDesk,
    ) -> Result<(), ApiError> {
        let mut backlog = desk.backlog().await?;
        self.status.pending = backlog.pending();
        self.status.left = 0;
        let requests = backlog.take_newest();
        let uids: BTreeSet<&str> = requests
            .iter()
            .map(|request| request.uid.as_str())
            .collect();
        self.said.retain(|uid, _| uids.contains(uid.as_str()));
        if requests.is_empty() {
            return Ok(());
        }
        let known = kept.with_others(known_members(inventory).await);
        let facts = ClusterFacts::of(inventory, &known.others, desk.nodes().await?);
        let mut looked_up = 0;
        for request in requests {
            let judgement = judged(context, &facts, &backlog, &request, &mut looked_up).await;
            let verdict = match judgement.verdict() {
                Verdict::Leave(reasons) => {
                    self.status.left += 1;
                    let event = self.left(&request, &reasons);
                    self.events.extend(event);
                    continue;
                }
                verdict => verdict,
            };
            let decision = decision(inventory, &verdict);
            if context.config.approver.mode != ApproverMode::Approve {
                let event = self.observed(&request, &decision);
                self.events.extend(event);
                continue;
            }
            let case = (context, &facts, &backlog);
            if self.decide(desk, case, &request, &decision).await? {
                if decision.kind == DecisionKind::Approved {
                    backlog.approved(&request.username, decision.at);
                }
                let event = self.decided(&request, &decision);
                self.events.push_back(event);
            }
        }
        Ok(())
    }

    /// Writes some of the Events that wait. The first that cannot be written ends it: the rest waits for the next look.
    async fn write_events(
        &mut self,
        context: &Context,
        inventory: &Inventory,
        access: &Arc<Access>,
        servers: &[Address],
    ) {
        let node = inventory.node_name.as_deref().unwrap_or_default();
        if !context.config.events.enabled || !NodeEvent::may_be_about(node) {
            self.events.clear();
            return;
        }
        self.events.truncate(MOST_WAITING);
        for _ in 0..MOST_EVENTS {
            let Some(event) = self.events.front() else {
                return;
            };
            if let Err(error) = event.write(node, access, servers).await {
                tracing::info!("kubecertd cannot write an Event about a request: {error}");
                return;
            }
            self.events.pop_front();
        }
    }

    /// Writes a decision, if the request is still what was judged and this is still the control plane that judges. Whether it did.
    async fn decide(
        &mut self,
        desk: &RequestDesk,
        (context, facts, backlog): (&Context, &ClusterFacts, &Backlog),
        request: &KubeletRequest,
        decision: &Decision,
    ) -> Result<bool, ApiError> {
        let Some(object) = desk.get(&request.name).await? else {
            return Ok(false);
        };
        // What was read just now is what is decided about.
        let fresh = KubeletRequest::of(&object);
        if fresh != *request {
            let mut none = MOST_LOOKED_UP;
            let judgement = judged(context, facts, backlog, &fresh, &mut none).await;
            if fresh.uid != request.uid || kind(&judgement.verdict()) != Some(decision.kind) {
                return Ok(false);
            }
        }
        if let Some(held) = &self.held
            && held.confirm(WORST).await.is_err()
        {
            self.held = None;
            return Err(ApiError::ApiConflict {
                reason: "another control plane may judge kubelets' requests now".to_owned(),
            });
        }
        match desk.decide(&object, decision).await {
            Ok(()) => Ok(true),
            // It is looked at again, or is gone.
            Err(ApiError::ApiConflict { .. } | ApiError::ApiNotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn decided(&mut self, request: &KubeletRequest, decision: &Decision) -> NodeEvent {
        let (reason, word) = match decision.kind {
            DecisionKind::Approved => {
                self.status.approved += 1;
                (EventReason::KubeletRequestApproved, "approved")
            }
            DecisionKind::Denied => {
                self.status.denied += 1;
                (EventReason::KubeletRequestDenied, "denied")
            }
        };
        let message = &decision.message;
        tracing::info!("{word} {} of {}: {message}", request.name, request.username);
        event(reason, request, word, message.clone())
    }

    /// What is said of one that would be decided; `None` where it was said.
    fn observed(&mut self, request: &KubeletRequest, decision: &Decision) -> Option<NodeEvent> {
        let message = format!(
            "would be {}: {}",
            decision.kind.word().to_lowercase(),
            decision.message
        );
        self.is_news(request, &message).then(|| {
            tracing::info!("{} of {} {message}", request.name, request.username);
            event(
                EventReason::KubeletRequestObserved,
                request,
                &message.clone(),
                message,
            )
        })
    }

    /// The same of one that is left.
    fn left(&mut self, request: &KubeletRequest, reasons: &[ApproverReason]) -> Option<NodeEvent> {
        // What passes by itself is nobody's trouble.
        if reasons.iter().all(ApproverReason::passes_by_itself) {
            return None;
        }
        let mut codes: Vec<&str> = reasons.iter().map(ApproverReason::code).collect();
        codes.dedup();
        let codes = codes.join(" ");
        if !self.is_news(request, &codes) {
            return None;
        }
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let message = format!("left to a person: {}", reasons.join("; "));
        tracing::warn!("{} of {} is {message}", request.name, request.username);
        Some(event(
            EventReason::KubeletRequestLeft,
            request,
            &codes,
            message,
        ))
    }

    fn is_news(&mut self, request: &KubeletRequest, what: &str) -> bool {
        let before = self.said.insert(request.uid.clone(), what.to_owned());
        before.as_deref() != Some(what)
    }
}

/// A request judged, with its names looked up where that is all that is lacking and not too many were.
async fn judged(
    context: &Context,
    facts: &ClusterFacts,
    backlog: &Backlog,
    request: &KubeletRequest,
    looked_up: &mut usize,
) -> Judgement {
    let now = now();
    let standing = backlog.standing(request, now);
    let none = Lookups::new();
    let case = Case {
        request,
        facts,
        settings: &context.config.approver,
        standing: &standing,
        lookups: &none,
        now,
    };
    let judgement = judge(&case);
    let names = names_to_look_up(&judgement);
    if names.is_empty() || *looked_up >= MOST_LOOKED_UP {
        return judgement;
    }
    *looked_up += 1;
    let lookups = look_up(&names).await;
    judge(&Case {
        lookups: &lookups,
        ..case
    })
}

fn kind(verdict: &Verdict) -> Option<DecisionKind> {
    match verdict {
        Verdict::Approve => Some(DecisionKind::Approved),
        Verdict::Deny(_) => Some(DecisionKind::Denied),
        Verdict::Leave(_) => None,
    }
}

fn decision(inventory: &Inventory, verdict: &Verdict) -> Decision {
    let node = inventory.node_name.as_deref().unwrap_or("a control plane");
    let (kind, word, message) = match verdict {
        Verdict::Deny(proofs) => {
            let proofs: Vec<String> = proofs.iter().map(ToString::to_string).collect();
            let message = format!(
                "kubecertd on {node} takes it for abuse: {}",
                proofs.join("; ")
            );
            (DecisionKind::Denied, "KubecertdAutoDenied", message)
        }
        Verdict::Approve | Verdict::Leave(_) => (
            DecisionKind::Approved,
            AUTO_APPROVED,
            format!("it passes every check of kubecertd on {node}"),
        ),
    };
    Decision {
        kind,
        reason: word.to_owned(),
        message: printable(&message).into_owned(),
        at: now(),
    }
}

fn event(reason: EventReason, request: &KubeletRequest, what: &str, message: String) -> NodeEvent {
    NodeEvent {
        reason,
        key: what.to_owned(),
        message,
        at: now(),
        about: Subject::Request {
            name: request.name.clone(),
            uid: request.uid.clone(),
        },
    }
}
