//! How requests get to the server: each over a connection of its own, with everything that `net` demands.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use tokio::time::timeout;

use super::Access;
use crate::net::{Address, HttpError, Server, http};

/// For one request, from the connection to the last byte of its answer. An API server that has lost its etcd lets requests hang.
const BOUND: Duration = Duration::from_secs(10);

/// There is no answer that says anything.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) reason: String,
    /// Whether a verified server refused the credential.
    pub(super) is_refusal: bool,
    /// Whether there was an answer, and it is longer than is read.
    pub(super) is_too_long: bool,
}

impl From<HttpError> for NoAnswer {
    fn from(error: HttpError) -> Self {
        Self {
            reason: error.to_string(),
            is_refusal: error.is_refusal(),
            is_too_long: matches!(error, HttpError::TooLong { .. }),
        }
    }
}

pub(super) async fn send(
    access: &Access,
    address: &Address,
    request: Request<Vec<u8>>,
) -> Result<Response<Bytes>, NoAnswer> {
    let (mut head, body) = request.into_parts();
    let unusable = |reason: String| NoAnswer {
        reason,
        is_refusal: false,
        is_too_long: false,
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("{}{path}", access.prefix)
        .parse()
        .map_err(|error| unusable(format!("{path:?}: {error}")))?;
    let request = Request::from_parts(head, Full::new(Bytes::from(body)));
    let server = Server {
        address,
        security: access.security(address),
    };
    match timeout(BOUND, http::request_object(server, request)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(unusable(format!("no answer within {} s", BOUND.as_secs()))),
    }
}
