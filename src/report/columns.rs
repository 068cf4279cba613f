//! Tables for people.

use std::borrow::Cow;

use crate::host::printable;

/// Rows in columns, as kubectl's tables: the first row holds the titles, nothing follows the last cell.
pub(crate) fn columns<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let rows: Vec<[Cow<'_, str>; COLUMNS]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| printable(cell)))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| width(column).unwrap_or(0));
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                // Not by a width in format!, which panics beyond 65535: names may come from a file.
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
                .collect();
            format!("{}\n", cells.join("   ").trim_end())
        })
        .collect()
}
