//! Certificates and keys as values: read, describe, build, check.
//!
//! Knows X.509 and kubeadm's catalogue of names, but no path of any node and no file: everything
//! here is a pure function over bytes and values, except that making a key asks for randomness.

mod armour;
mod authority;
mod authority_name;
mod bundle;
mod catalogue;
mod certificate;
mod delivered;
mod der;
mod double;
mod extend;
mod extension;
mod foreign_key;
mod issue_error;
mod key_algorithm;
mod key_error;
mod key_kind;
mod key_usage;
mod layout;
mod moment;
mod name;
mod private_key;
mod reissue;
mod request;
mod serial_number;
mod signature;
mod signer_rules;
mod successor;
mod tbs;
mod validity;
mod verify;

pub use authority::{CertificateAuthority, NewAuthority};
pub use authority_name::AuthorityName;
pub use bundle::certificates_in;
pub use catalogue::{AuthorityId, Catalogued, KubeconfigName, LeafName};
pub use certificate::{Certificate, CertificateError, certificates_from_pem, certificates_to_pem};
pub use delivered::{check_delivered, check_new};
pub use double::double;
pub use extend::{extend, is_of_one_authority, with_successor};
pub use extension::SubjectAltName;
pub use foreign_key::ForeignKey;
pub use issue_error::IssueError;
pub use key_algorithm::KeyAlgorithm;
pub use key_error::KeyError;
pub use key_kind::KeyKind;
pub use moment::{civil, date, rfc3339, serde_end};
pub(crate) use name::usual_attributes;
pub use private_key::{PrivateKey, is_public_key, private_key_der, public_key_to_pem};
pub use reissue::{NewLeaf, Recipient, is_authoritys_own, reissue, reissue_with_names};
#[cfg(test)]
pub(crate) use request::crafted;
pub use request::{CertificateRequest, RequestError};
pub use serial_number::{SerialNumber, SerialNumberError};
pub use signature::SignedBy;
pub use signer_rules::{CLIENT_SIGNER, SignerFault, api_usages, signer_fault};
pub use successor::{digest_of_request, request_successor};
pub use validity::Validity;
pub use verify::{SuccessorError, check_answer, check_stand_in, check_successor};
