//! PEM, read line by line as Go's `encoding/pem` does, and written as it writes.
//!
//! Written here and not left to a crate because the buffers hold private keys and must be wiped, and because a file
//! cut off in the middle of a block must be an error that names the line.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// More than any label that is in use; less than a line of a key.
const LONGEST_LABEL: usize = 40;

/// Base64 characters in a line, and the bytes they stand for.
const LINE_CHARACTERS: usize = 64;
const LINE_BYTES: usize = LINE_CHARACTERS / 4 * 3;

/// One PEM block, not decoded yet: a damaged block that nobody asks for does no harm.
pub(super) struct Block<'a> {
    /// `CERTIFICATE`
    pub(super) label: String,
    /// Line of the BEGIN, from 1.
    line: usize,
    body: &'a [u8],
    end: BlockEnd,
    /// Where it is in the text, its first and last line included.
    pub(super) range: Range<usize>,
}

enum BlockEnd {
    Matching,
    Other(String),
    Missing,
}

/// All blocks in order. Text around them is skipped.
pub(super) fn blocks(text: &[u8]) -> Blocks<'_> {
    Blocks {
        rest: text,
        line: 0,
        length: text.len(),
    }
}

/// The blocks of a text; see [`blocks`].
pub(super) struct Blocks<'a> {
    rest: &'a [u8],
    line: usize,
    /// Of the whole text.
    length: usize,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (label, begin) = loop {
            let begin = self.at();
            let line = self.take_line()?;
            if let Some(label) = delimiter(line, BEGIN) {
                break (label, begin);
            }
        };
        let (line, start) = (self.line, self.rest);
        let (length, end) = loop {
            let length = start.len() - self.rest.len();
            let before = (self.rest, self.line);
            let Some(line) = self.take_line() else {
                break (length, BlockEnd::Missing);
            };
            if let Some(end) = delimiter(line, END) {
                let end = if end == label {
                    BlockEnd::Matching
                } else {
                    BlockEnd::Other(end)
                };
                break (length, end);
            }
            if delimiter(line, BEGIN).is_some() {
                (self.rest, self.line) = before;
                break (length, BlockEnd::Missing);
            }
        };
        Some(Block {
            label,
            line,
            body: start.get(..length).unwrap_or_default(),
            end,
            range: begin..self.at(),
        })
    }
}

impl<'a> Blocks<'a> {
    fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    fn take_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = split_line(self.rest);
        self.rest = rest;
        self.line += 1;
        Some(line)
    }
}

impl Block<'_> {
    /// The header lines (`Proc-Type: 4,ENCRYPTED`) before the base64, each ending in a line feed.
    pub(super) fn headers(&self) -> &[u8] {
        let mut base64 = self.body;
        loop {
            let (line, rest) = split_line(base64);
            if !line.contains(&b':') {
                break;
            }
            base64 = rest;
        }
        self.body
            .get(..self.body.len() - base64.len())
            .unwrap_or_default()
    }

    /// The bytes in the armour, or what is wrong with it.
    pub(super) fn contents(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        match &self.end {
            BlockEnd::Matching => {}
            BlockEnd::Other(label) => {
                return Err(format!(
                    "the block {} that begins in line {} ends as {label}",
                    self.label, self.line
                ));
            }
            BlockEnd::Missing => {
                return Err(format!(
                    "the block {} that begins in line {} has no end; the file may be cut off",
                    self.label, self.line
                ));
            }
        }
        let mut base64 = Zeroizing::new(Vec::with_capacity(self.body.len()));
        let coded = self.body.iter().skip(self.headers().len());
        base64.extend(coded.filter(|byte| !byte.is_ascii_whitespace()));
        // The estimate is never too small, so no half-filled buffer is left behind by growing.
        let mut contents = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(
            base64.len(),
        )));
        STANDARD
            .decode_vec(base64.as_slice(), &mut contents)
            // Not the crate's own message: it shows a byte of what may be a key.
            .map_err(|_| {
                format!(
                    "the block {} that begins in line {} is not base64",
                    self.label, self.line
                )
            })?;
        Ok(contents)
    }
}

/// One block with LF line endings.
pub(super) fn encode(label: &str, contents: &[u8]) -> Zeroizing<String> {
    let base64_len = contents.len().div_ceil(3) * 4;
    let lines = base64_len.div_ceil(LINE_CHARACTERS);
    let mut text = Zeroizing::new(String::with_capacity(
        base64_len + lines + BEGIN.len() + END.len() + 2 * (label.len() + DASHES.len() + 1),
    ));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut line = [0; LINE_CHARACTERS];
    for chunk in contents.chunks(LINE_BYTES) {
        if let Ok(written) = STANDARD.encode_slice(chunk, &mut line) {
            text.extend(line.iter().take(written).copied().map(char::from));
        }
        text.push('\n');
    }
    line.zeroize();
    text.extend(["-----END ", label, "-----\n"]);
    text
}

/// The first line without its ending, and what comes after it.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match text.iter().position(|&byte| byte == b'\n') {
        Some(end) => (text.get(..end), text.get(end + 1..)),
        None => (Some(text), None),
    };
    (
        line.unwrap_or_default().trim_ascii_end(),
        rest.unwrap_or_default(),
    )
}

/// The label of a `-----BEGIN label-----` or `-----END label-----` line. Labels are shown, so what is none must not pass
/// for one: of a file that lost its line breaks it would be the whole key.
fn delimiter(line: &[u8], start: &[u8]) -> Option<String> {
    let label = line.strip_prefix(start)?.strip_suffix(DASHES)?;
    let is_label = label.len() <= LONGEST_LABEL
        && label
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ');
    is_label.then(|| String::from_utf8_lossy(label).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_and_line_endings_do_not_matter() {
        let text = b"subject=x\r\n-----BEGIN A-----\r\nAQID\r\n-----END A-----\r\nend";
        let blocks: Vec<_> = blocks(text).collect();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].line, 2);
        assert_eq!(blocks[0].contents().unwrap().as_slice(), [1, 2, 3]);
    }

    #[test]
    fn a_block_that_is_cut_off_is_named_with_its_line() {
        let text =
            b"-----BEGIN A-----\nAQID\n-----BEGIN B-----\nAQID\n-----END C-----\n-----BEGIN D-----";
        let errors: Vec<String> = blocks(text)
            .map(|block| block.contents().unwrap_err())
            .collect();
        assert!(errors[0].contains("A that begins in line 1 has no end"));
        assert!(errors[1].contains("B that begins in line 3 ends as C"));
        assert!(errors[2].contains("D that begins in line 6 has no end"));
    }

    #[test]
    fn what_stands_where_a_label_belongs_is_not_taken_for_one() {
        let one_line = b"-----BEGIN EC PRIVATE KEY-----MHcCAQEEI-----END EC PRIVATE KEY-----\n";
        let lower = b"-----BEGIN MHcCAQEEIGo5-----\nAQID\n-----END MHcCAQEEIGo5-----\n";
        let long = format!("-----BEGIN {}-----\n", "A".repeat(LONGEST_LABEL + 1));
        for text in [one_line.as_slice(), lower, long.as_bytes()] {
            assert_eq!(blocks(text).count(), 0, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn headers_are_told_from_base64() {
        let text =
            b"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAQID\n-----END A-----\n";
        let blocks: Vec<_> = blocks(text).collect();
        assert_eq!(
            blocks[0].headers(),
            b"Proc-Type: 4,ENCRYPTED\nDEK-Info: x\n"
        );
        assert_eq!(blocks[0].contents().unwrap().as_slice(), [1, 2, 3]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(contents: Vec<u8>) {
            let text = encode("X Y", &contents);
            proptest::prop_assert!(text.lines().all(|line| line.len() <= 64));
            proptest::prop_assert!(!text.contains('\r'));
            let blocks: Vec<_> = blocks(text.as_bytes()).collect();
            proptest::prop_assert_eq!(blocks.len(), 1);
            proptest::prop_assert_eq!(&blocks[0].label, "X Y");
            let read = blocks[0].contents().unwrap();
            proptest::prop_assert_eq!(read.as_slice(), contents);
        }
    }
}
