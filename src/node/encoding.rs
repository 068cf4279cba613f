//! The bytes of a YAML or JSON file as text and back, as Kubernetes' readers take them.

use zeroize::Zeroizing;

use super::Fault;

/// A file's text, wiped when dropped, and what its bytes were. A byte order mark stays the text's first character.
pub(super) struct Text {
    pub(super) text: Zeroizing<String>,
    encoding: Encoding,
}

/// By the byte order mark; without one it is UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Little,
    Utf16Big,
}

impl Text {
    /// # Errors
    /// [`Fault::NotText`]
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let encoding = match bytes {
            [0xff, 0xfe, _, ..] => Encoding::Utf16Little,
            [0xfe, 0xff, _, ..] => Encoding::Utf16Big,
            _ => Encoding::Utf8,
        };
        let text = match encoding {
            Encoding::Utf8 => std::str::from_utf8(bytes)
                .map(|text| Zeroizing::new(text.to_owned()))
                .map_err(|_| Fault::NotText)?,
            Encoding::Utf16Little => from_utf16(bytes, u16::from_le_bytes)?,
            Encoding::Utf16Big => from_utf16(bytes, u16::from_be_bytes)?,
        };
        Ok(Self { text, encoding })
    }

    /// The bytes of an edited text, written as this one was.
    pub(super) fn encode(&self, edited: &str) -> Zeroizing<Vec<u8>> {
        let units = |bytes: fn(u16) -> [u8; 2]| {
            // Enough from the start: a growing buffer would leave copies of a key behind.
            let mut encoded = Zeroizing::new(Vec::with_capacity(edited.len() * 2));
            encoded.extend(edited.encode_utf16().flat_map(bytes));
            encoded
        };
        match self.encoding {
            Encoding::Utf8 => Zeroizing::new(edited.as_bytes().to_vec()),
            Encoding::Utf16Little => units(u16::to_le_bytes),
            Encoding::Utf16Big => units(u16::to_be_bytes),
        }
    }
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Zeroizing<String>, Fault> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    // No unit becomes more than three bytes.
    let mut text = Zeroizing::new(String::with_capacity(pairs.len() * 3));
    for letter in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        text.push(letter.map_err(|_| Fault::NotText)?);
    }
    if rest.is_empty() {
        Ok(text)
    } else {
        Err(Fault::NotText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_mark_is_utf_16_and_goes_back_as_it_was() {
        let text = "\u{feff}name: ünd 😀\r\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [little.as_slice(), &big, text.as_bytes()] {
            let decoded = Text::decode(bytes).unwrap_or_else(|reason| panic!("{reason}"));
            assert_eq!(decoded.text.as_str(), text);
            assert_eq!(decoded.encode(text).as_slice(), bytes);
        }
    }

    #[test]
    fn what_is_no_text_is_said() {
        for bytes in [
            &b"\xff\xfea"[..],
            b"\xff\xfe\x00\xd8",
            b"\xfe\xff\xdc\x00\x00a",
            b"a\xff",
            b"\xff\xfe",
            b"\xc3",
        ] {
            assert_eq!(Text::decode(bytes).err(), Some(Fault::NotText));
        }
    }
}
