//! Every exit code there is: the one table, for the code, the man page and the README.

/// What was asked for does not hold, or was not done.
pub(super) const NO: u8 = 1;

/// The question cannot be answered: 1 would say that something ends, or that something stands in the way.
pub(super) const UNANSWERED: u8 = 2;

/// As `systemctl status` of a unit that is not running.
pub(super) const NOT_RUNNING: u8 = 3;

/// sysexits(3) EX_CONFIG: systemd does not restart the daemon for it (`RestartPreventExitStatus=`).
pub(super) const CONFIG: u8 = 78;

/// Code, command, and what it means there. Clap ends with 2 as well.
pub(super) const TABLE: [(u8, &str, &str); 20] = [
    (
        0,
        "all commands",
        "what was asked for was done, holds, or needs nothing to be done",
    ),
    (
        NO,
        "all commands",
        "it was not done or does not hold; or root's rights, a control plane or its files are missing",
    ),
    (
        NO,
        "check-expiration",
        "something could not be read. That a certificate has expired or is missing is 0, as kubeadm's",
    ),
    (
        NO,
        "check-expiration --within",
        "something ends within the time: a certificate, one of its chain, its CA, or another that a static pod names",
    ),
    (
        NO,
        "check-expiration --within",
        "another control plane has failed and the daemon here does nothing until an administrator has looked (halted)",
    ),
    (
        NO,
        "plan",
        "something could not be read, so the plan may lack it",
    ),
    (
        NO,
        "renew",
        "what was named, or of all of them what is there, is not renewed or not proved to be in use; something could not \
         be read; a --dry-run that would be refused",
    ),
    (
        NO,
        "rollback",
        "it is refused, which a --dry-run says beforehand, or what was put back is not proved to be in use",
    ),
    (
        NO,
        "recover",
        "what was interrupted, or was to be tried again, could not be done or proved",
    ),
    (
        NO,
        "preflight",
        "something keeps a certificate from being renewed now, or a file that counts could not be read",
    ),
    (
        NO,
        "rehearse",
        "something failed that the renewal changes or needs, something could not be read, or nothing was renewed",
    ),
    (
        NO,
        "generate address-filter",
        "an address could not be found out, so nothing was printed",
    ),
    (NO, "status", "the daemon runs, and fails"),
    (
        NO,
        "orders",
        "the inbox holds what answers no request, or something could not be read",
    ),
    (
        NO,
        "requests review, requests approve",
        "the request does not pass every check; it was not approved",
    ),
    (
        NO,
        "history verify",
        "a receipt was changed, removed or moved",
    ),
    (
        UNANSWERED,
        "check-expiration --within, preflight",
        "it is not known, because something cannot be read or asked; counts before 1 for check-expiration and after it for preflight",
    ),
    (UNANSWERED, "all commands", "the command line is wrong"),
    (NOT_RUNNING, "status", "the daemon does not run"),
    (
        CONFIG,
        "run, renew, restart, recover, requests, config",
        "the configuration is wrong. check-expiration, plan, preflight, rehearse, rollback, status, history and generate \
         leave the wrong file out and say so",
    ),
];

/// The section of the man page, as roff.
pub(super) fn section() -> String {
    let mut text = String::from(".SH \"EXIT STATUS\"\n");
    for (code, command, meaning) in TABLE {
        let (command, meaning) = (escaped(command), escaped(meaning));
        text.push_str(&format!(".TP\n\\fB{code}\\fR  {command}\n{meaning}\n"));
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_table() {
        let readme = include_str!("../../README.md");
        for (code, command, meaning) in TABLE {
            let row = format!(
                "| {code} | `{}` | {meaning} |",
                command.replace(", ", "`, `")
            );
            let row = row.replace("`all commands`", "all commands");
            assert!(readme.contains(&row), "{row}");
        }
    }
}
