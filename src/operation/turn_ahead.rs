//! What will keep this node from its turn, seen before it asks for it.

use super::Context;
use super::table::{Table, Wish};
use crate::checks::Finding;
use crate::cluster::Sight;
use crate::node::Inventory;

/// What is seen of the turn without taking it.
#[derive(Debug, Default)]
pub(super) struct TurnSeen {
    /// What speaks against this node's turn.
    pub(super) findings: Vec<Finding>,
    /// Whether another node has it, for which this one would wait in line.
    pub(super) is_occupied: bool,
}

/// Looks at the turn without taking it.
pub(super) async fn look_at_turn(
    context: &Context,
    inventory: &Inventory,
    wish: Wish<'_>,
) -> TurnSeen {
    let Some(table) = Table::of(context, inventory).await else {
        return TurnSeen::default();
    };
    let mut is_occupied = false;
    let seen = match &table.seat {
        Ok(seat) => table.look(seat).await,
        Err(error) => Err(error.clone()),
    };
    let mut findings = match &seen {
        Ok(_) => table.maintenance(wish).await,
        Err(_) => Vec::new(),
    };
    let finding = match seen {
        Ok(Sight {
            halt: Some(halt), ..
        }) if halt.node != table.me.node => table.halted(halt, wish),
        Ok(sight) => {
            let holder = sight.holder.as_ref();
            is_occupied = holder.is_some_and(|holder| holder.node != table.me.node);
            table.remember_first(sight.lease);
            None
        }
        Err(error) => table.unreachable(&error, wish).await,
    };
    findings.extend(finding);
    TurnSeen {
        findings,
        is_occupied,
    }
}
