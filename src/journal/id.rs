//! The id of an operation.

/// Whether a name has the form of an operation's id: `20260520T091231Z-00ff`.
pub(crate) fn is_id(name: &str) -> bool {
    let form = b"ddddddddTddddddZ-xxxx";
    name.len() == form.len()
        && name.bytes().zip(form).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            b'x' => byte.is_ascii_hexdigit(),
            other => byte == *other,
        })
}
