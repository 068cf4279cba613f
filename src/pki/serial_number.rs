//! Serial numbers as openssl counts them: a number of at most twenty bytes, written in hexadecimal digits into a file.

use aws_lc_rs::rand;

use super::der;
use crate::host::hexadecimal;

/// RFC 5280 §4.1.2.2: no more than 20 octets.
const MOST_BYTES: usize = 20;

/// A positive serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialNumber {
    /// Big-endian, without zeros in front.
    bytes: Vec<u8>,
}

/// Why a text is no serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SerialNumberError {
    /// Nothing, or something else than hexadecimal digits.
    #[error("holds no hexadecimal number")]
    NotHexadecimal,
    /// Negative numbers are no serial numbers.
    #[error("holds a negative number")]
    Negative,
    /// More than 20 bytes, as the last one or as the next.
    #[error("holds a number of more than 159 bits, after which no serial number comes")]
    TooLarge,
    /// The system's fault.
    #[error("no random number could be had")]
    NotRandom,
}

impl SerialNumber {
    /// A random one of 159 bits, with which openssl begins to count.
    ///
    /// # Errors
    /// [`SerialNumberError::NotRandom`].
    pub fn random() -> Result<Self, SerialNumberError> {
        let mut bytes = [0; MOST_BYTES];
        rand::fill(&mut bytes).map_err(|_| SerialNumberError::NotRandom)?;
        bytes[0] &= 0x7f;
        Self::of(&bytes)
    }

    /// Reads what openssl wrote into a `.srl` file: hexadecimal digits, perhaps over several lines that end in a backslash.
    ///
    /// # Errors
    /// [`SerialNumberError`].
    pub fn from_text(text: &str) -> Result<Self, SerialNumberError> {
        let text = text.trim().replace("\\\n", "").replace("\\\r\n", "");
        if text.starts_with('-') {
            return Err(SerialNumberError::Negative);
        }
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(SerialNumberError::NotHexadecimal);
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > 2 * MOST_BYTES {
            return Err(SerialNumberError::TooLarge);
        }
        let even = format!("{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" });
        let bytes = (0..even.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(even.get(at..at + 2).unwrap_or_default(), 16))
            .collect::<Result<Vec<u8>, _>>()
            .map_err(|_| SerialNumberError::NotHexadecimal)?;
        Self::of(&bytes)
    }

    fn of(bytes: &[u8]) -> Result<Self, SerialNumberError> {
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let bytes = bytes.get(zeros..).unwrap_or_default().to_vec();
        let first = bytes.first().copied().unwrap_or_default();
        if bytes.len() > MOST_BYTES || (bytes.len() == MOST_BYTES && first > 0x7f) {
            return Err(SerialNumberError::TooLarge);
        }
        Ok(Self { bytes })
    }

    /// The one after it.
    ///
    /// # Errors
    /// [`SerialNumberError::TooLarge`].
    pub fn next(&self) -> Result<Self, SerialNumberError> {
        let mut bytes = [&[0], self.bytes.as_slice()].concat();
        for byte in bytes.iter_mut().rev() {
            let (sum, carried) = byte.overflowing_add(1);
            *byte = sum;
            if !carried {
                break;
            }
        }
        Self::of(&bytes)
    }

    /// As openssl writes it into a `.srl` file.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.bytes.is_empty() {
            return "00\n".to_owned();
        }
        format!("{}\n", hexadecimal(&self.bytes).to_uppercase())
    }

    /// The INTEGER.
    pub(super) fn to_der(&self) -> Vec<u8> {
        let mut contents = self.bytes.clone();
        if contents.first().is_none_or(|first| *first > 0x7f) {
            contents.insert(0, 0);
        }
        der::element(der::INTEGER, &contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openssl_writes_is_read_continued_and_written_alike() {
        for (text, next) in [
            ("01\n", "02\n"),
            ("FF\n", "0100\n"),
            ("00", "01\n"),
            (
                "7C3F9C9D2B2E0C9B1D2E3F405162738495A6B7FF\n",
                "7C3F9C9D2B2E0C9B1D2E3F405162738495A6B800\n",
            ),
            ("abc\n", "0ABD\n"),
            ("0\\\n1\n", "02\n"),
        ] {
            let read = SerialNumber::from_text(text).unwrap();
            assert_eq!(read.next().unwrap().to_text(), next, "{text}");
            assert_eq!(SerialNumber::from_text(&read.to_text()), Ok(read));
        }
    }

    #[test]
    fn odd_texts_are_refused() {
        let largest = format!("7F{}", "F".repeat(38));
        let read = SerialNumber::from_text(&largest).unwrap();
        assert_eq!(read.next(), Err(SerialNumberError::TooLarge));
        for (text, error) in [
            ("", SerialNumberError::NotHexadecimal),
            ("  \n", SerialNumberError::NotHexadecimal),
            ("12 34", SerialNumberError::NotHexadecimal),
            ("-01", SerialNumberError::Negative),
            ("xyz", SerialNumberError::NotHexadecimal),
            (
                "8000000000000000000000000000000000000000",
                SerialNumberError::TooLarge,
            ),
        ] {
            assert_eq!(SerialNumber::from_text(text), Err(error), "{text}");
        }
    }

    #[test]
    fn random_ones_are_positive() {
        for _ in 0..100 {
            let number = SerialNumber::random().unwrap();
            assert!(number.to_der()[2] <= 0x7f);
            assert!(number.next().is_ok());
        }
    }
}
