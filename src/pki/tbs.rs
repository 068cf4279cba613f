//! A certificate about to be signed.

use aws_lc_rs::{digest, rand};
use yasna::Tag;

use super::extension::Extension;
use super::issue_error::IssueError;
use super::serial_number::SerialNumber;
use super::validity::Validity;
use super::{Certificate, PrivateKey, der};

/// RFC 5280's TBSCertificate. Names are DER, so that they stay exactly as they are.
#[derive(Debug)]
pub(super) struct TbsCertificate<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) validity: Validity,
    /// DER of the SubjectPublicKeyInfo.
    pub(super) public_key: &'a [u8],
    pub(super) extensions: Vec<Extension>,
    /// `None` for a random one.
    pub(super) serial: Option<&'a SerialNumber>,
}

impl TbsCertificate<'_> {
    /// Signs it and reads the result back.
    pub(super) fn sign(self, signer: &PrivateKey) -> Result<Certificate, IssueError> {
        let failed = |what: &str| IssueError::Signing(what.to_owned());
        let version3 = yasna::construct_der(|writer| {
            writer.write_tagged(Tag::context(0), |writer| writer.write_u8(2));
        });
        let serial = match self.serial {
            Some(serial) => serial.to_der(),
            None => {
                let serial =
                    serial().map_err(|_| failed("this machine gives no random numbers"))?;
                yasna::construct_der(|writer| writer.write_u64(serial))
            }
        };
        let algorithm = signer.signature_algorithm();
        let validity = der::sequence(&[
            der::time(self.validity.not_before),
            der::time(self.validity.not_after),
        ]);
        let mut tbs = vec![
            version3,
            serial,
            algorithm.clone(),
            self.issuer.to_vec(),
            validity,
            self.subject.to_vec(),
            self.public_key.to_vec(),
        ];
        if !self.extensions.is_empty() {
            let extensions: Vec<&[u8]> = self
                .extensions
                .iter()
                .map(|extension| extension.der.as_slice())
                .collect();
            let extensions = der::sequence(&extensions);
            tbs.push(yasna::construct_der(|writer| {
                writer.write_tagged(Tag::context(3), |writer| writer.write_der(&extensions));
            }));
        }
        let tbs = der::sequence(&tbs);
        let signature = signer
            .sign(&tbs)
            .map_err(|_| failed("the CA's key made no signature"))?;
        let certificate = der::sequence(&[tbs, algorithm, der::bit_string(&signature)]);
        Certificate::from_der(&certificate)
            .map_err(|error| failed(&format!("the result would be a {error}")))
    }
}

/// The key identifier as Go 1.25 makes it: RFC 7093 §2 method 1, the first 160 bits of SHA-256 over the public key.
pub(super) fn key_id(key: &PrivateKey) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, key.public_key_bits());
    digest.as_ref().iter().take(20).copied().collect()
}

/// A random serial number from 1 to 2⁶³-2, kubeadm's range.
fn serial() -> Result<u64, aws_lc_rs::error::Unspecified> {
    loop {
        let mut bytes = [0; 8];
        rand::fill(&mut bytes)?;
        let serial = u64::from_be_bytes(bytes) >> 1;
        if (1..u64::MAX >> 1).contains(&serial) {
            return Ok(serial);
        }
    }
}
