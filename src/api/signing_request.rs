//! CertificateSigningRequests (certificates.k8s.io/v1).

use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::objects::Objects;
use super::{Access, ApiError, Decision};
use crate::net::Address;

/// A request as it was read.
pub type SigningRequestObject = CertificateSigningRequest;

/// A request that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewSigningRequest<'a> {
    /// `metadata.name`
    pub name: &'a str,
    /// `metadata.annotations`: for people.
    pub annotations: &'a [(&'static str, &'a str)],
    /// `spec.signerName`
    pub signer: &'a str,
    /// `spec.request`: PEM.
    pub text: &'a str,
    /// `spec.usages`
    pub usages: &'a [&'static str],
    /// `spec.expirationSeconds`
    pub seconds: i32,
}

impl NewSigningRequest<'_> {
    fn object(&self) -> CertificateSigningRequest {
        let pairs = self.annotations.iter();
        let annotations = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        CertificateSigningRequest {
            metadata: ObjectMeta {
                name: Some(self.name.to_owned()),
                annotations: Some(annotations.collect()),
                ..ObjectMeta::default()
            },
            spec: CertificateSigningRequestSpec {
                expiration_seconds: Some(self.seconds),
                request: ByteString(self.text.as_bytes().to_vec()),
                signer_name: self.signer.to_owned(),
                usages: Some(self.usages.iter().map(ToString::to_string).collect()),
                ..CertificateSigningRequestSpec::default()
            },
            status: None,
        }
    }

    /// Whether an object is this very request, whoever made it.
    #[must_use]
    pub fn is_asked_by(&self, object: &SigningRequestObject) -> bool {
        let spec = &object.spec;
        object.metadata.name.as_deref() == Some(self.name)
            && spec.request.0 == self.text.as_bytes()
            && spec.signer_name == self.signer
            && spec.usages.as_deref().is_some_and(|usages| usages == self.usages)
            // API servers before 1.22 drop what they do not know.
            && spec.expiration_seconds.is_none_or(|seconds| seconds == self.seconds)
    }
}

/// The cluster's requests, at one API server.
#[derive(Debug, Clone)]
pub struct SigningRequests(Objects<CertificateSigningRequest>);

impl SigningRequests {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address) -> Self {
        Self(Objects::of(access, server, None))
    }

    /// The request of that name; `None` where there is none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn get(&self, name: &str) -> Result<Option<SigningRequestObject>, ApiError> {
        self.0.get(name).await
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where there is one of that name.
    pub async fn create(
        &self,
        request: &NewSigningRequest<'_>,
    ) -> Result<SigningRequestObject, ApiError> {
        self.0.create(&request.object()).await
    }

    /// Shows every request, or every one to a signer, a page at a time.
    ///
    /// # Errors
    /// [`ApiError`]: then some may have been shown.
    pub async fn each(
        &self,
        signer: Option<&str>,
        see: impl FnMut(SigningRequestObject),
    ) -> Result<(), ApiError> {
        let fields = signer.map(|signer| format!("spec.signerName={signer}"));
        self.0.each(fields.as_deref(), see).await
    }

    /// Writes a decision upon the version of the request that was read.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where that is not the newest any more.
    pub async fn decide(
        &self,
        mut request: SigningRequestObject,
        decision: &Decision,
    ) -> Result<SigningRequestObject, ApiError> {
        let name = request.metadata.name.clone().unwrap_or_default();
        let status = request.status.get_or_insert_default();
        let conditions = status.conditions.get_or_insert_default();
        conditions.push(CertificateSigningRequestCondition {
            type_: decision.kind.word().to_owned(),
            status: "True".to_owned(),
            reason: Some(decision.reason.clone()),
            message: Some(decision.message.clone()),
            last_update_time: Some(Time(decision.at)),
            last_transition_time: None,
        });
        self.0.replace_part("approval", &name, &request).await
    }
}
