//! Cron jobs.

use std::path::{Path, PathBuf};

use super::renewer::Renewer;
use super::scan::Scan;

/// The system's tables: one, and a directory of them.
const TABLE: &str = "/etc/crontab";
const TABLES: &str = "/etc/cron.d";
/// Root's own table, Debian's and Red Hat's. Any user has one beside it, which can renew nothing.
const ROOTS: [&str; 2] = ["/var/spool/cron/crontabs/root", "/var/spool/cron/root"];
/// Directories of scripts.
const SCRIPTS: [&str; 4] = [
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
];
/// What packages and editors leave beside a file; cron does not read it.
const LEFT_OVER: [&str; 7] = [
    "~",
    ".bak",
    ".disabled",
    ".rpmsave",
    ".rpmnew",
    ".dpkg-old",
    ".dpkg-dist",
];

pub(crate) fn renewers(scan: &mut Scan<'_>) -> Vec<Renewer> {
    let directory = scan.root.join(TABLES);
    let mut tables = scan.list(&directory);
    tables.extend([TABLE, ROOTS[0], ROOTS[1]].map(|table| scan.root.join(table)));
    let mut found = Vec::new();
    for table in tables.iter().filter(|path| is_read(path)) {
        found.extend(in_table(scan, table));
    }
    for directory in SCRIPTS {
        let directory = scan.root.join(directory);
        for path in scan.list(&directory) {
            found.extend(of_script(scan, &path));
        }
    }
    found
}

fn in_table(scan: &mut Scan<'_>, table: &Path) -> Vec<Renewer> {
    let Some(text) = scan.text(table) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        if let Some(script) = scan.renews(line) {
            let place = format!("{}:{}", scan.root.node_path(table).display(), index + 1);
            found.push(Renewer {
                who: format!("the cron job {place}{}", scan.in_brackets(&script)),
                take_over: format!("remove the line {place}"),
            });
        }
    }
    found
}

/// run-parts(8) runs only what is executable.
fn of_script(scan: &mut Scan<'_>, path: &Path) -> Option<Renewer> {
    let real: PathBuf = scan.root.resolve(path).ok()?;
    let mode = scan.root.look(&real).ok()??.mode;
    if mode & 0o111 == 0 || !is_read(path) {
        return None;
    }
    let text = scan.text(path)?;
    let renews = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .any(|line| scan.renews(line).is_some())
        || super::script::renews(&text);
    renews.then(|| {
        let path = scan.root.node_path(path);
        Renewer {
            who: format!("the cron job {}", path.display()),
            take_over: format!("`chmod -x {}`", path.display()),
        }
    })
}

fn is_read(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| !LEFT_OVER.iter().any(|ending| name.ends_with(ending)))
}
