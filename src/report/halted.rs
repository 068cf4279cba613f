//! The sentence that says which control plane's failure holds the others up, the same wherever it is said.

use crate::cluster::Halt;
use crate::host::printable;

/// `halted: cp2 failed at … because …`
#[must_use]
pub fn halted(halt: &Halt) -> String {
    let reason = printable(halt.reason.trim_end_matches('.'));
    let clear = "see to it, then run `kubecertd turn clear`";
    if halt.node.is_empty() {
        return format!("halted: a mark of another hand says {reason}; {clear}");
    }
    format!(
        "halted: {} failed at {} (operation {}) because {reason}; {clear}",
        printable(&halt.node),
        halt.since.strftime("%b %d, %Y %H:%M:%S UTC"),
        printable(&halt.operation),
    )
}
