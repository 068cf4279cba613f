//! A certificate that a component has only in memory, as the status has it.

use jiff::Timestamp;

use crate::pki::serde_end;

/// One such certificate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InMemoryStatus {
    /// As people see it: `kube-apiserver (in memory)`.
    pub name: String,
    /// Whose it is.
    pub component: String,
    /// When it ends; a restart of the component makes another.
    #[serde(with = "serde_end")]
    pub not_after: Timestamp,
    /// From when on its component is to be restarted.
    pub due_at: Timestamp,
    /// What was to be done about it at the last look.
    pub next: InMemoryNext,
}

/// What is to be done about one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InMemoryNext {
    /// It is not due.
    Wait,
    /// The daemon restarts its component.
    Restart,
    /// Its component is to be restarted, and the configuration leaves that to others.
    RestartByHand,
    /// It is due although its component was restarted within a day: what shows it is not what was restarted.
    RestartedInVain,
}

impl InMemoryNext {
    /// For the status table.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Wait => "fine",
            Self::Restart => "to be restarted",
            Self::RestartByHand => "to be restarted by hand",
            Self::RestartedInVain => "restarted in vain",
        }
    }
}
