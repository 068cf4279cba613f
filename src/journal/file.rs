//! The journal of one operation: one checksummed line per step, fsynced before the step it allows.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate};

use super::error::TransactionError;
use super::step::Step;
use crate::host::{Place, digest, durable};

/// Digits of the digest before each line.
const CHECKSUM_DIGITS: usize = 16;

/// Bytes set aside when a journal is made, so that a disk that fills up meanwhile does not keep an operation from
/// ending well.
const SET_ASIDE: u64 = 64 * 1024;

/// The longest that is read: a thousand times what an operation writes, a part of what the unit may use of memory.
const LIMIT: u64 = 32 << 20;

/// A journal that can be continued.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes of whole records.
    length: u64,
    records: u64,
    /// Bytes of a record that failed may stand behind them.
    torn: bool,
}

/// What a journal's text says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The steps; with damage, those that could still be recognised, in their order.
    pub(crate) steps: Vec<Step>,
    /// Bytes up to the end of the last whole record.
    pub(super) length: u64,
    /// Whether more bytes follow: a record that was being written. It counts as not written.
    pub(crate) torn: bool,
    /// Why the steps cannot be relied on, with the line.
    pub(crate) damage: Option<String>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Line<Kind> {
    seq: u64,
    record: Kind,
}

impl Journal {
    /// Makes an empty journal, durably.
    pub(crate) fn create(path: &Path) -> Result<Self, TransactionError> {
        let file = durable::create_private(path)
            .map_err(TransactionError::file(path, "could not be made"))?;
        if let Err(error) = fallocate(&file, FallocateFlags::KEEP_SIZE, 0, SET_ASIDE) {
            tracing::debug!(path = %path.display(), %error, "no space could be set aside");
        }
        if let Some(directory) = path.parent() {
            durable::sync_directory(directory)?;
        }
        Ok(Self {
            file,
            path: path.to_path_buf(),
            length: 0,
            records: 0,
            torn: false,
        })
    }

    /// Opens a journal to read and continue it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Reading), TransactionError> {
        let reading = read(path)?;
        let file = Place::at(path)
            .and_then(|place| place.open(OFlags::WRONLY | OFlags::NONBLOCK))
            .map_err(TransactionError::file(path, "could not be opened"))?;
        let journal = Self {
            file,
            path: path.to_path_buf(),
            length: reading.length,
            records: reading.steps.len() as u64,
            torn: reading.torn,
        };
        Ok((journal, reading))
    }

    /// Writes a step, durably. After an error it counts as not written.
    pub(crate) fn append(&mut self, step: &Step) -> Result<(), TransactionError> {
        let line = line(self.records + 1, step).map_err(|error| self.unwritable(error.into()))?;
        if self.torn {
            self.cut().map_err(|error| self.unwritable(error))?;
        }
        self.torn = true;
        if let Err(error) = self
            .file
            .write_all_at(line.as_bytes(), self.length)
            .and_then(|()| self.file.sync_data())
        {
            if let Err(second) = self.cut() {
                tracing::warn!(path = %self.path.display(), error = %second, "a torn record could not be removed");
            }
            return Err(self.unwritable(error));
        }
        self.torn = false;
        self.length += line.len() as u64;
        self.records += 1;
        Ok(())
    }

    /// Removes the file, durably.
    pub(crate) fn remove(self) -> Result<(), TransactionError> {
        durable::remove_if_there(&self.path)?;
        self.path.parent().map_or(Ok(()), durable::sync_directory)?;
        Ok(())
    }

    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_all()?;
        self.torn = false;
        Ok(())
    }

    fn unwritable(&self, error: std::io::Error) -> TransactionError {
        TransactionError::file(&self.path, "could not be written")(error)
    }
}

/// Reads a journal. Of one that is longer than any, the beginning, as damaged: what is out is in there.
pub(crate) fn read(path: &Path) -> Result<Reading, TransactionError> {
    let mut text = Vec::new();
    let opened = durable::open_regular(path)
        .and_then(|file| file.ok_or_else(|| std::io::ErrorKind::NotFound.into()));
    opened
        .and_then(|file| {
            durable::check_owner(&file.metadata()?)?;
            Ok(file)
        })
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text))
        .map_err(TransactionError::file(path, "could not be read"))?;
    let mut reading = parse(&text);
    if text.len() as u64 > LIMIT {
        let too_long = format!("it is larger than {} MiB", LIMIT >> 20);
        reading.damage.get_or_insert(too_long);
    }
    Ok(reading)
}

fn line(seq: u64, step: &Step) -> serde_json::Result<String> {
    let json = serde_json::to_string(&Line { seq, record: step })?;
    Ok(format!("{} {json}\n", checksum(json.as_bytes())))
}

fn checksum(json: &[u8]) -> String {
    let mut digits = digest(json);
    digits.truncate(CHECKSUM_DIGITS);
    digits
}

/// Reads a journal's text. A last record that is torn counts as not written; anything else wrong is damage.
pub(super) fn parse(text: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut position = 0;
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let start = position;
        position += line.len();
        let expected = index as u64 + 1;
        let problem = match parse_line(line) {
            Ok(Line { seq, record }) => {
                reading.steps.push(record);
                if seq == expected {
                    reading.length = position as u64;
                    continue;
                }
                format!("line {expected} is record {seq}")
            }
            // Asked once: it looks at all that follows.
            Err(Unreadable::Torn) if reading.damage.is_none() && is_torn_end(&text[start..]) => {
                reading.torn = true;
                break;
            }
            Err(Unreadable::Torn) => format!("line {expected} does not match its checksum"),
            Err(Unreadable::Unknown(error)) => format!(
                "line {expected} was written by another version of kubecertd or by hand: {error}"
            ),
        };
        reading.damage.get_or_insert(problem);
    }
    reading
}

/// Whether a damaged record with all that follows it is one that was being written: one line, or what a file system
/// leaves where a write was not finished, which has zeroes in it that nobody types. No whole record may follow, not
/// even in the same line.
fn is_torn_end(rest: &[u8]) -> bool {
    let is_one_line = rest.split_inclusive(|byte| *byte == b'\n').count() == 1;
    let record_follows = (1..rest.len()).any(|start| {
        let (digits, behind) = rest[start..]
            .split_at_checked(CHECKSUM_DIGITS)
            .unwrap_or_default();
        behind.starts_with(b" {\"seq\":")
            && digits.iter().all(u8::is_ascii_hexdigit)
            && rest[start..]
                .split_inclusive(|byte| *byte == b'\n')
                .next()
                .is_some_and(|line| !matches!(parse_line(line), Err(Unreadable::Torn)))
    });
    (is_one_line || rest.contains(&0)) && !record_follows
}

enum Unreadable {
    /// Not whole, or another than was written.
    Torn,
    /// As it was written, but of an unknown kind.
    Unknown(serde_json::Error),
}

fn parse_line(line: &[u8]) -> Result<Line<Step>, Unreadable> {
    let line = line.strip_suffix(b"\n").ok_or(Unreadable::Torn)?;
    let (digits, rest) = line
        .split_at_checked(CHECKSUM_DIGITS)
        .ok_or(Unreadable::Torn)?;
    let json = rest.strip_prefix(b" ").ok_or(Unreadable::Torn)?;
    if digits != checksum(json).as_bytes() {
        return Err(Unreadable::Torn);
    }
    serde_json::from_slice(json).map_err(Unreadable::Unknown)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use proptest::prelude::*;

    fn steps() -> Vec<Step> {
        vec![
            Step::Staging { files: Vec::new() },
            Step::Committing,
            Step::Committed,
            Step::RollingBack("a\nb\0".into()),
        ]
    }

    fn text(steps: &[Step]) -> Vec<u8> {
        let mut text = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            text.extend(line(index as u64 + 1, step).unwrap().into_bytes());
        }
        text
    }

    #[test]
    fn a_torn_record_is_removed_before_the_next_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        for step in &steps()[..2] {
            journal.append(step).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole, text(&steps()[..2]));
        let torn = [
            b"0123456789abcdef {\"seq\":3,\"rec".as_slice(),
            &[b'x'; 500],
        ]
        .concat();
        std::fs::write(&path, [&whole[..], &torn].concat()).unwrap();
        let (mut journal, reading) = Journal::open(&path).unwrap();
        assert!(reading.torn);
        assert_eq!(reading.steps, steps()[..2]);
        journal.append(&Step::Committed).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), text(&steps()[..3]));
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_full_of_something_else_is_read_in_no_time() {
        let begun = std::time::Instant::now();
        for garbage in ["x\n", "{\"seq\":1}\n", "0123456789abcdef {", " {\"seq\":"] {
            let whole = text(&steps());
            let filled = [&whole[..], garbage.repeat(200_000).as_bytes()].concat();
            assert_eq!(parse(&filled).steps, steps(), "{garbage:?}");
        }
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }

    #[test]
    fn of_a_journal_that_is_too_long_the_beginning_counts_as_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        std::fs::write(&path, text(&steps())).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(100 << 30).unwrap();
        let reading = read(&path).unwrap();
        assert!(reading.damage.unwrap().contains("32 MiB"));
        assert_eq!(reading.steps, steps());
        file.set_len(0).unwrap();
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&path).is_err(), "a fifo would be waited for");
    }

    #[test]
    fn damage_before_the_last_record_is_told_and_the_rest_recognised() {
        let mut text = text(&steps());
        let second = text.iter().position(|byte| *byte == b'\n').unwrap() + 30;
        text[second] ^= 1;
        let reading = parse(&text);
        assert!(reading.damage.unwrap().contains("line 2"));
        assert_eq!(reading.steps.len(), 3);
    }

    #[test]
    fn a_missing_a_repeated_and_an_unknown_record_are_damage() {
        let lines: Vec<String> = steps()
            .iter()
            .enumerate()
            .map(|(index, step)| line(index as u64 + 1, step).unwrap())
            .collect();
        for order in [[0, 2].as_slice(), &[1], &[0, 0, 1], &[1, 0]] {
            let text: String = order.iter().map(|index| lines[*index].as_str()).collect();
            assert!(parse(text.as_bytes()).damage.is_some(), "{order:?}");
        }
        let json = r#"{"seq":1,"record":{"step":"levitating"}}"#;
        let unknown = format!("{} {json}\n", checksum(json.as_bytes()));
        assert!(
            parse(unknown.as_bytes())
                .damage
                .unwrap()
                .contains("another version")
        );
    }

    proptest! {
        #[test]
        fn any_prefix_reads_as_the_records_it_holds_whole(cut in 0usize..2000, zeroes in 0usize..50) {
            let steps = steps();
            let whole = text(&steps);
            let cut = cut.min(whole.len());
            let mut torn = whole[..cut].to_vec();
            torn.extend(std::iter::repeat_n(0, zeroes));
            let reading = parse(&torn);
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(&reading.damage, &None);
            prop_assert_eq!(reading.steps, &steps[..lines]);
            prop_assert_eq!(reading.torn, torn.len() as u64 > reading.length);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            parse(&bytes);
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_something_else(at in 0usize..2000, bit in 0u8..8) {
            let steps = steps();
            let mut flipped = text(&steps);
            let at = at % flipped.len();
            flipped[at] ^= 1 << bit;
            let reading = parse(&flipped);
            if reading.damage.is_none() {
                prop_assert_eq!(&reading.steps[..], &steps[..reading.steps.len()]);
                prop_assert!(reading.steps.len() >= steps.len() - 1, "only the last may be dropped silently");
            } else {
                for step in &reading.steps {
                    prop_assert!(steps.contains(step));
                }
            }
        }
    }
}
