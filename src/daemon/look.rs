//! Looking at the node, in three steps: the files, what is in use, and what restarts need. Each blocks or takes long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::others::Others;
use super::pass::Pass;
use super::unkept::Unkept;
use super::uses::Uses;
use crate::checks::{Asked, Check, Intent};
use crate::node::Inventory;
use crate::operation::{
    Context, EventLog, ask_issuers, catch_up_copies, keep_orders, look_ahead, look_at_addresses,
    look_at_kubelet_repair, look_at_orders, look_at_restarts, preflight,
};
use crate::plan::{KubeletRepairs, kubelet_need, kubelet_repairs};

/// When to go on where what a program answered could not be kept.
const ASK_PAUSE: Duration = Duration::from_secs(60);

/// Observes and plans. `others` and `uses` are what was known before.
pub(super) fn at_files(context: &Context, others: Others, uses: Uses) -> Pass {
    let inventory = context.observe();
    let now = crate::host::now();
    let mut log = EventLog::default();
    let mut order_problems = keep_orders(context, &inventory, now, &mut |event| log.write(&event));
    let looked = look_at_orders(context, &inventory, now);
    let plan = context.plan_with(&inventory, &looked, now);
    order_problems.extend(looked.problems.iter().map(ToString::to_string));
    let live = context.is_live();
    Pass {
        findings: preflight(context, &inventory, &plan, live, Asked::BySchedule),
        node_down: false,
        kubelet: kubelet_need(&inventory, now),
        repair: repairs(context, &inventory, now),
        inventory: Arc::new(inventory),
        plan: Arc::new(plan),
        order_problems,
        copies: Vec::new(),
        ask_again: looked
            .ask_again_after(now)
            .map(|wait| wait.max(others.unkept.remaining(Instant::now()))),
        unfinished: in_flight(context),
        others,
        uses,
    }
}

/// What the configuration wants done for the kubelet's certificates.
fn repairs(context: &Context, inventory: &Inventory, now: Timestamp) -> KubeletRepairs {
    let config = &context.config;
    if config.renewal.enabled && context.is_live() {
        kubelet_repairs(inventory, &config.renewal, config.kubelet.repair, now)
    } else {
        KubeletRepairs::NONE
    }
}

/// Cares for what other processes left behind.
pub(super) fn at_others(context: &Context, pass: &mut Pass) {
    let Pass {
        others,
        inventory,
        unfinished,
        ..
    } = pass;
    others.look(context, inventory, unfinished);
}

/// Brings copies of admin.conf up to date that a renewal could not, unless one that was cut off may yet put the old one back.
pub(super) fn at_copies(context: &Context, pass: &mut Pass) {
    if !pass.unfinished.is_empty() {
        return;
    }
    let mut log = EventLog::default();
    let left = catch_up_copies(context, &pass.inventory, &mut |event| log.write(&event));
    pass.copies = left.unwrap_or_else(|error| {
        // An operation meets it as well, and says so.
        tracing::debug!(%error, "copies of admin.conf are not looked after");
        Vec::new()
    });
}

/// Looks whether a filter keeps the daemon from what it needs, and whether the certificates in the files are in use.
pub(super) async fn at_use(context: &Context, mut pass: Pass) -> Pass {
    look_for_filter(context, &mut pass).await;
    pass.uses.look(context, &pass.inventory).await;
    pass
}

/// Looks whether a filter keeps the daemon from what it needs.
pub(super) async fn look_for_filter(context: &Context, pass: &mut Pass) {
    let found = look_at_addresses(context, &pass.inventory).await;
    pass.findings.extend(found);
}

/// Finds out whether expired certificates have stopped the node, and asks it for what restarts need, where something is due; an
/// operation asks again just before it begins.
pub(super) async fn at_needs(context: &Context, mut pass: Pass) -> Pass {
    pass.look_whether_down(context).await;
    ask(context, &mut pass).await;
    let only = pass.only_restarts();
    if !only.is_empty() {
        // What was found for a plan without anything to do knows nothing of why these are restarted.
        pass.findings
            .retain(|finding| finding.check() == Check::Addresses);
        let found = look_at_restarts(context, &pass.inventory, &only, &pass.uses.own().seen());
        pass.findings.extend(found);
        return pass;
    }
    if pass.only_repairs_kubelet() {
        let asked = Asked::BySchedule;
        let repairs = &pass.repair;
        let found = look_at_kubelet_repair(context, &pass.inventory, repairs, asked).await;
        pass.findings
            .retain(|finding| finding.check() == Check::Addresses);
        pass.findings.extend(found);
        return pass;
    }
    if pass.due() == 0 || pass.node_down || !pass.unfinished.is_empty() {
        return pass;
    }
    let config = &context.config;
    let intent = Intent::of(&pass.inventory, &pass.plan, config, context.is_live());
    let asked = Asked::BySchedule;
    let found = look_ahead(context, &pass.inventory, &intent, asked).await;
    pass.findings.extend(found);
    pass
}

/// Asks the programs that sign for CAs elsewhere, where that is to be done now; whether one was asked. What they answer shows at the
/// next look, which follows at once or, where one is still due, after a pause.
pub(super) async fn ask(context: &Context, pass: &mut Pass) -> bool {
    if pass.ask_again.is_none_or(|wait| !wait.is_zero()) {
        return false;
    }
    let failed = ask_issuers(context, &pass.inventory).await;
    let unkept = &mut pass.others.unkept;
    if failed.is_empty() {
        *unkept = Unkept::default();
    } else {
        unkept.failed(Instant::now());
    }
    let pause = unkept.remaining(Instant::now()).max(ASK_PAUSE);
    pass.order_problems.extend(failed);
    let now = crate::host::now();
    let wait = look_at_orders(context, &pass.inventory, now).ask_again_after(now);
    let was_kept = wait.is_none_or(|wait| !wait.is_zero());
    pass.ask_again = Some(if was_kept { Duration::ZERO } else { pause });
    true
}

/// What cannot be listed is tried as well, so that the attempt says why.
pub(super) fn in_flight(context: &Context) -> Vec<String> {
    let listed = context.store().in_flight();
    listed.unwrap_or_else(|error| vec![error.to_string()])
}
