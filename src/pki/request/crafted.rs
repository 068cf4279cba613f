//! Requests that no careful program makes, for tests of what reads them.
#![allow(clippy::unwrap_used)]

use super::{EXTENSION_REQUEST, LABEL};
use crate::pki::extension::Extension;
use crate::pki::{KeyAlgorithm, PrivateKey, SubjectAltName, armour, der};

/// What a request has in it; by default a kubelet's subject, an address and a key that is strong enough.
pub(crate) struct Crafted {
    /// Attributes of the subject: number, tag of the text, text.
    pub(crate) subject: Vec<(u64, u8, String)>,
    pub(crate) names: Vec<SubjectAltName>,
    /// What follows the list of names in its extension.
    pub(crate) behind_names: Vec<u8>,
    pub(crate) names_twice: bool,
    pub(crate) is_ca: bool,
    pub(crate) key_usage: Option<u16>,
    pub(crate) extended_key_usage: Vec<&'static [u64]>,
    /// Numbers of extensions beside these.
    pub(crate) extensions: Vec<&'static [u64]>,
    /// Numbers of attributes beside the extensions.
    pub(crate) attributes: Vec<&'static [u64]>,
    /// Whether a second list of extensions follows the first in one attribute.
    pub(crate) two_lists: bool,
    /// What follows the signature.
    pub(crate) behind_signature: Vec<u8>,
    pub(crate) breaks_signature: bool,
    pub(crate) key: PrivateKey,
}

/// organizationName, commonName
pub(crate) const O: u64 = 10;
pub(crate) const CN: u64 = 3;
/// PrintableString
pub(crate) const PRINTABLE: u8 = 0x13;

/// As a block.
pub(crate) fn armoured(der: &[u8]) -> String {
    armour::encode(LABEL, der).to_string()
}

/// Of any tag of one byte.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    let mut der = vec![tag];
    match contents.len() {
        short @ ..0x80 => der.push(u8::try_from(short).unwrap()),
        _ => {
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            der.push(0x80 | u8::try_from(length.len() - zeros).unwrap());
            der.extend(&length[zeros..]);
        }
    }
    der.extend(contents);
    der
}

impl Crafted {
    pub(crate) fn of(node: &str, names: &[SubjectAltName]) -> Self {
        Self {
            subject: vec![
                (O, PRINTABLE, "system:nodes".to_owned()),
                (CN, PRINTABLE, format!("system:node:{node}")),
            ],
            names: names.to_vec(),
            behind_names: Vec::new(),
            names_twice: false,
            is_ca: false,
            key_usage: None,
            extended_key_usage: Vec::new(),
            extensions: Vec::new(),
            attributes: Vec::new(),
            two_lists: false,
            behind_signature: Vec::new(),
            breaks_signature: false,
            key: PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let signed = der::sequence(&[
            element(der::INTEGER, &[0]),
            self.subject(),
            self.key.public_key_der(),
            self.attributes(),
        ]);
        let mut signature = self.key.sign(&signed).unwrap().to_vec();
        if self.breaks_signature {
            *signature.last_mut().unwrap() ^= 1;
        }
        let mut parts = vec![
            signed,
            self.key.signature_algorithm(),
            der::bit_string(&signature),
        ];
        if !self.behind_signature.is_empty() {
            parts.push(self.behind_signature.clone());
        }
        der::sequence(&parts)
    }

    pub(crate) fn pem(&self) -> String {
        armoured(&self.der())
    }

    fn subject(&self) -> Vec<u8> {
        let sets: Vec<Vec<u8>> = self
            .subject
            .iter()
            .map(|(number, tag, text)| {
                let parts = [
                    der::oid(&[2, 5, 4, *number]),
                    element(*tag, text.as_bytes()),
                ];
                element(der::SET, &der::sequence(&parts))
            })
            .collect();
        der::sequence(&sets)
    }

    fn attributes(&self) -> Vec<u8> {
        let mut lists = der::sequence(&self.extensions());
        if self.two_lists {
            lists.extend(der::sequence(&self.extensions()));
        }
        let number: Vec<u64> = EXTENSION_REQUEST
            .split('.')
            .map(|arc| arc.parse().unwrap())
            .collect();
        let mut all = der::sequence(&[der::oid(&number), element(der::SET, &lists)]);
        for number in &self.attributes {
            let value = element(PRINTABLE, b"x");
            all.extend(der::sequence(&[
                der::oid(number),
                element(der::SET, &value),
            ]));
        }
        element(super::ATTRIBUTES, &all)
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let names = Extension::subject_alt_name(&self.names, false);
        let value = [names.value.as_slice(), &self.behind_names].concat();
        let names = Extension::new(crate::pki::extension::SUBJECT_ALT_NAME, false, value);
        all.push(names.der.clone());
        if self.names_twice {
            all.push(names.der);
        }
        if self.is_ca {
            all.push(Extension::basic_constraints(true).der);
        }
        if let Some(bits) = self.key_usage {
            all.push(Extension::key_usage(bits).der);
        }
        if !self.extended_key_usage.is_empty() {
            all.push(Extension::extended_key_usage(&self.extended_key_usage).der);
        }
        all.extend(
            self.extensions
                .iter()
                .map(|number| Extension::new(number, false, vec![5, 0]).der),
        );
        all
    }
}
