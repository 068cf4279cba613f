//! One HTTP/1.1 request over a fresh connection.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::endpoint::Address;
use super::tls::{self, Identity, STEP_BOUND, TlsError, Trust};

/// As much of a body as is read; health reports and status objects are shorter.
const BODY_LIMIT: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// No connection.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Connected, but no response; with TLS 1.3 a refused client certificate shows here.
    #[error("{address}: {reason}")]
    NoResponse { address: Address, reason: String },
}

impl HttpError {
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Tls(error) if error.is_unreachable())
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Answer {
    /// The status and the start of the body, for messages.
    pub(super) fn describe(&self) -> String {
        let line: String = self
            .body
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(200)
            .collect();
        if line.is_empty() {
            format!("status {}", self.status)
        } else {
            format!("status {}: {line}", self.status)
        }
    }
}

/// How to reach a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server<'a> {
    pub(super) address: &'a Address,
    pub(super) security: Security<'a>,
}

/// What is between the request and the wire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Security<'a> {
    /// Plain http.
    Plain,
    /// TLS without verifying the server.
    Unverified(Option<&'a Identity>),
    /// TLS with a server verified against authorities, for a name.
    Verified {
        authorities: &'a [tokio_rustls::rustls::pki_types::CertificateDer<'static>],
        server_name: &'a str,
        identity: Option<&'a Identity>,
    },
}

/// GET.
pub(super) async fn get(server: Server<'_>, path: &str) -> Result<Answer, HttpError> {
    send(server, Method::GET, path, "").await
}

/// POST with a JSON body.
pub(super) async fn post(server: Server<'_>, path: &str, json: &str) -> Result<Answer, HttpError> {
    send(server, Method::POST, path, json).await
}

async fn send(
    server: Server<'_>,
    method: Method,
    path: &str,
    json: &str,
) -> Result<Answer, HttpError> {
    let address = server.address;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, concat!("kubecertd/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json, */*;q=0.5")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::copy_from_slice(json.as_bytes())))
        .map_err(|error| no_response(address, &error))?;
    match server.security {
        Security::Plain => exchange(address, tls::connect_tcp(address).await?, request).await,
        Security::Unverified(identity) => {
            let seen = std::sync::Arc::default();
            let trust = Trust::Anybody(&seen);
            let stream = tls::connect(address, &address.host, trust, identity).await?;
            exchange(address, stream, request).await
        }
        Security::Verified {
            authorities,
            server_name,
            identity,
        } => {
            let trust = Trust::Authorities(authorities);
            let stream = tls::connect(address, server_name, trust, identity).await?;
            exchange(address, stream, request).await
        }
    }
}

/// Sends and receives while driving the connection, in one task, so that nothing outlives the call.
async fn exchange<S>(
    address: &Address,
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let conversation = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let body = read_body(response.into_body()).await?;
            Ok::<_, hyper::Error>(Answer { status, body })
        };
        let mut answer = pin!(answer);
        let mut connection = pin!(connection);
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                result = &mut answer => return result,
                result = &mut connection, if open => {
                    result?;
                    open = false;
                }
            }
        }
    };
    timeout(STEP_BOUND, conversation)
        .await
        .map_err(|_| {
            HttpError::Tls(TlsError::Silent {
                address: address.clone(),
                bound: STEP_BOUND,
            })
        })?
        .map_err(|error| no_response(address, &error))
}

async fn read_body(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() >= BODY_LIMIT {
            bytes.truncate(BODY_LIMIT);
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// hyper's own message says little; the reason (an alert, say) is in its sources.
fn no_response(address: &Address, error: &dyn std::error::Error) -> HttpError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        reason = format!("{reason}: {deeper}");
        source = deeper.source();
    }
    HttpError::NoResponse {
        address: address.clone(),
        reason,
    }
}
