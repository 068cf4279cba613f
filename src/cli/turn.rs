//! `kubecertd turn`

use std::process::ExitCode;

use super::arguments::TurnAction;
use super::output::{line, print};
use super::runtime::{CONTROL_PLANES, ask};
use crate::cluster::{Halt, Sight};
use crate::host::printable;
use crate::operation::{Context, clear_halt, log_line, look_at_whose_turn};

pub(super) fn run(context: &Context, action: Option<&TurnAction>) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        context.is_live(),
        "control planes take turns only while they run; leave --root out"
    );
    let inventory = context.observe();
    match action {
        Some(TurnAction::Clear) => {
            let cleared = ask(CONTROL_PLANES, clear_halt(context, &inventory))??;
            let said = match cleared {
                Some(halt) => format!("The other control planes go on. {}", sentence(&halt)),
                None => "Nothing to clear: no control plane has failed.".to_owned(),
            };
            log_line(false, &said);
            print(&line(format_args!("{said}")))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(TurnAction::Show) | None => {
            let seen = ask(CONTROL_PLANES, look_at_whose_turn(context, &inventory))??;
            let Some(sight) = seen else {
                let why =
                    "No turns are taken: there is one control plane, or turn.mode is \"off\".";
                print(&line(format_args!("{why}")))?;
                return Ok(ExitCode::SUCCESS);
            };
            print(&line(format_args!("{}", words(&sight))))?;
            Ok(if sight.halt.is_some() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            })
        }
    }
}

fn words(sight: &Sight) -> String {
    match (&sight.halt, &sight.holder) {
        (Some(halt), _) => format!(
            "Halted. {} See to it, then run `kubecertd turn clear`.",
            sentence(halt)
        ),
        (None, Some(holder)) => format!("{} has its turn.", printable(&holder.node)),
        (None, None) => "No control plane has its turn.".to_owned(),
    }
}

fn sentence(halt: &Halt) -> String {
    let said = |text: &str| printable(text).into_owned();
    if halt.node.is_empty() {
        return format!("A mark of another hand says: {}.", said(&halt.reason));
    }
    format!(
        "{} failed on {} in operation {}: {}.",
        said(&halt.node),
        halt.since.strftime("%b %d, %Y %H:%M:%S UTC"),
        said(&halt.operation),
        said(&halt.reason)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::cluster::Identity;

    #[test]
    fn who_has_its_turn_and_who_failed_is_said_without_what_a_terminal_obeys() {
        let mut sight = Sight {
            halt: None,
            holder: Identity::parse("cp\u{1b}[2J1/boot"),
            ..Sight::default()
        };
        assert_eq!(words(&sight), "cp\\u001b[2J1 has its turn.");
        sight.halt = Some(Halt {
            node: "cp2".into(),
            operation: "id".into(),
            code: "not-in-use".into(),
            reason: "refused\n".into(),
            since: "2026-06-01T00:00:00Z".parse().unwrap(),
        });
        assert_eq!(
            words(&sight),
            "Halted. cp2 failed on Jun 01, 2026 00:00:00 UTC in operation id: refused\\n. See to it, then run \
             `kubecertd turn clear`."
        );
    }
}
