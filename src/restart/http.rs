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
use super::tls::{self, Identity, STEP_BOUND, TlsError};
use super::witness::{Anchors, Trust, refusal, tls_error};

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
    NoResponse {
        address: Address,
        reason: String,
        /// The TLS alert that ended it, if that is one about the client's certificate.
        alert: Option<&'static str>,
    },
}

impl HttpError {
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Tls(error) if error.is_unreachable())
    }

    /// Whether a verified server refuses the client's certificate.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Tls(TlsError::Refused { .. }))
    }

    /// With TLS 1.3 the alert comes after the handshake: an answer of the server that was verified in it.
    fn of_verified(self, shown: bool) -> Self {
        match self {
            Self::NoResponse {
                address,
                alert: Some(alert),
                ..
            } if shown => Self::Tls(TlsError::Refused { address, alert }),
            other => other,
        }
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
        let words: Vec<&str> = self.body.split_whitespace().collect();
        let line: String = printable(&words.join(" ")).chars().take(200).collect();
        if line.is_empty() {
            format!("status {}", self.status)
        } else {
            format!("status {}: {line}", self.status)
        }
    }
}

/// What another process sent, without what a terminal or a log would obey.
pub(super) fn printable(text: &str) -> String {
    let shown = |character: char| {
        if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    };
    text.chars().map(shown).collect()
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
    /// TLS with whoever answers: nothing is shown to it, and nothing that it says proves anything.
    Unverified,
    /// TLS with a server that is verified before anything is shown to it.
    Verified {
        anchors: Anchors<'a>,
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
        Security::Unverified => {
            let stream = tls::connect(address, &address.host, Trust::KeyHolder, None).await?;
            exchange(address, stream, request).await
        }
        Security::Verified {
            anchors,
            server_name,
            identity,
        } => {
            let trust = Trust::Anchors(anchors);
            let stream = tls::connect(address, server_name, trust, identity).await?;
            exchange(address, stream, request)
                .await
                .map_err(|error| error.of_verified(identity.is_some()))
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
fn no_response(address: &Address, error: &(dyn std::error::Error + 'static)) -> HttpError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        reason = format!("{reason}: {deeper}");
        source = deeper.source();
    }
    HttpError::NoResponse {
        address: address.clone(),
        reason,
        alert: tls_error(error).and_then(refusal),
    }
}
