//! SHA-256 and hexadecimal digits, as journals, backups and receipts have them.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroize as _;

use super::read::FILE_LIMIT;

/// Bytes as lower-case hexadecimal digits, without separators.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// SHA-256 of a buffer, in lower-case hexadecimal digits.
pub(crate) fn digest(contents: &[u8]) -> String {
    hexadecimal(aws_lc_rs::digest::digest(&SHA256, contents).as_ref())
}

/// What is being copied, which may be a private key: as much of it as was filled is wiped.
struct Buffer {
    bytes: [u8; 8 * 1024],
    filled: usize,
}

impl Buffer {
    fn fill(&mut self, from: &mut impl Read) -> io::Result<&[u8]> {
        let read = from.read(&mut self.bytes)?;
        self.filled = self.filled.max(read);
        Ok(&self.bytes[..read])
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.bytes[..self.filled].zeroize();
    }
}

/// Copies and hashes; the buffer, which may hold a private key, is wiped. Gives digest and size.
pub(crate) fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<(String, u64)> {
    let mut context = Context::new(&SHA256);
    let mut buffer = Buffer {
        bytes: [0; 8 * 1024],
        filled: 0,
    };
    let mut size = 0;
    loop {
        let read = match buffer.fill(from) {
            Ok([]) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        size += read.len() as u64;
        if size > FILE_LIMIT {
            // Whoever writes these directories could have it copied until the disk is full.
            return Err(io::Error::other(format!(
                "is larger than {} MiB, which no file of this kind is",
                FILE_LIMIT >> 20
            )));
        }
        context.update(read);
        to.write_all(read)?;
    }
    Ok((hexadecimal(context.finish().as_ref()), size))
}
