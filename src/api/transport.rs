//! How the kube crate's requests get to the server: each over a connection of its own, with everything that `net` demands.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;
use tower::service_fn;

use super::Access;
use crate::net::{Address, HttpError, Server, http};

/// For one request, from the connection to the last byte of its answer. An API server that has lost its etcd lets requests hang.
const BOUND: Duration = Duration::from_secs(10);

/// There is no answer that says anything.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct NoAnswer {
    pub(super) reason: String,
    /// Whether a verified server refused the credential.
    pub(super) is_refusal: bool,
}

impl From<HttpError> for NoAnswer {
    fn from(error: HttpError) -> Self {
        Self {
            reason: error.to_string(),
            is_refusal: error.is_refusal(),
        }
    }
}

/// A client for one server.
pub(super) fn client(access: Arc<Access>, address: Address) -> Client {
    let service = service_fn(move |request: Request<Body>| {
        let (access, address) = (Arc::clone(&access), address.clone());
        async move { send(&access, &address, request).await }
    });
    Client::new(service, "default")
}

async fn send(
    access: &Access,
    address: &Address,
    request: Request<Body>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let (mut head, body) = request.into_parts();
    let unusable = |reason: String| NoAnswer {
        reason,
        is_refusal: false,
    };
    let body = body
        .collect()
        .await
        .map_err(|error| unusable(error.to_string()))?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("{}{path}", access.prefix)
        .parse()
        .map_err(|error| unusable(format!("{path:?}: {error}")))?;
    let request = Request::from_parts(head, Full::new(body.to_bytes()));
    let server = Server {
        address,
        security: access.security(address),
    };
    match timeout(BOUND, http::request_object(server, request)).await {
        Ok(answer) => Ok(answer?.map(Full::new)),
        Err(_) => Err(unusable(format!("no answer within {} s", BOUND.as_secs()))),
    }
}
