//! What comes from a CA: PEM, DER and PKCS#7.

use kubecertd::pki::{certificates_in, certificates_to_pem};

/// What is read is never nothing and never more than the bound, and is the same when it is written as PEM and read again.
pub fn check(data: &[u8]) {
    if let Ok(found) = certificates_in(data) {
        assert!((1..=64).contains(&found.len()), "none is an error");
        let written = certificates_to_pem(&found);
        let again = certificates_in(written.as_bytes()).expect("what was written is read");
        assert_eq!(again, found);
    }
}
