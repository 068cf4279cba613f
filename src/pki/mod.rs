//! Certificates and keys as values: read, describe, build, check.
//!
//! Knows X.509 and kubeadm's catalogue of names, but no path of any node and no file: everything
//! here is a pure function over bytes and values, except that making a key asks for randomness.

mod armour;
mod authority;
mod bundle;
mod catalogue;
mod certificate;
mod der;
mod double;
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
mod signature;
mod tbs;
mod validity;
mod verify;

pub use authority::{CertificateAuthority, NewAuthority};
pub use bundle::certificates_in;
pub use catalogue::{AuthorityId, Catalogued, KubeconfigName, LeafName};
pub use certificate::{Certificate, CertificateError, certificates_from_pem, certificates_to_pem};
pub use double::double;
pub use extension::SubjectAltName;
pub use foreign_key::ForeignKey;
pub use issue_error::IssueError;
pub use key_algorithm::KeyAlgorithm;
pub use key_error::KeyError;
pub use key_kind::KeyKind;
pub use moment::{civil, date, rfc3339, serde_end};
pub(crate) use name::usual_attributes;
pub use private_key::{PrivateKey, private_key_der};
pub use reissue::{NewLeaf, is_authoritys_own, reissue};
pub use request::{CertificateRequest, digest_of_request};
pub use signature::SignedBy;
pub use validity::Validity;
pub use verify::{SuccessorError, check_answer, check_stand_in, check_successor};
