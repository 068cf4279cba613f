//! CertificateSigningRequests (certificates.k8s.io/v1).

use std::sync::Arc;

use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::objects::Objects;
use super::{Access, ApiError, Decision};
use crate::net::Address;

/// A request as it was read.
pub type SigningRequestObject = CertificateSigningRequest;

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
