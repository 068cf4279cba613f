//! Certificate bundles.

use jiff::Timestamp;
use kubecertd::pki::{Certificate, certificates_from_pem, certificates_to_pem};

/// PEM or DER: what is read is written back and read as the same, and nothing asked of it panics.
pub fn check(data: &[u8]) {
    if let Ok(bundle) = certificates_from_pem(data) {
        assert!(!bundle.is_empty(), "an empty bundle is an error");
        let written = certificates_to_pem(&bundle);
        let again = certificates_from_pem(written.as_bytes()).expect("what was written is read");
        assert_eq!(again, bundle);
        assert_eq!(certificates_to_pem(&again), written);
        bundle.iter().for_each(describe);
        if let [leaf, authority, ..] = bundle.as_slice() {
            let _ = leaf.is_signed_by(authority);
        }
    }
    if let Ok(certificate) = Certificate::from_der(data) {
        assert_eq!(certificate.der(), data, "not one byte is lost");
        describe(&certificate);
    }
}

fn describe(certificate: &Certificate) {
    assert_eq!(
        Certificate::from_der(certificate.der()).as_ref(),
        Ok(certificate)
    );
    assert_eq!(certificate.fingerprint().len(), 64);
    let within = certificate.not_before <= certificate.not_after;
    assert_eq!(certificate.is_valid_at(certificate.not_after), within);
    assert!(!certificate.is_valid_at(Timestamp::MIN) || certificate.not_before == Timestamp::MIN);
    let _ = certificate.is_self_signed();
    let _ = certificate.key_kind().made();
}
