//! What each control plane says of itself: one annotation of the turn's Lease each, which the protocol does not go by.
//!
//! Whoever may write the Lease can write anything into them. They are read within bounds, shown escaped, and decide nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::host::{digest, printable};

/// What comes before a node's name in the key of its annotation.
const PREFIX: &str = "node.kubecertd.io/";
/// The API takes no longer names in a key.
const LONGEST_NAME: usize = 63;
/// Nor is a node's name longer.
const LONGEST_NODE: usize = 253;
/// So many are read; etcd itself advises against more than seven members.
const MOST: usize = 32;
/// A longer one is none of this program's; bytes.
const LONGEST: usize = 1024;
/// So much of each text is shown, characters.
const LONGEST_TEXT: usize = 64;
/// A node whose report is younger than this is there.
const FRESH: SignedDuration = SignedDuration::from_hours(48);
/// An unchanged report is written again after so long, as a sign of life.
const REFRESH: SignedDuration = SignedDuration::from_hours(24);

/// What one control plane says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReport {
    /// Its name.
    pub node: String,
    /// Its kubecertd's version.
    pub version: String,
    /// When it renews something next; absent where it renews nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due: Option<Timestamp>,
    /// The first end of a certificate, of one of its chain or of its CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_end: Option<Timestamp>,
    /// How its last operation ended; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_result: Option<String>,
    /// What that one failed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_finished: Option<Timestamp>,
    /// When this was written.
    pub written: Timestamp,
}

/// What all of them say.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Fleet {
    /// One each, by name.
    pub nodes: Vec<NodeReport>,
    /// How many annotations were not understood, or were too many.
    pub unread: usize,
}

impl NodeReport {
    /// The annotation that has it.
    pub(super) fn annotation(&self) -> (String, Option<String>) {
        // Timestamps and texts are always text.
        let text = serde_json::to_string(self).unwrap_or_default();
        (key(&self.node), Some(text))
    }

    /// Whether it has to be written, where the Lease has `before` of this node: where it says something else, or has not been
    /// said for a day.
    #[must_use]
    pub fn is_news(&self, before: Option<&Self>) -> bool {
        let Some(before) = before else {
            return true;
        };
        let same = Self {
            written: self.written,
            ..before.clone()
        };
        let age = self.written.duration_since(before.written);
        same != *self || age > REFRESH || age < SignedDuration::ZERO
    }

    fn shown(self) -> Self {
        Self {
            version: short(&self.version),
            last_result: self.last_result.as_deref().map(short),
            code: self.code.as_deref().map(short),
            ..self
        }
    }
}

impl Fleet {
    /// What an object's annotations say.
    pub(super) fn of(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let mut fleet = Self::default();
        let own = annotations.into_iter().flatten();
        for (key, text) in own.filter(|(key, _)| key.starts_with(PREFIX)) {
            match understood(key, text) {
                Some(report) if fleet.nodes.len() < MOST => fleet.nodes.push(report.shown()),
                _ => fleet.unread += 1,
            }
        }
        fleet.nodes.sort_by(|one, other| one.node.cmp(&other.node));
        fleet
    }

    /// What that node says.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeReport> {
        self.nodes.iter().find(|report| report.node == name)
    }

    /// What a node says now, in the place of what it said before.
    pub fn put(&mut self, report: &NodeReport) {
        self.nodes.retain(|one| one.node != report.node);
        self.nodes.push(report.clone());
        self.nodes.sort_by(|one, other| one.node.cmp(&other.node));
    }

    /// The nodes that may be gone, as they have said nothing for two days.
    pub(super) fn silent(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let old = move |report: &&NodeReport| now.duration_since(report.written) > FRESH;
        self.nodes
            .iter()
            .filter(old)
            .map(|report| report.node.as_str())
    }
}

/// The key of a node's annotation. A name that is too long for one is cut off, and told from others by its digest.
pub(super) fn key(node: &str) -> String {
    if node.len() <= LONGEST_NAME {
        return format!("{PREFIX}{node}");
    }
    let begin: String = node.chars().take(LONGEST_NAME - 18).collect();
    let mark: String = digest(node.as_bytes()).chars().take(16).collect();
    format!("{PREFIX}{begin}-x{mark}")
}

fn understood(written: &str, text: &str) -> Option<NodeReport> {
    let report: NodeReport = (text.len() <= LONGEST)
        .then(|| serde_json::from_str(text).ok())
        .flatten()?;
    (is_name(&report.node) && key(&report.node) == written).then_some(report)
}

/// Whether a node may be called so (RFC 1123): such a name does no harm in a path, a log or a terminal.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<u8>| byte.is_some_and(is_letter);
    text.len() <= LONGEST_NODE
        && ends(text.bytes().next())
        && ends(text.bytes().last())
        && text
            .bytes()
            .all(|byte| is_letter(byte) || matches!(byte, b'-' | b'.'))
}

fn short(text: &str) -> String {
    let text: String = text.chars().take(LONGEST_TEXT).collect();
    printable(&text).into_owned()
}
