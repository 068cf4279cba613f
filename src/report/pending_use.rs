//! What a component has still to show, as people and scripts see it.

use std::fmt;

use jiff::Timestamp;

use crate::pki::date;

/// A component that reads its new files by itself and has not yet shown that it did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingUse {
    /// Which.
    pub component: String,
    /// Of which certificates.
    pub certificates: Vec<String>,
    /// The first end of what it may go on with.
    pub old_not_after: Timestamp,
    /// What is done about it.
    #[serde(flatten)]
    pub next: PendingNext,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "next", content = "at", rename_all = "kebab-case")]
pub enum PendingNext {
    /// The daemon asks it again then.
    AskAgain(Timestamp),
    /// The daemon asks it when it runs.
    AskWhenRunning,
    /// The daemon restarts it.
    Restart,
    /// It is to be restarted, and the configuration leaves that to others.
    RestartByHand,
}

impl fmt::Display for PendingUse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            component,
            certificates,
            old_not_after,
            next,
        } = self;
        let ends = date(*old_not_after);
        write!(
            out,
            "{component} has not yet shown that it uses the new {}; ",
            certificates.join(", ")
        )?;
        match next {
            PendingNext::AskAgain(at) => {
                write!(out, "asked again at {}; the old one ends {ends}", date(*at))
            }
            PendingNext::AskWhenRunning => write!(
                out,
                "the daemon asks it when it runs; the old one ends {ends}"
            ),
            PendingNext::Restart => {
                write!(out, "it is to be restarted; the old one ends {ends}")
            }
            PendingNext::RestartByHand => write!(
                out,
                "`kubecertd restart {component}` takes it into use; the old one ends {ends}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_status_file_gives_back_what_was_written() {
        for (next, word) in [
            (PendingNext::AskAgain(Timestamp::UNIX_EPOCH), "ask-again"),
            (PendingNext::AskWhenRunning, "ask-when-running"),
            (PendingNext::Restart, "restart"),
            (PendingNext::RestartByHand, "restart-by-hand"),
        ] {
            let one = PendingUse {
                component: "etcd".to_owned(),
                certificates: vec!["etcd-peer".to_owned()],
                old_not_after: Timestamp::UNIX_EPOCH,
                next,
            };
            let document = serde_json::to_value(&one).unwrap();
            assert_eq!(document["next"], word);
            let asks = word == "ask-again";
            assert_eq!(document.get("at").is_some(), asks, "{document}");
            assert_eq!(serde_json::from_value::<PendingUse>(document).unwrap(), one);
        }
    }
}
