//! One HTTP/1.1 request over a fresh connection.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::tls;
use super::tls::{Identity, Protocol, STEP_BOUND, TlsError};
use super::witness::{Anchors, Trust, refusal, tls_error};
use crate::net::Address;

/// What this program says of itself.
const PROGRAM: &str = concat!("kubecertd/", env!("CARGO_PKG_VERSION"));
/// Health reports and reviews are shorter; bytes.
const ANSWER_LIMIT: usize = 64 * 1024;
/// An object of the API: etcd takes no more than 1.5 MiB, and JSON is longer than what it keeps; bytes.
const OBJECT_LIMIT: usize = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
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
    /// There is one, and it is longer than is read.
    #[error("{address}: the answer is longer than {limit} bytes")]
    TooLong { address: Address, limit: usize },
}

impl HttpError {
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Tls(error) if error.is_unreachable())
    }

    /// Whether a verified server refuses the client's certificate.
    pub(crate) fn is_refusal(&self) -> bool {
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
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The status and the start of the body, for messages.
    pub(crate) fn describe(&self) -> String {
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
pub(crate) fn printable(text: &str) -> String {
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
pub(crate) struct Server<'a> {
    pub(crate) address: &'a Address,
    pub(crate) security: Security<'a>,
}

/// What is between the request and the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Security<'a> {
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

/// A connection for HTTP/2 to a server that was verified in its handshake.
///
/// # Errors
/// [`TlsError`], also for a server that is not to be verified: gRPC is asked of no other.
pub(crate) async fn connect_http2(server: Server<'_>) -> Result<TlsStream<TcpStream>, TlsError> {
    let Security::Verified {
        anchors,
        server_name,
        identity,
    } = server.security
    else {
        let reason = format!("{}: is not verified", server.address);
        return Err(TlsError::Setup(reason));
    };
    tls::connect_seen(
        server.address,
        server_name,
        Trust::Anchors(anchors),
        identity,
        Protocol::Http2,
        &Arc::default(),
    )
    .await
}

/// GET.
pub(crate) async fn get(server: Server<'_>, path: &str) -> Result<Answer, HttpError> {
    send(server, Method::GET, &Question::of(path, "")).await
}

/// GET of an object of the API, which may be long.
pub(crate) async fn get_object(server: Server<'_>, path: &str) -> Result<Answer, HttpError> {
    let question = Question {
        bounds: Bounds::of(OBJECT_LIMIT),
        ..Question::of(path, "")
    };
    send(server, Method::GET, &question).await
}

/// POST with a JSON body.
pub(crate) async fn post(server: Server<'_>, path: &str, json: &str) -> Result<Answer, HttpError> {
    send(server, Method::POST, &Question::of(path, json)).await
}

/// The same with one header more, and another bound for the answer.
pub(crate) async fn post_with(
    server: Server<'_>,
    path: &str,
    json: &str,
    header: (&'static str, &'static str),
    bound: Duration,
) -> Result<Answer, HttpError> {
    let question = Question {
        header: Some(header),
        bounds: Bounds {
            limit: ANSWER_LIMIT,
            time: bound,
        },
        ..Question::of(path, json)
    };
    send(server, Method::POST, &question).await
}

/// What is asked.
struct Question<'a> {
    path: &'a str,
    json: &'a str,
    header: Option<(&'static str, &'static str)>,
    bounds: Bounds,
}

/// What an answer may take.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Bytes.
    limit: usize,
    /// From the request to the end of the answer.
    time: Duration,
}

impl Bounds {
    fn of(limit: usize) -> Self {
        let time = STEP_BOUND;
        Self { limit, time }
    }
}

impl<'a> Question<'a> {
    fn of(path: &'a str, json: &'a str) -> Self {
        Self {
            path,
            json,
            header: None,
            bounds: Bounds::of(ANSWER_LIMIT),
        }
    }
}

/// Any request for an object of the API, which may be long. Its host is the server's address.
pub(crate) async fn request_object(
    server: Server<'_>,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, HttpError> {
    let host = HeaderValue::try_from(server.address.to_string())
        .map_err(|error| no_response(server.address, &error))?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, HeaderValue::from_static(PROGRAM));
    send_request(server, request, Bounds::of(OBJECT_LIMIT)).await
}

async fn send(
    server: Server<'_>,
    method: Method,
    question: &Question<'_>,
) -> Result<Answer, HttpError> {
    let address = server.address;
    let mut request = Request::builder()
        .method(method)
        .uri(question.path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, PROGRAM)
        .header(ACCEPT, "application/json, */*;q=0.5")
        .header(CONTENT_TYPE, "application/json");
    if let Some((name, value)) = question.header {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::copy_from_slice(question.json.as_bytes())))
        .map_err(|error| no_response(address, &error))?;
    let response = send_request(server, request, question.bounds).await?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: String::from_utf8_lossy(response.body()).into_owned(),
    })
}

async fn send_request(
    server: Server<'_>,
    request: Request<Full<Bytes>>,
    bounds: Bounds,
) -> Result<Response<Bytes>, HttpError> {
    let address = server.address;
    match server.security {
        Security::Plain => {
            exchange(address, tls::connect_tcp(address).await?, request, bounds).await
        }
        Security::Unverified => {
            let stream = tls::connect(address, &address.host, Trust::KeyHolder, None).await?;
            exchange(address, stream, request, bounds).await
        }
        Security::Verified {
            anchors,
            server_name,
            identity,
        } => {
            let trust = Trust::Anchors(anchors);
            let stream = tls::connect(address, server_name, trust, identity).await?;
            exchange(address, stream, request, bounds)
                .await
                .map_err(|error| error.of_verified(identity.is_some()))
        }
    }
}

/// Sends and receives while driving the connection, in one task, so that nothing outlives the call. An answer that is longer than it
/// may be, or not as long as it says, is none.
async fn exchange<S>(
    address: &Address,
    stream: S,
    request: Request<Full<Bytes>>,
    bounds: Bounds,
) -> Result<Response<Bytes>, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let conversation = async {
        let (mut sender, mut connection) = http1::handshake(TokioIo::new(stream)).await?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = read_body(body, bounds.limit).await?;
            Ok::<_, Failure>(Response::from_parts(head, body))
        };
        let mut answer = pin!(answer);
        let mut open = true;
        let answer = poll_fn(|context| {
            loop {
                if let Poll::Ready(result) = answer.as_mut().poll(context) {
                    return Poll::Ready(result);
                }
                if !open {
                    return Poll::Pending;
                }
                match connection.poll_without_shutdown(context) {
                    Poll::Ready(Ok(())) => open = false,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await?;
        let rest = connection.into_parts().read_buf.len();
        if rest > 0 {
            return Err(format!("the answer is at least {rest} bytes longer than it says").into());
        }
        Ok::<_, Failure>(answer)
    };
    timeout(bounds.time, conversation)
        .await
        .map_err(|_| {
            HttpError::Tls(TlsError::Silent {
                address: address.clone(),
                bound: bounds.time,
            })
        })?
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => HttpError::TooLong {
                address: address.clone(),
                limit: bounds.limit,
            },
            None => no_response(address, error.as_ref()),
        })
}

/// hyper's errors, and those of this module.
type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    Ok(Limited::new(body, limit).collect().await?.to_bytes())
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
