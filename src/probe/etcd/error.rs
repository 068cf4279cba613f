//! Why a member did not answer.

/// Why a member did not answer a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(tag = "code", content = "reason", rename_all = "kebab-case")]
pub enum EtcdError {
    /// Nothing on this node says by what it could be verified, or where it could be asked.
    #[error("cannot be asked: {0}")]
    NotAskable(String),
    /// No connection, no verified server, or silence.
    #[error("does not answer: {0}")]
    Silent(String),
    /// It answers that it cannot or will not.
    #[error("answers with an error: {0}")]
    Refused(String),
    /// It answers something that etcd does not.
    #[error("answers what cannot be understood: {0}")]
    NotUnderstood(String),
}

impl EtcdError {
    /// The same, where the gateway had been tried before.
    pub(super) fn after(self, gateway: &str) -> Self {
        let both = |reason| format!("{reason}; over its HTTP gateway before: {gateway}");
        match self {
            Self::NotAskable(reason) => Self::NotAskable(both(reason)),
            Self::Silent(reason) => Self::Silent(both(reason)),
            Self::Refused(reason) => Self::Refused(both(reason)),
            Self::NotUnderstood(reason) => Self::NotUnderstood(both(reason)),
        }
    }
}
