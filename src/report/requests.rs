//! Certificate requests of the cluster, as `kubectl get csr` shows them, and what the approver's checks say of one.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::coded::Coded;
use super::columns::columns;
use super::duration::human_duration;
use crate::cluster::{ApproverCheck, CheckResult, Judgement, KubeletRequest, Verdict};
use crate::host::printable;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRow {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Who is to sign it.
    pub signer: String,
    /// Who asked.
    pub requestor: String,
    /// The lifetime asked for, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_seconds: Option<i32>,
    /// What became of it: `Pending`, `Approved,Issued`
    pub condition: &'static str,
}

impl RequestRow {
    fn of(request: &KubeletRequest) -> Self {
        Self {
            name: request.name.clone(),
            created: request.created,
            signer: request.signer.clone(),
            requestor: request.username.clone(),
            expiration_seconds: request.expiration_seconds,
            condition: request.state.word(),
        }
    }

    fn age(&self, now: Timestamp) -> String {
        self.created.map_or_else(
            || "<unknown>".to_owned(),
            |created| human_duration(now.duration_since(created)),
        )
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestsView {
    api_version: &'static str,
    kind: &'static str,
    /// In the order in which they were made.
    pub requests: Vec<RequestRow>,
}

impl RequestsView {
    /// Of what the API has.
    #[must_use]
    pub fn new(requests: &[KubeletRequest]) -> Self {
        let mut requests: Vec<RequestRow> = requests.iter().map(RequestRow::of).collect();
        requests.sort_by(|one, other| (one.created, &one.name).cmp(&(other.created, &other.name)));
        Self {
            api_version: "kubecertd/v1alpha1",
            kind: "Requests",
            requests,
        }
    }

    /// For people, with kubectl's columns.
    #[must_use]
    pub fn to_table(&self, now: Timestamp) -> String {
        if self.requests.is_empty() {
            return "There are no certificate requests.\n".to_owned();
        }
        let titles = [
            "NAME",
            "AGE",
            "SIGNERNAME",
            "REQUESTOR",
            "REQUESTEDDURATION",
            "CONDITION",
        ];
        let mut rows = vec![titles.map(str::to_owned)];
        rows.extend(self.requests.iter().map(|row| {
            let lifetime = row.expiration_seconds.map_or_else(
                || "<none>".to_owned(),
                |seconds| human_duration(SignedDuration::from_secs(seconds.into())),
            );
            [
                row.name.clone(),
                row.age(now),
                row.signer.clone(),
                row.requestor.clone(),
                lifetime,
                row.condition.to_owned(),
            ]
        }));
        columns(&rows)
    }
}

/// One of them, with every check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewView {
    api_version: &'static str,
    kind: &'static str,
    /// The request.
    pub request: RequestRow,
    /// The names and addresses that it asks for, where they can be read.
    pub names: Vec<String>,
    /// The kind of its key, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the approver would do: `approve`, `leave`, `deny`
    pub verdict: &'static str,
    /// Each check.
    pub checks: Vec<CheckRow>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRow {
    /// Its code.
    pub check: &'static str,
    /// `passed`, `doubt`, `abuse`, `not-looked-at` or `not-asked-for`
    pub result: &'static str,
    /// What speaks against it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Coded>,
    /// What holds where it passed.
    #[serde(skip)]
    holds: &'static str,
}

impl ReviewView {
    /// Of what was found.
    #[must_use]
    pub fn new(request: &KubeletRequest, judgement: &Judgement) -> Self {
        Self {
            api_version: "kubecertd/v1alpha1",
            kind: "RequestReview",
            request: RequestRow::of(request),
            names: judgement.names.iter().map(ToString::to_string).collect(),
            key: judgement.key.clone(),
            verdict: match judgement.verdict() {
                Verdict::Approve => "approve",
                Verdict::Leave(_) => "leave",
                Verdict::Deny(_) => "deny",
            },
            checks: ApproverCheck::ALL
                .into_iter()
                .map(|check| CheckRow::of(check, judgement))
                .collect(),
        }
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self, now: Timestamp) -> String {
        let RequestRow {
            name,
            signer,
            requestor,
            condition,
            ..
        } = &self.request;
        let names = match self.names.as_slice() {
            [] => "nothing that can be read".to_owned(),
            names => names.join(", "),
        };
        let key = self.key.as_deref().unwrap_or("none that can be read");
        let heads = [
            (
                "request",
                format!("{name}, {condition}, {} old", self.request.age(now)),
            ),
            ("signer", signer.clone()),
            ("requestor", requestor.clone()),
            ("asks for", names),
            ("key", key.to_owned()),
        ];
        let heads = heads.map(|(title, text)| [title.to_owned(), text]);
        let mut rows = vec![["RESULT", "CHECK", "WHAT"].map(str::to_owned)];
        for check in &self.checks {
            rows.extend(check.rows());
        }
        format!("{}\n{}\n{}\n", columns(&heads), columns(&rows), self.end())
    }

    fn end(&self) -> &'static str {
        match self.verdict {
            "approve" => "It passes every check.",
            "deny" => "It is proved to be abuse of a node's credential.",
            _ => "It does not pass every check.",
        }
    }

    /// What speaks against it, a sentence each, which cannot end a line.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let reasons = self.checks.iter().flat_map(|check| &check.reasons);
        reasons
            .map(|reason| format!("{} ({})", printable(&reason.message), reason.code))
            .collect()
    }
}

impl CheckRow {
    fn of(check: ApproverCheck, judgement: &Judgement) -> Self {
        let (result, reasons) = match judgement.result(check) {
            CheckResult::Passed => ("passed", Vec::new()),
            CheckResult::NotLookedAt => ("not-looked-at", Vec::new()),
            CheckResult::NotAskedFor => ("not-asked-for", Vec::new()),
            CheckResult::Failed(reasons) if reasons.iter().any(|reason| reason.is_proof()) => {
                ("abuse", reasons)
            }
            CheckResult::Failed(reasons) => ("doubt", reasons),
        };
        Self {
            check: check.code(),
            result,
            holds: check.words(),
            reasons: reasons
                .into_iter()
                .map(|reason| Coded::of(reason.code(), reason))
                .collect(),
        }
    }

    fn rows(&self) -> Vec<[String; 3]> {
        let row = |what: String| [self.result.to_owned(), self.check.to_owned(), what];
        if self.result == "passed" {
            return vec![row(self.holds.to_owned())];
        }
        if self.reasons.is_empty() {
            return vec![row(String::new())];
        }
        let reasons = self.reasons.iter();
        reasons
            .map(|reason| row(format!("{} ({})", reason.message, reason.code)))
            .collect()
    }
}
