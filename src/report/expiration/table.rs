//! The tables, laid out as Go's text/tabwriter does it for kubeadm.

use super::rows::{CertificateRow, ExpirationInfo, Found};
use crate::host::printable;
use crate::node::CalledFor;
use crate::pki::date;
use crate::report::human_duration;

/// kubeadm's `tabwriter.NewWriter(out, 10, 4, 3, ' ', 0)`.
const LEAST_WIDTH: usize = 10;
const PADDING: usize = 3;

pub(super) fn render(info: &ExpirationInfo) -> String {
    let mut text = tabulate(
        &[
            "CERTIFICATE",
            "EXPIRES",
            "RESIDUAL TIME",
            "CERTIFICATE AUTHORITY",
            "EXTERNALLY MANAGED",
        ],
        info.certificates.iter().map(|row| {
            let authority = row.authority.map(|name| name.name().to_owned());
            cells(info, row, vec![authority.unwrap_or_default()])
        }),
    );
    text.push('\n');
    text.push_str(&tabulate(
        &[
            "CERTIFICATE AUTHORITY",
            "EXPIRES",
            "RESIDUAL TIME",
            "EXTERNALLY MANAGED",
        ],
        info.authorities
            .iter()
            .map(|row| cells(info, row, Vec::new())),
    ));
    if info.all {
        text.push('\n');
        text.push_str(&effective(info));
    }
    if !info.missing_names.is_empty() {
        let rows = info.missing_names.iter().flat_map(|(id, names)| {
            let row = |one: &CalledFor| vec![id.to_string(), one.name.to_string(), one.by.clone()];
            names.iter().map(row).collect::<Vec<_>>()
        });
        text.push('\n');
        text.push_str(&tabulate(&["CERTIFICATE", "LACKS", "CALLED FOR BY"], rows));
    }
    let copies = info.copies.rows();
    if !copies.is_empty() {
        text.push('\n');
        text.push_str(&tabulate(
            &["COPY", "OF", "EXPIRES", "STATE"],
            copies.into_iter(),
        ));
    }
    if !info.problems.is_empty() {
        text.push_str("\nPROBLEMS\n");
        for problem in &info.problems {
            let said = problem.to_string();
            text.push_str(&printable(&said));
            text.push('\n');
        }
    }
    text
}

/// One row: the name, two columns of time, `middle`, and the last column as kubeadm pads it.
fn cells(info: &ExpirationInfo, row: &CertificateRow, middle: Vec<String>) -> Vec<String> {
    let Found::Expires { not_after, .. } = row.found else {
        let mut cells = vec![marked_name(row)];
        cells.resize(middle.len() + 4, String::new());
        return cells;
    };
    let mut cells = vec![
        row.name.clone(),
        date(not_after),
        human_duration(info.residual(not_after)),
    ];
    cells.extend(middle);
    cells.push(
        if row.externally_managed {
            "yes     "
        } else {
            "no      "
        }
        .to_owned(),
    );
    cells
}

/// What kubeadm does not know, and where something ends before its certificate does.
fn effective(info: &ExpirationInfo) -> String {
    let ends_earlier = |row: &&CertificateRow| matches!(row.found, Found::Expires { not_after, effective } if effective < not_after);
    let rows = info
        .certificates
        .iter()
        .filter(ends_earlier)
        .chain(&info.others)
        .map(|row| {
            let path = row.path.display().to_string();
            match row.found {
                Found::Expires {
                    not_after,
                    effective,
                } => vec![
                    row.name.clone(),
                    date(not_after),
                    if effective < not_after {
                        date(effective)
                    } else {
                        "-".to_owned()
                    },
                    human_duration(info.residual(effective)),
                    row.signed_by.clone(),
                    path,
                ],
                Found::Missing | Found::Unreadable(_) => {
                    let mut cells = vec![marked_name(row)];
                    cells.resize(5, String::new());
                    cells.push(path);
                    cells
                }
            }
        });
    tabulate(
        &[
            "NAME",
            "EXPIRES",
            "EFFECTIVE",
            "RESIDUAL TIME",
            "SIGNED BY",
            "PATH",
        ],
        rows,
    )
}

fn marked_name(row: &CertificateRow) -> String {
    match row.found {
        Found::Expires { .. } => row.name.clone(),
        Found::Missing => format!("!MISSING! {}", row.name),
        Found::Unreadable(_) => format!("!UNREADABLE! {}", row.name),
    }
}

/// Every cell but the last of a row is padded to its column's width; the last stands as it is.
fn tabulate(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines = vec![
        header
            .iter()
            .map(|cell| (*cell).to_owned())
            .collect::<Vec<_>>(),
    ];
    lines.extend(rows.map(|row| {
        row.into_iter()
            .map(|cell| printable(&cell).into_owned())
            .collect()
    }));
    let width = |column: usize| {
        lines
            .iter()
            .filter(|line| column + 1 < line.len())
            .map(|line| line[column].chars().count() + PADDING)
            .fold(LEAST_WIDTH, usize::max)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < line.len() {
                let gap = widths[column] - cell.chars().count();
                text.extend(std::iter::repeat_n(' ', gap));
            }
        }
        text.push('\n');
    }
    text
}
