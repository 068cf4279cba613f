//! The other control planes as this one knows them, and what keeps it from its turn.

use std::pin::Pin;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::sleep;

use super::api_access::api_access;
use super::etcd::{disturbed, look_at_etcd};
use super::maintenance::look_at_maintenance;
use super::right::step_bound;
use super::{Context, Machine};
use crate::api::ApiError;
use crate::checks::{Asked, Cause, Finding, Intent, Outlook, Severity, blocking, judge_outlook};
use crate::cluster::{
    APPROVER_LEASE, AsyncWell, Halt, Identity, Known, LEASE, Peers, Permission, Seat, Sight,
    SlotSeen, Timing, is_name, look, permission,
};
use crate::config::TurnMode;
use crate::host::{read_at_most, shifted, stopped};
use crate::node::Inventory;
use crate::plan::{RestartGroup, Share};
use crate::probe::{ControlPlanes, control_planes, known_members};

/// How long a node stands in line before it looks at everything again.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// By so much longer than a Lease lives that is waited out.
const BEYOND_LEASE: Duration = Duration::from_secs(60);
/// So long a node looks at the others in its slot before it acts without a turn.
const WATCHED: Duration = Duration::from_secs(10);
/// A decision about a kubelet's request, with all that is asked before it, takes no longer.
const APPROVER_STEP: Duration = Duration::from_secs(60);
/// A boot id is shorter.
const BOOT_ID_LIMIT: u64 = 256;
/// An API that fails within this time is asked once more. One that lets this node wait would do that again.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Why a node would take its turn, and how long it can wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) intent: &'a Intent,
    pub(super) asked: Asked,
}

impl Wish<'_> {
    /// The first end of what is renewed; `None` where nothing ends.
    fn ends(&self) -> Option<Timestamp> {
        self.intent.first_end.as_ref().map(|(_, ends)| *ends)
    }
}

/// This node's seat, where there are others to take turns with.
pub(super) struct Table<'a> {
    context: &'a Context,
    inventory: &'a Inventory,
    known: Known,
    pub(super) me: Identity,
    pub(super) seat: Result<Seat, ApiError>,
}

impl<'a> Table<'a> {
    /// `None` where no turn is needed: this is no running node, or the only control plane.
    pub(super) async fn of(context: &'a Context, inventory: &'a Inventory) -> Option<Self> {
        let machine = context.machine.as_ref()?;
        if context.config.turn.mode == TurnMode::Off {
            return None;
        }
        let kept = Known::read(&context.store());
        let known = kept.with_others(known_members(inventory).await);
        if known.others.is_empty() {
            return None;
        }
        let me = own_identity(machine, inventory);
        let seat = seat(context, inventory, &known, &me);
        Some(Self {
            context,
            inventory,
            known,
            me,
            seat,
        })
    }

    pub(super) async fn look(&self, seat: &Seat) -> Result<Sight, ApiError> {
        let began = Instant::now();
        let seen = look(seat).await;
        if seen.is_ok() || began.elapsed() > AT_ONCE {
            return seen;
        }
        look(seat).await
    }

    /// Keeps what is known of the cluster. That it cannot be kept only means that it is found out again.
    pub(super) fn remember(&self, lease: Option<String>) {
        self.keep(|known| known.lease = lease.or_else(|| known.lease.take()));
    }

    /// What is kept may have changed since this table was made.
    fn keep(&self, change: impl FnOnce(&mut Known)) {
        let kept = Known::update(&self.context.store(), |known| {
            known.others.clone_from(&self.known.others);
            change(known);
        });
        if let Err(error) = kept {
            tracing::debug!(%error, "what is known of the cluster is not kept");
        }
    }

    /// Keeps which Lease was seen, unless another was known: that one's holder may still act, which only taking the turn waits out.
    pub(super) fn remember_first(&self, lease: Option<String>) {
        self.keep(|known| known.lease = known.lease.take().or(lease));
    }

    /// The uid of the Lease that this node goes by.
    pub(super) fn known_lease(&self) -> Option<&str> {
        self.known.lease.as_deref()
    }

    /// Names of the other control planes; none where only their addresses are known.
    pub(super) fn other_names(&self) -> Vec<String> {
        let others = self.known.others.iter();
        let mut names: Vec<String> = others
            .filter(|(name, host)| name != host && is_name(name))
            .map(|(name, _)| name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn emergency(&self, wish: Wish<'_>) -> Option<Timestamp> {
        let before = SignedDuration::try_from(self.context.config.turn.emergency);
        Some(shifted(
            wish.ends()?,
            -before.unwrap_or(SignedDuration::MAX),
        ))
    }

    fn is_emergency(&self, wish: Wish<'_>) -> bool {
        let begins = self.emergency(wish);
        begins.is_some_and(|begins| begins <= crate::host::now())
    }

    /// Another node has failed: this one waits for an administrator, until its own certificates are about to end and it has
    /// said so for long enough.
    pub(super) fn halted(&self, halt: Halt, wish: Wish<'_>) -> Option<Finding> {
        let notice = SignedDuration::try_from(self.context.config.turn.notice);
        let notice = notice.unwrap_or(SignedDuration::MAX);
        let alone_from = self.emergency(wish).map(|begins| shifted(begins, notice));
        let is_over = alone_from.is_some_and(|from| from <= crate::host::now());
        let severity = if is_over {
            Severity::Warn
        } else {
            self.unless_forced(wish)
        };
        let cause = Cause::TurnHalted {
            node: halt.node,
            operation: halt.operation,
            reason: halt.reason,
            alone_from,
        };
        Some(Finding::new(cause, severity, wish.asked))
    }

    /// The Lease cannot be asked for: `None` where this node acts all the same.
    pub(super) async fn unreachable(&self, error: &ApiError, wish: Wish<'_>) -> Option<Finding> {
        let cause = |emergency| Cause::TurnUnreachable {
            reason: error.to_string(),
            emergency,
        };
        // By hand it is the administrator who sees to the others.
        self.without_turn(wish, Severity::Warn, cause).await
    }

    /// The turn could not be had for long: `None` where this node acts all the same. Whoever may write the Lease must not keep it
    /// from that past the end of its certificates.
    pub(super) async fn occupied(&self, by: Option<Identity>, wish: Wish<'_>) -> Option<Finding> {
        let cause = |emergency| Cause::TurnOccupied {
            node: by.as_ref().map(|by| by.node.clone()),
            emergency,
        };
        let severity = self.unless_forced(wish);
        self.without_turn(wish, severity, cause).await
    }

    /// What a node does without its turn. `otherwise`: what follows where nothing ends, or an administrator asks.
    async fn without_turn(
        &self,
        wish: Wish<'_>,
        otherwise: Severity,
        cause: impl Fn(Option<Timestamp>) -> Cause,
    ) -> Option<Finding> {
        let finding = |cause, severity| Some(Finding::new(cause, severity, wish.asked));
        let (Asked::BySchedule, Some(ends)) = (wish.asked, wish.ends()) else {
            return finding(cause(None), otherwise);
        };
        let planes = control_planes(self.inventory).await;
        let others = self.known.others.len();
        let peers = planes.as_ref().map_or_else(
            || Peers {
                share: self.share(),
                answering: 0,
            },
            |planes| Peers {
                share: planes.share,
                answering: others.saturating_sub(planes.silent.len()),
            },
        );
        let emergency = self.context.config.turn.emergency;
        match permission(peers, ends, emergency, crate::host::now()) {
            Permission::Waits { emergency } => finding(cause(Some(emergency)), Severity::Wait),
            Permission::Slot { begins } => {
                let control_planes = others + 1;
                let cause = Cause::TurnLater {
                    control_planes,
                    begins,
                };
                finding(cause, Severity::Wait)
            }
            Permission::InSlot { began } => self.gone_since(began, planes.as_ref(), wish),
            Permission::Acts => None,
        }
    }

    /// Looks once more a while after [`Table::unreachable`] or [`Table::occupied`] let this node act, where that was for its slot:
    /// whether anything has gone away meanwhile, so that another one may be acting.
    pub(super) async fn gone_in_slot(
        &self,
        wish: Wish<'_>,
        stop: &watch::Receiver<bool>,
    ) -> Option<Finding> {
        let slot = Known::read(&self.context.store()).slot?;
        if !slot.is_of(crate::host::now()) {
            return None;
        }
        tokio::select! {
            biased;
            () = stopped(stop) => {}
            () = sleep(WATCHED) => {}
        }
        let planes = control_planes(self.inventory).await;
        self.gone_since(slot.began, planes.as_ref(), wish)
    }

    /// What does not answer any more of what answered in the slot that began then.
    fn gone_since(
        &self,
        began: Timestamp,
        planes: Option<&ControlPlanes>,
        wish: Wish<'_>,
    ) -> Option<Finding> {
        let planes = planes?;
        let mut gone = None;
        self.keep(|known| {
            let (seen, found) = SlotSeen::looked(known.slot.take(), began, &planes.silent);
            known.slot = Some(seen);
            gone = found;
        });
        let (who, seen) = gone?;
        let cause = Cause::ControlPlaneSilent {
            who,
            seen,
            control_planes: planes.count,
        };
        Some(Finding::new(cause, Severity::Wait, wish.asked))
    }

    /// What others do to the control planes' machines. What has ended or is about to end waits for no reboot.
    pub(super) async fn maintenance(&self, wish: Wish<'_>) -> Vec<Finding> {
        let Ok(seat) = &self.seat else {
            return Vec::new();
        };
        if self.is_emergency(wish) {
            return Vec::new();
        }
        let severity = self.unless_forced(wish);
        match look_at_maintenance(seat, severity, wish.asked).await {
            Ok(findings) => findings,
            Err(error) => self.unreachable(&error, wish).await.into_iter().collect(),
        }
    }

    /// What etcd's members say against restarting these, where that holds anything up. What has ended or is about to end does
    /// not wait for it, nor who insists.
    pub(super) async fn etcd(&self, wish: Wish<'_>, groups: &[RestartGroup]) -> Option<Finding> {
        let pods = groups.iter().flat_map(RestartGroup::pods);
        let disturbed = disturbed(self.inventory, pods)?;
        let severity = self.unless_forced(wish);
        if self.is_emergency(wish) || severity == Severity::Warn {
            return None;
        }
        let cause = look_at_etcd(self.inventory, disturbed).await?;
        Some(Finding::new(cause, severity, wish.asked))
    }

    /// Which of the others do not answer, where that holds anything up.
    pub(super) async fn silent(&self, wish: Wish<'_>) -> Vec<Finding> {
        let seen = Outlook {
            control_planes: control_planes(self.inventory).await,
            ..Outlook::default()
        };
        let now = crate::host::now();
        let findings = judge_outlook(&seen, wish.intent, wish.asked, now);
        blocking(&findings)
    }

    fn share(&self) -> Share {
        let mut names: Vec<&str> = self.known.others.iter().map(|(name, _)| &**name).collect();
        names.push(&self.me.node);
        names.sort_unstable();
        names.dedup();
        let place = names.iter().position(|name| *name == self.me.node);
        Share::ranked(place.unwrap_or_default(), names.len())
    }

    fn unless_forced(&self, wish: Wish<'_>) -> Severity {
        match wish.asked {
            Asked::BySchedule => Severity::Wait,
            Asked::ByHand { force: true } => Severity::Warn,
            Asked::ByHand { force: false } => Severity::Refuse,
        }
    }
}

/// This node in this life.
fn own_identity(machine: &Machine, inventory: &Inventory) -> Identity {
    let boot = machine.processes.join("sys/kernel/random/boot_id");
    let boot = read_at_most(&boot, BOOT_ID_LIMIT).unwrap_or_default();
    Identity {
        node: inventory.node_name.clone().unwrap_or_default(),
        boot: String::from_utf8_lossy(&boot).trim().to_owned(),
    }
}

/// This node's seat for the approver, whose Lease is another, also where no turns are taken; `known`: the uid by which this process went
/// before. `None` where this is the only control plane.
pub(super) async fn approver_seat(
    context: &Context,
    inventory: &Inventory,
    known: Option<String>,
) -> Option<Result<Seat, ApiError>> {
    let machine = context.machine.as_ref()?;
    let kept = Known::read(&context.store());
    let others = kept.with_others(known_members(inventory).await);
    if others.others.is_empty() {
        return None;
    }
    let me = own_identity(machine, inventory);
    let timing = Timing::of(APPROVER_STEP);
    let seat = seat(context, inventory, &others, &me);
    Some(seat.map(|seat| Seat {
        lease: APPROVER_LEASE,
        timing,
        known,
        patience: timing.lease + BEYOND_LEASE,
        ..seat
    }))
}

/// By what and where this node asks; why it cannot.
fn seat(
    context: &Context,
    inventory: &Inventory,
    known: &Known,
    me: &Identity,
) -> Result<Seat, ApiError> {
    let (access, servers) = api_access(context, inventory, known)?;
    let timing = Timing::of(step_bound(context));
    Ok(Seat {
        lease: LEASE,
        me: me.clone(),
        timing,
        known: known.lease.clone(),
        patience: patience(timing),
        servers,
        access,
    })
}

/// Long enough for a Lease that is not the one that was known: it is waited out for the whole of its duration.
fn patience(timing: Timing) -> Duration {
    PATIENCE.max(timing.lease + BEYOND_LEASE)
}

/// Whether another control plane is seen to be well: all of them are.
pub(super) struct Well<'a>(pub(super) &'a Inventory);

impl AsyncWell for Well<'_> {
    fn is_well<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async {
            let planes = control_planes(self.0).await;
            planes.is_some_and(|planes| planes.silent.is_empty())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_is_waited_out_is_had_before_patience_ends() {
        for timeout in [1, 60, 300, 1200, 3600] {
            let timing = Timing::of(Duration::from_secs(timeout));
            assert!(patience(timing) > timing.lease, "{timeout}");
        }
    }
}
