//! The history beside what else knows of it: what each operation found when it began, and the journal.
//!
//! Whoever can write the history can write all of it anew, digests and end included. What that one cannot do is to take back
//! what journald has already.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::host::digest;
use crate::journal::Head;
use crate::pki::date;

/// What another record says of one receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Where the history ended when this was written.
    pub head: Head,
    /// The operation whose receipt is the last.
    pub operation: String,
    /// When it was written.
    pub at: Timestamp,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// How many receipts there are.
    pub receipts: usize,
    /// How many of them the other record confirms: those that it names, and all before the last of these, on which that one
    /// depends.
    pub confirmed: usize,
    /// What cannot be if the history is whole, one sentence each.
    pub contradictions: Vec<String>,
}

pub(super) fn compare(lines: &[&[u8]], witnesses: &[Witness]) -> Comparison {
    let digests: Vec<String> = lines.iter().map(|line| digest(line)).collect();
    let mut comparison = Comparison {
        receipts: lines.len(),
        ..Comparison::default()
    };
    let mut said = BTreeSet::new();
    for witness in witnesses {
        let number = witness.head.receipts;
        let line = number.checked_sub(1).and_then(|index| digests.get(index));
        match line {
            Some(digest) if *digest == witness.head.last => {
                comparison.confirmed = comparison.confirmed.max(number);
            }
            found => {
                if !said.insert((number, &witness.head.last)) {
                    continue;
                }
                let what = match found {
                    Some(_) => "another one stands in its place".to_owned(),
                    None => format!("the history has only {}", lines.len()),
                };
                comparison.contradictions.push(format!(
                    "receipt {number}, of operation {}, was written on {}, and {what}",
                    witness.operation,
                    date(witness.at)
                ));
            }
        }
    }
    comparison
}

/// Whether the receipts before one are those that its operation found.
pub(super) fn found_before(found: Option<&Head>, digests: &[String]) -> Result<(), String> {
    let Some(found) = found else {
        return Ok(());
    };
    let last = match found.receipts.checked_sub(1) {
        None => return Ok(()),
        Some(last) => digests.get(last),
    };
    if last == Some(&found.last) {
        return Ok(());
    }
    Err(format!(
        "its operation began behind receipt {}, which is missing or another one now",
        found.receipts
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(receipts: usize, line: &[u8]) -> Witness {
        Witness {
            head: Head {
                receipts,
                last: digest(line),
            },
            operation: format!("operation-{receipts}"),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_the_journal_names_must_be_there() {
        let lines: [&[u8]; 3] = [b"a", b"b", b"c"];
        let all = compare(&lines, &[witness(1, b"a"), witness(3, b"c")]);
        assert_eq!((all.receipts, all.confirmed), (3, 3));
        assert!(all.contradictions.is_empty());
        let none = compare(&lines, &[]);
        assert_eq!((none.receipts, none.confirmed), (3, 0));

        let removed = compare(
            &lines[..1],
            &[witness(1, b"a"), witness(3, b"c"), witness(3, b"c")],
        );
        assert_eq!(removed.confirmed, 1);
        assert_eq!(
            removed.contradictions,
            [
                "receipt 3, of operation operation-3, was written on Jan 01, 1970 00:00 UTC, and the history has only 1"
            ]
        );
        let altered = compare(&[b"a", b"B", b"C"], &[witness(2, b"b")]);
        assert!(altered.contradictions[0].contains("another one stands in its place"));
        // All of it gone; and an entry that makes no sense confirms nothing.
        assert_eq!(compare(&[], &[witness(1, b"a")]).contradictions.len(), 1);
        assert_eq!(compare(&lines, &[witness(0, b"a")]).contradictions.len(), 1);
    }
}
