//! Bytes for people.

/// Bytes as lower-case hexadecimal digits, without separators.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
