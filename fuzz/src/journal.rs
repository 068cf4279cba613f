//! The journal of an operation.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use kubecertd::journal::{JournalReading, read_journal};

use crate::place::parts;

/// The bytes as a journal; and, up to the line `%%`, each line as a record of a journal that was written whole, which is
/// then cut off and damaged as the bytes behind that line say.
pub fn check(data: &[u8]) {
    check_reading(data);
    let parts = parts(data);
    let Some((records, damage)) = parts.split_first() else {
        return;
    };
    let whole = written(records);
    let reading = check_reading(whole.as_bytes());
    for bytes in damage.iter().flat_map(|part| part.chunks_exact(4)) {
        let at = usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % (whole.len() + 1);
        check_cut_off(&whole, at, usize::from(bytes[2]), &reading);
        check_flipped(&whole, at, bytes[3] % 8, &reading);
    }
}

/// What holds for any bytes.
fn check_reading(text: &[u8]) -> JournalReading {
    let reading = read_journal(text);
    let length = usize::try_from(reading.whole_bytes).expect("a length in memory");
    let whole = &text[..length];
    let lines = whole.iter().filter(|byte| **byte == b'\n').count();
    let true_lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| is_true(line))
        .count();
    assert!(
        reading.steps.len() <= true_lines,
        "a step without a checksum"
    );
    if reading.damage.is_none() {
        assert_eq!(reading.steps.len(), lines);
        assert_eq!(reading.torn, length < text.len());
        let again = read_journal(whole);
        assert_eq!(again.steps, reading.steps);
        assert!(again.damage.is_none() && !again.torn);
    }
    reading
}

/// A whole prefix is read, what is torn counts as not written.
fn check_cut_off(whole: &str, at: usize, zeroes: usize, reading: &JournalReading) {
    if reading.damage.is_some() {
        return;
    }
    let mut cut = whole.as_bytes()[..at].to_vec();
    let lines = cut.iter().filter(|byte| **byte == b'\n').count();
    cut.extend(std::iter::repeat_n(0, zeroes));
    let left = check_reading(&cut);
    assert_eq!(left.damage, None);
    assert_eq!(left.steps, reading.steps[..lines]);
}

/// Damage is never read as another step, and only the last step may be missing without a word.
fn check_flipped(whole: &str, at: usize, bit: u8, reading: &JournalReading) {
    if whole.is_empty() || reading.damage.is_some() {
        return;
    }
    let mut flipped = whole.as_bytes().to_vec();
    let at = at % flipped.len();
    flipped[at] ^= 1 << bit;
    let left = check_reading(&flipped);
    if left.damage.is_none() {
        assert_eq!(left.steps, reading.steps[..left.steps.len()]);
        assert!(left.steps.len() + 1 >= reading.steps.len());
    }
    for step in &left.steps {
        assert!(reading.steps.contains(step), "{step} was never written");
    }
}

/// The records, one a line, as a journal has them.
fn written(records: &[u8]) -> String {
    let mut text = String::new();
    let mut seq = 0;
    for record in String::from_utf8_lossy(records).lines() {
        seq += 1;
        let json = format!("{{\"seq\":{seq},\"record\":{record}}}");
        let _ = writeln!(text, "{} {json}", checksum(json.as_bytes()));
    }
    text
}

fn is_true(line: &[u8]) -> bool {
    line.split_at_checked(16)
        .and_then(|(digits, rest)| Some((digits, rest.strip_prefix(b" ")?)))
        .is_some_and(|(digits, json)| checksum(json).as_bytes() == digits)
}

fn checksum(json: &[u8]) -> String {
    let digest = digest(&SHA256, json);
    digest.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
