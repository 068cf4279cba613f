//! Copies of admin.conf, as people and scripts see them.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::files::{CopyFault, CopyState, FoundCopies, SeenCopy};
use crate::host::serialize_path;
use crate::pki::{date, serde_end};

/// The copies in the output of `plan` and `check-expiration --all`; nothing where there are none.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopiesView {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    copies: Vec<CopyView>,
    /// Where one may lie, and what lies there is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread_copies: Vec<UnreadCopyView>,
    /// Whether the daemon may do by itself what was not done with an earlier renewal.
    #[serde(skip)]
    is_begun: bool,
}

impl From<&FoundCopies> for CopiesView {
    fn from(found: &FoundCopies) -> Self {
        let unread = |(path, fault): &(PathBuf, CopyFault)| UnreadCopyView {
            path: path.clone(),
            fault: fault.clone(),
        };
        Self {
            copies: found.seen.iter().map(CopyView::from).collect(),
            unread_copies: found.unread.iter().map(unread).collect(),
            is_begun: found.is_begun,
        }
    }
}

impl CopiesView {
    /// One for each copy; `is_renewed` says whether an original of that name is about to be.
    pub(super) fn sentences(&self, is_renewed: impl Fn(&str) -> bool) -> Vec<String> {
        let of_copy = |copy: &CopyView| copy.sentence(is_renewed(&copy.original), self.is_begun);
        let of_unread = |one: &UnreadCopyView| {
            format!(
                "{}: it is not known whether it is a copy of admin.conf: {}",
                one.path.display(),
                one.fault
            )
        };
        let copies = self.copies.iter().map(of_copy);
        copies
            .chain(self.unread_copies.iter().map(of_unread))
            .collect()
    }

    /// File, original, end and state of each, for a table.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let of_unread = |one: &UnreadCopyView| {
            let (path, state) = (
                one.path.display().to_string(),
                format!("not known: {}", one.fault),
            );
            vec![path, String::new(), String::new(), state]
        };
        let copies = self.copies.iter().map(CopyView::cells);
        copies
            .chain(self.unread_copies.iter().map(of_unread))
            .collect()
    }
}

/// One copy in the output of `plan` and `check-expiration --all`. Fields are added to it, never renamed or removed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct CopyView {
    path: String,
    /// The user's name in it.
    user: String,
    /// What it is a copy of.
    original: String,
    #[serde(serialize_with = "serde_end::serialize")]
    not_after: Timestamp,
    /// `current`, `stale` (it has a certificate that was replaced, and is to be brought up to date) or `kept`.
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
    /// the original is about to be. `is_begun`: whether the daemon may do by itself what was not done with an earlier renewal.
    fn sentence(&self, is_renewed: bool, is_begun: bool) -> String {
        let Self { path, original, .. } = self;
        let end = date(self.not_after);
        match (&self.fault, self.state) {
            (Some(fault), _) => {
                format!("{original}: its copy {path} keeps its certificate, until {end}: {fault}")
            }
            (None, _) if is_renewed => format!("{original}: its copy {path} is renewed with it"),
            (None, "stale") => format!(
                "{original}: its copy {path} has a certificate that was replaced, until {end}, and is brought up to date by the \
                 daemon's next look{}",
                if is_begun {
                    ""
                } else {
                    " after that may begin something by itself again (renewal.enabled, `kubecertd unhold`), or by the original's next \
                     renewal"
                }
            ),
            (None, _) => format!("{original}: its copy {path} will be renewed with it"),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.path.clone(),
            self.original.clone(),
            date(self.not_after),
            self.fault
                .as_ref()
                .map_or_else(|| self.state.to_owned(), |fault| format!("kept: {fault}")),
        ]
    }
}

/// A place where a copy may lie, and why it is not known whether one does. Fields are added to it, never renamed or removed.
#[derive(Debug, Clone, Serialize)]
struct UnreadCopyView {
    #[serde(serialize_with = "serialize_path")]
    path: PathBuf,
    #[serde(flatten)]
    fault: CopyFault,
}
