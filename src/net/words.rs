//! What went wrong in a handshake, in an administrator's words: rustls's own are names of its types.

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use super::witness::tls_error;

/// The reason of a failed handshake.
pub(super) fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    tls_error(error).map_or_else(|| error.to_string(), of_tls)
}

/// The same of rustls's error itself.
pub(super) fn of_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => format!("the server answers with {}", alert_name(*alert)),
        Error::PeerIncompatible(_) => {
            "the server has no TLS version, cipher or signature in common with kubecertd".to_owned()
        }
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => {
            "the server does not keep to the TLS protocol".to_owned()
        }
        Error::InvalidMessage(_) => "what answers does not speak TLS".to_owned(),
        Error::NoCertificatesPresented => "the server shows no certificate".to_owned(),
        Error::InconsistentKeys(_) => "the key is another certificate's".to_owned(),
        Error::General(reason) => reason.clone(),
        Error::Other(error) => error.to_string(),
        _ => "the TLS handshake cannot be done".to_owned(),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => "its certificate is not signed by a CA that is trusted",
        CertificateError::BadSignature => {
            "a signature is wrong, its certificate's or that of the handshake"
        }
        CertificateError::NotValidForNameContext { expected, .. } => {
            return format!(
                "its certificate is not valid for name {}",
                expected.to_str()
            );
        }
        CertificateError::NotValidForName => "its certificate is not valid for name or address",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not meant for this use (extended key usage)"
        }
        CertificateError::Revoked => "its certificate is revoked",
        CertificateError::UnhandledCriticalExtension => {
            "its certificate has a critical extension that is not known here"
        }
        CertificateError::BadEncoding => "its certificate cannot be read",
        CertificateError::Other(error) => return error.to_string(),
        _ => "its certificate cannot be checked",
    }
    .to_owned()
}

/// As in the TLS standard: `the TLS alert handshake_failure`.
fn alert_name(alert: AlertDescription) -> String {
    let Some(name) = alert.as_str() else {
        return format!("the TLS alert {}", u8::from(alert));
    };
    let mut words = String::new();
    let mut before_was_capital = true;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !before_was_capital {
            words.push('_');
        }
        before_was_capital = letter.is_ascii_uppercase();
        words.push(letter.to_ascii_lowercase());
    }
    format!("the TLS alert {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sentence_has_a_name_of_the_librarys() {
        for (error, sentence) in [
            (
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                "the server answers with the TLS alert handshake_failure",
            ),
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                "the server answers with the TLS alert unknown_ca",
            ),
            (
                Error::AlertReceived(AlertDescription::Unknown(200)),
                "the server answers with the TLS alert 200",
            ),
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "its certificate is not signed by a CA that is trusted",
            ),
            (
                Error::InvalidCertificate(CertificateError::UnknownRevocationStatus),
                "its certificate cannot be checked",
            ),
            (
                Error::DecryptError,
                "the server does not keep to the TLS protocol",
            ),
            (Error::EncryptError, "the TLS handshake cannot be done"),
        ] {
            let wrapped = std::io::Error::other(error);
            assert_eq!(in_words(&wrapped), sentence);
        }
        assert_eq!(in_words(&std::io::Error::other("gone")), "gone");
    }
}
