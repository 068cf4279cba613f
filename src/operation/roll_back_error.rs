//! Why no earlier files were put back.

use super::put_back::RollBackObstacle;

/// Why nothing was put back.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RollBackError {
    /// No such generation is kept.
    #[error("no backup of an operation {id:?} is kept{}", alternatives(.kept))]
    NotKept {
        /// What was asked for.
        id: String,
        /// Those that are, oldest first.
        kept: Vec<String>,
    },
    /// Several generations' ids begin so.
    #[error("{id:?} is the beginning of several operations: {}; say more of it", .matching.join(", "))]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// What it may mean.
        matching: Vec<String>,
    },
    /// It held no certificate.
    #[error(
        "operation {0} changed no certificate, so there is nothing to put back; its manifests only went out and back"
    )]
    NothingInIt(String),
    /// Nothing is kept that is not in place already.
    #[error(
        "no operation is kept whose files could be put back: each is undone already, changed no certificate, or has lost its \
         keys to backup.max-age; see `kubecertd history`"
    )]
    NoLast,
    /// Something stands against it.
    #[error("{}; nothing was changed", sentences(.0))]
    Refused(Vec<RollBackObstacle>),
}

impl RollBackError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

fn sentences(obstacles: &[RollBackObstacle]) -> String {
    let sentences: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

fn alternatives(ids: &[String]) -> String {
    if ids.is_empty() {
        "; none is".to_owned()
    } else {
        format!("; there are those of {}", ids.join(", "))
    }
}
