//! Findings as people and scripts see them.

use jiff::Timestamp;
use serde_json::Value;

use super::coded::fields;
use crate::host::printable;

use crate::checks::{Check, Effect, Finding};

/// What `kubecertd preflight -o json` prints. Fields are added to it, never renamed or removed.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreflightView {
    api_version: &'static str,
    kind: &'static str,
    at: Timestamp,
    checks: Vec<Row>,
}

#[derive(Debug, Clone, serde::Serialize)]
struct Row {
    check: Check,
    result: &'static str,
    why: String,
    /// What was found, for scripts; absent where that is nothing, or has no fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
}

impl PreflightView {
    /// One row per finding, and one per check that passed. `asked`: whether a running node was asked, too.
    #[must_use]
    pub fn new(findings: &[Finding], asked: bool, at: Timestamp) -> Self {
        let rows = Check::ALL.into_iter().flat_map(|check| {
            let mut rows: Vec<Row> = findings
                .iter()
                .filter(|finding| finding.check() == check)
                .map(row)
                .collect();
            if rows.is_empty() {
                let (result, why) = if asked || !check.is_asked() {
                    ("pass", check.passed())
                } else {
                    (
                        "not-asked",
                        "no pod is restarted here, so nothing was asked",
                    )
                };
                rows.push(Row {
                    check,
                    result,
                    why: why.to_owned(),
                    code: None,
                    fields: None,
                    effect: None,
                });
            }
            rows
        });
        Self {
            api_version: "kubecertd/v1alpha1",
            kind: "Preflight",
            at,
            checks: rows.collect(),
        }
    }

    /// What `kubecertd preflight` prints.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut text = line("CHECK", "RESULT", "WHY");
        for row in &self.checks {
            text.push_str(&line(row.check.name(), row.result, &row.why));
        }
        text
    }
}

fn row(finding: &Finding) -> Row {
    Row {
        check: finding.check(),
        result: if finding.cause.is_unknown() {
            "unreadable"
        } else {
            finding.severity.name()
        },
        why: finding.to_string(),
        code: Some(finding.cause.code()),
        fields: fields(&finding.cause),
        effect: Some(finding.effect.clone()).filter(|effect| *effect != Effect::AsItsSeverity),
    }
}

/// The widths are those of the longest names there are, which never change.
fn line(check: &str, result: &str, why: &str) -> String {
    format!("{check:<13}   {result:<10}   {}\n", printable(why))
}
