//! SHA-256 and hexadecimal digits, as journals, backups and receipts have them.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::read::FILE_LIMIT;

/// Bytes as lower-case hexadecimal digits, without separators.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a buffer, in lower-case hexadecimal digits.
pub(crate) fn digest(contents: &[u8]) -> String {
    hexadecimal(aws_lc_rs::digest::digest(&SHA256, contents).as_ref())
}

/// Copies and hashes; the buffer, which may hold a private key, is wiped. Gives digest and size.
pub(crate) fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<(String, u64)> {
    let mut context = Context::new(&SHA256);
    let mut buffer = Zeroizing::new([0u8; 8 * 1024]);
    let mut size = 0;
    loop {
        let read = match from.read(buffer.as_mut_slice()) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        size += read as u64;
        if size > FILE_LIMIT {
            // Whoever writes these directories could have it copied until the disk is full.
            return Err(io::Error::other(format!(
                "is larger than {} MiB, which no file of this kind is",
                FILE_LIMIT >> 20
            )));
        }
        context.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
    Ok((hexadecimal(context.finish().as_ref()), size))
}
