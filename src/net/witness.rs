//! What a server shows in a handshake, and whether it proved to have the key.
//!
//! A certificate is public, and any process may listen on a port: only a handshake signature by the certificate's own key
//! says who answers.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

/// Whom a connection trusts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trust<'a> {
    /// Whoever has the key of the certificate that it shows.
    KeyHolder,
    /// The key holders whom a client would trust.
    Anchors(Anchors<'a>),
}

/// What a server's certificate is verified against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anchors<'a> {
    /// Those that may have signed it, for the server's name and for now.
    pub(crate) authorities: &'a [CertificateDer<'static>],
    /// The one certificate that is right whoever signed it: the file of this node that the server is told to serve.
    pub(crate) exactly: Option<&'a [u8]>,
}

/// What was seen in one handshake.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The DER of all certificates that the server sent, its own first.
    pub(super) chain: Vec<Vec<u8>>,
    /// Whether it proved to have the first one's key; with [`Trust::Anchors`] then it is also trusted.
    pub(super) has_key: bool,
}

/// Notes what is shown, judges it by the trust that was asked for, and verifies the handshake's signature.
#[derive(Debug)]
pub(super) struct Witness {
    shown: Arc<Mutex<Shown>>,
    judge: Judge,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Judge {
    KeyHolder,
    Anchors {
        authorities: Option<Arc<WebPkiServerVerifier>>,
        exactly: Option<Vec<u8>>,
    },
}

impl Witness {
    /// # Errors
    /// When there is nothing to verify a server by.
    pub(super) fn new(
        trust: Trust<'_>,
        shown: Arc<Mutex<Shown>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let judge = match trust {
            Trust::KeyHolder => Judge::KeyHolder,
            Trust::Anchors(anchors) => Judge::Anchors {
                authorities: verifier(anchors, &provider)?,
                exactly: anchors.exactly.map(<[u8]>::to_vec),
            },
        };
        Ok(Self {
            shown,
            judge,
            provider,
        })
    }

    /// The signature is valid: it proves possession only of the key of the certificate that was shown as the server's own.
    fn note_key_of(&self, certificate: &CertificateDer<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.has_key = shown
            .chain
            .first()
            .is_some_and(|own| own.as_slice() == certificate.as_ref());
    }
}

fn verifier(
    anchors: Anchors<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, String> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(anchors.authorities.iter().cloned());
    if added == 0 {
        return if anchors.exactly.is_some() {
            Ok(None)
        } else {
            Err("none of the trusted CA certificates can be used".to_owned())
        };
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map(Some)
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let chain = std::iter::once(end_entity).chain(intermediates);
            shown.chain = chain.map(|der| der.to_vec()).collect();
            shown.has_key = false;
        }
        match &self.judge {
            Judge::KeyHolder => Ok(ServerCertVerified::assertion()),
            Judge::Anchors { exactly, .. } if exactly.as_deref() == Some(end_entity.as_ref()) => {
                Ok(ServerCertVerified::assertion())
            }
            Judge::Anchors {
                authorities: Some(authorities),
                ..
            } => authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            Judge::Anchors {
                authorities: None, ..
            } => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls12_signature(message, certificate, signed, algorithms)?;
        self.note_key_of(certificate);
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls13_signature(message, certificate, signed, algorithms)?;
        self.note_key_of(certificate);
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The alert by which a server refuses the client's certificate, if it is one of those: its name in the TLS standard. All
/// others (`handshake_failure`, `internal_error`, ...) say nothing about the certificate.
pub(crate) fn refusal(error: &Error) -> Option<&'static str> {
    let Error::AlertReceived(alert) = error else {
        return None;
    };
    match alert {
        AlertDescription::BadCertificate => Some("bad_certificate"),
        AlertDescription::UnsupportedCertificate => Some("unsupported_certificate"),
        AlertDescription::CertificateRevoked => Some("certificate_revoked"),
        AlertDescription::CertificateExpired => Some("certificate_expired"),
        AlertDescription::CertificateUnknown => Some("certificate_unknown"),
        AlertDescription::UnknownCA => Some("unknown_ca"),
        AlertDescription::AccessDenied => Some("access_denied"),
        // One was offered, but it can do none of the signatures that the server takes.
        AlertDescription::CertificateRequired => Some("certificate_required"),
        _ => None,
    }
}

/// rustls's own error, however deep it is wrapped.
pub(super) fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    let mut error = Some(error);
    while let Some(this) = error {
        if let Some(found) = this.downcast_ref::<Error>() {
            return Some(found);
        }
        // An input error's source is that of what it wraps, not what it wraps.
        let wrapped = this
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        error = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => this.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alerts_about_the_certificate_refuse_it() {
        let alert = |alert| refusal(&Error::AlertReceived(alert));
        assert_eq!(alert(AlertDescription::UnknownCA), Some("unknown_ca"));
        assert_eq!(
            alert(AlertDescription::CertificateExpired),
            Some("certificate_expired")
        );
        for silent in [
            AlertDescription::HandshakeFailure,
            AlertDescription::InternalError,
            AlertDescription::ProtocolVersion,
            AlertDescription::CloseNotify,
            AlertDescription::UserCanceled,
            AlertDescription::NoRenegotiation,
        ] {
            assert_eq!(alert(silent), None, "{silent:?}");
        }
        assert_eq!(refusal(&Error::DecryptError), None);
    }

    #[test]
    fn an_alert_is_found_inside_input_errors() {
        let alert = Error::AlertReceived(AlertDescription::UnknownCA);
        let inner = std::io::Error::other(alert);
        let outer = std::io::Error::other(inner);
        assert_eq!(tls_error(&outer).and_then(refusal), Some("unknown_ca"));
        assert!(tls_error(&std::io::Error::other("no")).is_none());
    }
}
