//! Why the API did not do what it was asked for.

use std::time::Duration;

use kube::core::Status;

use super::transport::NoAnswer;
use crate::net::{Address, printable};

/// So much of what a server says is passed on, characters.
const MOST_WORDS: usize = 200;

/// Why the API did not do what it was asked for. Each is something else to whoever decides what follows.
#[derive(
    Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum ApiError {
    /// No answer that says anything: no connection, a server that cannot be verified, silence, half an answer.
    #[error("the API server at {server} does not answer: {reason}")]
    ApiUnreachable {
        /// Which.
        server: Address,
        /// What was seen.
        reason: String,
    },
    /// The credential is not accepted: it has expired, or another CA signed it.
    #[error("the API server at {server} does not accept the credential: {reason}")]
    ApiUnauthorized {
        /// Which.
        server: Address,
        /// What it said.
        reason: String,
    },
    /// The credential has no right to it.
    #[error("the API server at {server} does not permit it: {reason}")]
    ApiForbidden {
        /// Which.
        server: Address,
        /// What it said.
        reason: String,
    },
    /// There is no such object.
    #[error("the API server at {server} has no such object: {reason}")]
    ApiNotFound {
        /// Which.
        server: Address,
        /// What it said.
        reason: String,
    },
    /// Another write was before this one.
    #[error("another write was before this one: {reason}")]
    ApiConflict {
        /// What the server said.
        reason: String,
    },
    /// Its answer is longer than is read.
    #[error("the API server at {server} answers more than is read: {reason}")]
    ApiTooLong {
        /// Which.
        server: Address,
        /// What was seen.
        reason: String,
    },
    /// It has trouble of its own, or too much to do.
    #[error("the API server at {server} cannot do it now: {reason}")]
    ApiTrouble {
        /// Which.
        server: Address,
        /// What it said.
        reason: String,
        /// When it wants to be asked again, if it said that.
        retry_after: Option<Duration>,
    },
    /// It refuses what it was sent.
    #[error("the API server at {server} refuses what it was sent: {reason}")]
    ApiRefused {
        /// Which.
        server: Address,
        /// What it said.
        reason: String,
    },
}

impl ApiError {
    /// Its code, which never changes: `api-unreachable`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// Whether another API server may well answer otherwise.
    #[must_use]
    pub fn may_differ_elsewhere(&self) -> bool {
        matches!(
            self,
            Self::ApiUnreachable { .. }
                | Self::ApiUnauthorized { .. }
                | Self::ApiTooLong { .. }
                | Self::ApiTrouble { .. }
        )
    }

    /// There is none to be asked.
    #[must_use]
    pub fn no_server() -> Self {
        Self::ApiUnreachable {
            server: Address {
                host: String::new(),
                port: 0,
            },
            reason: "no address of an API server is known".to_owned(),
        }
    }

    pub(super) fn without_answer(failed: NoAnswer, server: &Address) -> Self {
        let (server, reason) = (server.clone(), failed.reason);
        if failed.is_refusal {
            Self::ApiUnauthorized { server, reason }
        } else if failed.is_too_long {
            Self::ApiTooLong { server, reason }
        } else {
            Self::ApiUnreachable { server, reason }
        }
    }

    pub(super) fn trouble(reason: &str, server: &Address) -> Self {
        Self::ApiTrouble {
            server: server.clone(),
            reason: short(reason),
            retry_after: None,
        }
    }

    pub(super) fn of_status(
        status: &Status,
        server: Address,
        retry_after: Option<Duration>,
    ) -> Self {
        let said = match status.message.as_str() {
            "" => &status.reason,
            message => message,
        };
        let reason = format!("status {}: {}", status.code, short(said));
        match status.code {
            401 => Self::ApiUnauthorized { server, reason },
            403 => Self::ApiForbidden { server, reason },
            404 => Self::ApiNotFound { server, reason },
            409 => Self::ApiConflict { reason },
            // Too many requests, or a version that it has forgotten: later, or elsewhere.
            410 | 429 | 500.. => Self::ApiTrouble {
                server,
                reason,
                retry_after,
            },
            _ => Self::ApiRefused { server, reason },
        }
    }
}

fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    printable(&words.join(" "))
        .chars()
        .take(MOST_WORDS)
        .collect()
}
