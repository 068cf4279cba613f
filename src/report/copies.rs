//! Copies of admin.conf, as people and scripts see them.

use jiff::Timestamp;
use serde::Serialize;

use crate::files::{CopyFault, CopyState, SeenCopy};
use crate::pki::{date, serde_end};

/// One copy in the output of `plan` and `check-expiration --all`. Fields are added to it, never renamed or removed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyView {
    path: String,
    /// The user's name in it.
    user: String,
    /// What it is a copy of.
    original: String,
    #[serde(serialize_with = "serde_end::serialize")]
    not_after: Timestamp,
    /// `current`, `stale` (it has a certificate that was replaced, and is about to be brought up to date) or `kept`.
    state: &'static str,
    /// Why it keeps its certificate; absent where it does not.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    fault: Option<CopyFault>,
}

impl From<&SeenCopy> for CopyView {
    fn from(copy: &SeenCopy) -> Self {
        let (state, fault) = match &copy.state {
            CopyState::Current => ("current", None),
            CopyState::Stale => ("stale", None),
            CopyState::Kept(fault) => ("kept", Some(fault.clone())),
        };
        Self {
            path: copy.path.to_string_lossy().into_owned(),
            user: copy.user.clone(),
            original: copy.of.to_string(),
            not_after: copy.not_after,
            state,
            fault,
        }
    }
}

impl CopyView {
    /// The original, the path and how the one stands to the other: `admin.conf: its copy /root/.kube/config …`. `is_renewed`: whether
    /// the original is about to be.
    pub(super) fn sentence(&self, is_renewed: bool) -> String {
        let Self { path, original, .. } = self;
        match (&self.fault, self.state) {
            (Some(fault), _) => format!(
                "{original}: its copy {path} has a certificate that was replaced, until {}: {fault}",
                date(self.not_after)
            ),
            (None, "stale") => format!(
                "{original}: its copy {path} has a certificate that was replaced, until {}, and is brought up to date by the daemon's \
                 next look",
                date(self.not_after)
            ),
            (None, _) if is_renewed => format!("{original}: its copy {path} is renewed with it"),
            (None, _) => format!("{original}: its copy {path} will be renewed with it"),
        }
    }

    /// What it is a copy of.
    pub(super) fn original(&self) -> &str {
        &self.original
    }

    /// File, original, end and state, for a table.
    pub(super) fn cells(&self) -> [String; 4] {
        [
            self.path.clone(),
            self.original.clone(),
            date(self.not_after),
            self.fault
                .as_ref()
                .map_or_else(|| self.state.to_owned(), |fault| format!("kept: {fault}")),
        ]
    }
}
