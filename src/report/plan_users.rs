//! Who is told of certificates that are not kubeadm's, as a plan says it.

use super::columns::columns;

/// Somebody who is told of new files.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PlanUser {
    /// Who: `haproxy.service`, `the command /usr/local/sbin/tell`.
    pub user: String,
    /// `reload`, `restart` or `run`.
    pub action: &'static str,
    /// Of which certificates.
    pub certificates: Vec<String>,
}

/// A table of them; nothing without any.
pub(super) fn in_words(users: &[PlanUser]) -> String {
    if users.is_empty() {
        return String::new();
    }
    let mut rows = vec![["IS TOLD", "ACTION", "USES"].map(str::to_owned)];
    rows.extend(users.iter().map(|one| {
        [
            one.user.clone(),
            one.action.to_owned(),
            one.certificates.join(", "),
        ]
    }));
    format!("\n{}", columns(&rows))
}
