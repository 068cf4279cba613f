//! The history of receipts.

use jiff::Timestamp;
use kubecertd::journal::{Outcome, Store, Trigger};
use kubecertd::report::{History, Receipt, RenewedCertificate};

use crate::place::{Place, parts};

const FILE: &str = "/var/lib/kubecertd/history.jsonl";

/// Where it says how many receipts there are.
const END: &str = "/var/lib/kubecertd/history.end";

/// As many receipts as a run writes.
const MOST: usize = 4;

thread_local! {
    static PLACE: Place = Place::new();
}

/// The bytes as a history; and a history of receipts with the lines of the first part in them, changed as the second part
/// says: only what was written is taken for true.
pub fn check(data: &[u8]) {
    PLACE.with(|place| {
        let history = History::new(&Store::new(&place.root));
        check_any(place, &history, data);
        let parts = parts(data);
        if let [texts, edits, ..] = parts.as_slice() {
            check_edited(place, &history, texts, edits);
        }
    });
}

fn check_any(place: &Place, history: &History, data: &[u8]) {
    place.remove(END);
    place.write(FILE, data);
    let _ = history.receipts();
    let before = history.verify();
    history.append(&receipt("")).expect("appended");
    match (before, history.verify()) {
        (Ok(count), Ok(after)) => {
            assert_eq!(count, whole_lines(data).len());
            assert_eq!(after, count + 1);
        }
        (Err(_), Err(_)) => {}
        (before, after) => panic!("{before:?} became {after:?} by appending"),
    }
}

fn check_edited(place: &Place, history: &History, texts: &[u8], edits: &[u8]) {
    place.remove(END);
    place.remove(FILE);
    let texts = String::from_utf8_lossy(texts);
    let receipts: Vec<Receipt> = texts.lines().take(MOST).map(receipt).collect();
    for receipt in &receipts {
        history.append(receipt).expect("appended");
    }
    assert_eq!(history.verify().expect("as written"), receipts.len());
    assert_eq!(history.receipts().expect("as written"), receipts);
    let written = std::fs::read(place.path(FILE)).unwrap_or_default();
    let edited = edited(&written, edits);
    place.write(FILE, &edited);
    let (lines, original) = (whole_lines(&edited), whole_lines(&written));
    let is_whole = original == lines;
    match history.verify() {
        Ok(count) => assert!(
            is_whole && count == lines.len(),
            "a changed history is taken for true"
        ),
        Err(error) => assert!(!is_whole, "{error}"),
    }
}

/// Flips a bit, removes, doubles or swaps lines: three bytes each.
fn edited(written: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut text = written.to_vec();
    for edit in edits.chunks_exact(3).take(16) {
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]]));
        let mut lines: Vec<Vec<u8>> = text
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        if lines.is_empty() {
            break;
        }
        let (line, count) = (at % lines.len(), lines.len());
        match edit[0] % 5 {
            0 => {
                let at = at % text.len();
                text[at] ^= 1 << (edit[0] / 5 % 8);
                continue;
            }
            1 => drop(lines.remove(line)),
            2 => lines.push(lines[line].clone()),
            3 => lines.swap(line, count - 1),
            _ => {
                text.truncate(at % (text.len() + 1));
                continue;
            }
        }
        text = lines.concat();
    }
    text
}

fn whole_lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
        .collect()
}

fn receipt(text: &str) -> Receipt {
    let moment = Timestamp::from_second(text.len() as i64).expect("a moment");
    Receipt {
        id: format!("operation-{}", text.len()),
        started: moment,
        finished: moment,
        turn: None,
        trigger: Trigger::Command(text.to_owned()),
        by: None,
        kind: None,
        history_before: None,
        outcome: match text.len() % 3 {
            0 => Outcome::Done,
            1 => Outcome::RolledBack(text.to_owned()),
            _ => Outcome::Failed(text.to_owned()),
        },
        certificates: vec![RenewedCertificate {
            id: text.into(),
            path: text.into(),
            old_serial: "1".to_owned(),
            new_serial: "2".to_owned(),
            old_not_after: moment,
            new_not_after: moment,
            old: None,
            new: None,
        }],
        restarts: vec![(text.to_owned(), text.len() as f64 / 8.0)],
        remedies: Vec::new(),
        remarks: Vec::new(),
        code: None,
        proofs: vec![text.to_owned()],
        copies: Vec::new(),
        warnings: Vec::new(),
    }
}
