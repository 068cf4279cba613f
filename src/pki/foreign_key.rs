//! A private key that cannot be used here: damaged, or of a kind that is not supported and perhaps sound.

use std::fmt;

use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Encode as _, Tagged as _};

use super::Certificate;
use super::der::{self, Reader};
use super::key_kind::{EC, KeyKind, PublicKey, RSA, RSA_MAXIMUM_BITS, RSA_MINIMUM_BITS, bits};

/// What is known of a private key of a kind that is not supported. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    kind: KeyKind,
    /// The number of its algorithm, with dots.
    algorithm: String,
    /// The public key as in a SubjectPublicKeyInfo's BIT STRING, if the file has it.
    public: Option<Vec<u8>>,
}

impl ForeignKey {
    /// What is known of a key that could not be loaded.
    ///
    /// # Errors
    /// What is damaged about it.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let damaged = |what: &str| Err(what.to_owned());
        let found = Self::in_pkcs8(der)
            .or_else(|| Self::in_pkcs1(der))
            .or_else(|| Self::in_sec1(der, None));
        match found {
            None => damaged("neither PKCS#1, SEC1 nor PKCS#8"),
            Some(Self {
                kind: KeyKind::Rsa(bits @ RSA_MINIMUM_BITS..=RSA_MAXIMUM_BITS),
                public: Some(_),
                ..
            }) => damaged(&format!(
                "RSA with {bits} bits, whose numbers do not fit together"
            )),
            Some(found) if found.kind.can_sign() => damaged(&format!(
                "{}, whose numbers do not fit together",
                found.kind
            )),
            Some(found) => Ok(found),
        }
    }

    /// Whether it is the certificate's key; `None` where that cannot be told.
    #[must_use]
    pub fn fits(&self, certificate: &Certificate) -> Option<bool> {
        let key = PublicKey::of(&certificate.public_key_der)?;
        if key.algorithm != self.algorithm {
            return Some(false);
        }
        let public = self.public.as_deref()?;
        Some(key.bits == public)
    }

    fn in_pkcs8(der: &[u8]) -> Option<Self> {
        let info = PrivateKeyInfoRef::try_from(der).ok()?;
        let algorithm = info.algorithm.oid.to_string();
        let inner = info.private_key.as_bytes();
        match algorithm.as_str() {
            RSA => Self::in_pkcs1(inner),
            EC => Self::in_sec1(inner, info.algorithm.parameters),
            _ => {
                let identifier = info.algorithm.to_der().ok()?;
                let public = info.public_key.and_then(|bits| bits.as_bytes());
                Some(Self::with(&identifier, public))
            }
        }
    }

    /// A PKCS#1 key: of its numbers only the two public ones are looked at.
    fn in_pkcs1(pkcs1: &[u8]) -> Option<Self> {
        let mut key = Reader::new(pkcs1).expect(der::SEQUENCE).ok()?.inside();
        let version = key.expect(der::INTEGER).ok()?;
        let modulus = key.expect(der::INTEGER).ok()?;
        let exponent = key.expect(der::INTEGER).ok()?;
        // Version 1 has more than two primes.
        matches!(version.contents, [0 | 1]).then(|| {
            let is_usual = version.contents == [0] && bits(exponent.contents) <= RSA_EXPONENT_BITS;
            let size = bits(modulus.contents);
            let kind = if is_usual {
                KeyKind::Rsa(size)
            } else {
                let like = KeyKind::Rsa(size).successor();
                KeyKind::Other(format!("RSA-{size} of an unusual form"), like)
            };
            Self {
                kind,
                algorithm: RSA.to_owned(),
                public: Some(der::sequence(&[modulus.whole, exponent.whole])),
            }
        })
    }

    /// A SEC1 key, with the curve of the PKCS#8 around it, if there is one: else its own.
    fn in_sec1(sec1: &[u8], curve: Option<AnyRef<'_>>) -> Option<Self> {
        let mut key = Reader::new(sec1).expect(der::SEQUENCE).ok()?.inside();
        let version = key.expect(der::INTEGER).ok()?;
        key.expect(der::OCTET_STRING).ok()?;
        let own = key.optional(0xa0).ok()?;
        let public = key.optional(0xa1).ok()?;
        if version.contents != [1] {
            return None;
        }
        let curve = match (curve, own) {
            (Some(curve), _) if curve.tag() != pkcs8::der::Tag::Null => curve.to_der().ok()?,
            (_, Some(own)) => own.contents.to_vec(),
            _ => Vec::new(),
        };
        let identifier = der::sequence(&[der::oid(&[1, 2, 840, 10045, 2, 1]), curve]);
        let public = public.and_then(|public| {
            let bits = public.inside().expect(der::BIT_STRING).ok()?;
            bits.bytes_of_bits()
        });
        Some(Self::with(&identifier, public))
    }

    fn with(identifier: &[u8], public: Option<&[u8]>) -> Self {
        let key = Reader::new(identifier)
            .next()
            .ok()
            .and_then(|identifier| PublicKey::with(identifier, public.unwrap_or_default()));
        Self {
            kind: key
                .as_ref()
                .map_or_else(|| KeyKind::of_public_key(&[]), PublicKey::kind),
            algorithm: key.map(|key| key.algorithm).unwrap_or_default(),
            public: public.map(<[u8]>::to_vec),
        }
    }
}

/// The longest public exponent that aws-lc takes.
const RSA_EXPONENT_BITS: usize = 33;

impl fmt::Display for ForeignKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "not supported: its key is of the kind {}",
            self.kind
        )?;
        match self.kind {
            KeyKind::Rsa(bits) if bits < RSA_MINIMUM_BITS => {
                write!(formatter, "; at least {RSA_MINIMUM_BITS} bits are needed")
            }
            KeyKind::Rsa(_) => write!(formatter, "; at most {RSA_MAXIMUM_BITS} bits are possible"),
            _ => formatter.write_str("; RSA, ECDSA on P-256, P-384 or P-521 and Ed25519 are"),
        }
    }
}
