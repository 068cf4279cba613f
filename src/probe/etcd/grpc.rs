//! One question over gRPC, for members whose HTTP gateway is switched off or listens elsewhere.

use std::sync::{Mutex, PoisonError};

use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::error::EtcdError;
use crate::net::{STEP_BOUND, Server, connect_http2, printable};

/// The longest answer; bytes. A list of members takes a few hundred.
const MESSAGE_LIMIT: usize = 64 * 1024;

/// Asks over a fresh connection, whose server is verified before anything is shown to it.
pub(super) async fn ask<Q, A>(
    server: Server<'_>,
    path: &'static str,
    question: Q,
) -> Result<A, EtcdError>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let address = server.address;
    let silent = |reason: String| EtcdError::Silent(printable(&format!("{address}: {reason}")));
    let stream = connect_http2(server)
        .await
        .map_err(|error| EtcdError::Silent(printable(&error.to_string())))?;
    // One connection and no other: a server that took its place would not have been verified.
    let stream = Mutex::new(Some(TokioIo::new(stream)));
    let connector = service_fn(move |_| {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { stream.ok_or_else(|| std::io::Error::other("it hung up")) }
    });
    let exchange = async {
        // The address is never used, but becomes the authority of the request.
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .map_err(|error| silent(innermost(&error)))?;
        let mut client = Grpc::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
        client
            .ready()
            .await
            .map_err(|error| silent(innermost(&error)))?;
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        client
            .unary(
                Request::new(question),
                PathAndQuery::from_static(path),
                codec,
            )
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| failed(&address.to_string(), &status))
    };
    timeout(STEP_BOUND, exchange).await.unwrap_or_else(|_| {
        Err(silent(format!(
            "no answer within {} s",
            STEP_BOUND.as_secs()
        )))
    })
}

fn failed(address: &str, status: &Status) -> EtcdError {
    let message: String = printable(status.message()).chars().take(200).collect();
    let reason = format!("{address}: {}: {message}", status.code());
    match status.code() {
        // What tonic says of an answer that is none.
        Code::Internal | Code::OutOfRange => EtcdError::NotUnderstood(reason),
        Code::Unknown if std::error::Error::source(status).is_some() => EtcdError::Silent(reason),
        _ => EtcdError::Refused(reason),
    }
}

/// The deepest cause; tonic's own words (`transport error`) say nothing.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
