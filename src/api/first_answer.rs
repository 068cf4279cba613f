//! One API server after the other.

use super::ApiError;
use crate::net::Address;

/// Asks each server in turn until one answers in a way in which the others would not differ.
///
/// # Errors
/// [`ApiError`]: the last one's.
pub async fn first_answer<T>(
    servers: &[Address],
    ask: impl AsyncFn(&Address) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let mut last = None;
    for server in servers {
        match ask(server).await {
            Err(error) if error.may_differ_elsewhere() => last = Some(error),
            answer => return answer,
        }
    }
    Err(last.unwrap_or_else(ApiError::no_server))
}
