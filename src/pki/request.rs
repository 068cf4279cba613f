//! A certificate request (PKCS#10) for the successor of a certificate.

use yasna::Tag;

use super::extension::{self, Extension};
use super::issue_error::IssueError;
use super::reissue::of_a_leaf;
use super::{Certificate, PrivateKey, armour, der};
use crate::host::digest;

/// What is asked for by request: the rest is the CA's own affair.
const ASKED_FOR: [&[u64]; 4] = [
    extension::SUBJECT_ALT_NAME,
    extension::KEY_USAGE,
    extension::EXTENDED_KEY_USAGE,
    extension::BASIC_CONSTRAINTS,
];

/// PKCS#9's extensionRequest.
const EXTENSION_REQUEST: &[u64] = &[1, 2, 840, 113_549, 1, 9, 14];

const LABEL: &str = "CERTIFICATE REQUEST";

/// A certificate request, signed with the key that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    der: Vec<u8>,
}

impl CertificateRequest {
    /// Asks for a successor of `old` for `key`: its subject byte for byte, its names, key usages and extended key usages; and
    /// never for a CA.
    ///
    /// # Errors
    /// [`IssueError::Signing`].
    pub fn for_successor(old: &Certificate, key: &PrivateKey) -> Result<Self, IssueError> {
        let mut information = vec![
            yasna::construct_der(|writer| writer.write_u8(0)),
            old.subject_der.clone(),
            key.public_key_der(),
        ];
        information.push(attributes(&asked_for(old)));
        let information = der::sequence(&information);
        let signature = key
            .sign(&information)
            .map_err(|_| IssueError::Signing("the new key made no signature".to_owned()))?;
        let algorithm = key.signature_algorithm();
        Ok(Self {
            der: der::sequence(&[information, algorithm, der::bit_string(&signature)]),
        })
    }

    /// As PEM, which every CA reads.
    #[must_use]
    pub fn to_pem(&self) -> String {
        armour::encode(LABEL, &self.der).to_string()
    }
}

/// A digest of what a request for a successor of this certificate asks for: it changes only with that.
#[must_use]
pub fn digest_of_request(old: &Certificate) -> String {
    let mut all = old.subject_der.clone();
    for extension in asked_for(old) {
        all.extend(extension.der);
    }
    digest(&all)
}

fn asked_for(old: &Certificate) -> Vec<Extension> {
    of_a_leaf(old)
        .into_iter()
        .filter(|extension| ASKED_FOR.iter().any(|oid| extension.is(oid)))
        .collect()
}

fn attributes(extensions: &[Extension]) -> Vec<u8> {
    let extensions: Vec<&[u8]> = extensions.iter().map(|one| one.der.as_slice()).collect();
    let extensions = der::sequence(&extensions);
    let attribute = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(&der::oid(EXTENSION_REQUEST));
            writer
                .next()
                .write_set(|writer| writer.next().write_der(&extensions));
        });
    });
    yasna::construct_der(|writer| {
        writer.write_tagged_implicit(Tag::context(0), |writer| {
            writer.write_set(|writer| writer.next().write_der(&attribute));
        });
    })
}
