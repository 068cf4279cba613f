//! What the approver of kubelets' requests does, as the status shows it.

use jiff::Timestamp;

/// What it saw and did last.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApproverStatus {
    /// `approver.mode`
    pub mode: String,
    /// Whether this control plane is the one that judges.
    pub active: bool,
    /// Which one is, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// How many requests are pending.
    pub pending: usize,
    /// How many of those that were judged are left to a person, or would be.
    pub left: usize,
    /// How many were approved since the daemon was started.
    pub approved: u64,
    /// How many were denied.
    pub denied: u64,
    /// Why nothing could be judged last; absent where it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The code of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When that changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl ApproverStatus {
    /// For a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        if let Some(failure) = &self.failure {
            return format!("kubelets' requests cannot be judged now: {failure}");
        }
        if !self.active {
            return match &self.holder {
                Some(holder) => format!("{holder} judges kubelets' requests"),
                None => {
                    "it is not known yet which control plane judges kubelets' requests".to_owned()
                }
            };
        }
        let does = if self.mode == "approve" {
            "judges kubelets' requests"
        } else {
            "only says what it would do about kubelets' requests"
        };
        format!(
            "{does}: {} pending, {} of them left to a person; {} approved and {} denied since the start",
            self.pending, self.left, self.approved, self.denied
        )
    }
}
