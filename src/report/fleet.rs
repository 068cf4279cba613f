//! What `kubecertd fleet` prints.

use jiff::Timestamp;

use super::columns;
use super::duration::human_duration;
use crate::cluster::{Fleet, Halt, NodeReport};

/// All control planes, as one of them sees them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetView {
    /// From when this is.
    pub seen: Timestamp,
    /// Why it is not from now; absent where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The code of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The node whose failure holds the others up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
    /// One each, by name.
    pub nodes: Vec<FleetRow>,
    /// How many reports were not understood, or were too many.
    pub unread: usize,
}

/// One control plane.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetRow {
    /// Its name.
    pub node: String,
    /// Whether it is this one, which knows that of itself and not from the API.
    pub is_own: bool,
    /// What it says of itself; `null` where it says nothing.
    pub report: Option<NodeReport>,
}

impl FleetView {
    /// One row for each that says something or is known to be there. What this node knows of itself is newer than what it wrote.
    #[must_use]
    pub fn new(seen: Timestamp, fleet: &Fleet, others: &[String], own: &NodeReport) -> Self {
        let mut fleet = fleet.clone();
        fleet.put(own);
        let silent = others
            .iter()
            .filter(|name| fleet.node(name).is_none())
            .map(|name| FleetRow {
                node: name.clone(),
                is_own: false,
                report: None,
            });
        let mut nodes: Vec<FleetRow> = silent.collect();
        nodes.extend(fleet.nodes.iter().map(|report| FleetRow {
            node: report.node.clone(),
            is_own: report.node == own.node,
            report: Some(report.clone()),
        }));
        nodes.sort_by(|one, other| one.node.cmp(&other.node));
        Self {
            seen,
            failure: None,
            code: None,
            halted: None,
            nodes,
            unread: fleet.unread,
        }
    }

    /// The table.
    #[must_use]
    pub fn to_table(&self, now: Timestamp) -> String {
        let titles = [
            "NODE",
            "VERSION",
            "NEXT RENEWAL",
            "EARLIEST END",
            "LAST",
            "HEARD",
        ];
        let mut rows = vec![titles.map(str::to_owned)];
        rows.extend(self.nodes.iter().map(|row| cells(row, now)));
        columns(&rows)
    }
}

fn cells(row: &FleetRow, now: Timestamp) -> [String; 6] {
    let none = || "-".to_owned();
    let Some(report) = &row.report else {
        let node = row.node.clone();
        return [node, none(), none(), none(), none(), "never".to_owned()];
    };
    let day =
        |moment: Option<Timestamp>| moment.map_or_else(none, |at| at.strftime("%F").to_string());
    // What it failed for says as well that it failed.
    let last = report.code.clone().or_else(|| report.last_result.clone());
    [
        report.node.clone(),
        report.version.clone(),
        day(report.next_due),
        day(report.first_end),
        last.unwrap_or_else(none),
        human_duration(now.duration_since(report.written)),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn report(node: &str) -> NodeReport {
        NodeReport {
            node: node.to_owned(),
            version: "1.0.0".to_owned(),
            next_due: Some(at("2027-10-27T03:12:00Z")),
            first_end: Some(at("2027-11-26T03:12:00Z")),
            last_result: Some("done".to_owned()),
            code: None,
            last_finished: None,
            written: at("2026-11-26T03:00:00Z"),
        }
    }

    #[test]
    fn each_has_a_row_and_those_that_say_nothing_too() {
        let failed = NodeReport {
            last_result: Some("rolled-back".to_owned()),
            code: Some("kubelet-not-restarted".to_owned()),
            written: at("2026-11-24T03:00:00Z"),
            ..report("cp2")
        };
        let fleet = Fleet {
            nodes: vec![report("cp1"), failed],
            unread: 0,
        };
        let now = at("2026-11-26T03:05:00Z");
        let own = NodeReport {
            version: "1.0.1".to_owned(),
            written: now,
            ..report("cp1")
        };
        let others = ["cp2".to_owned(), "cp3".to_owned()];
        let view = FleetView::new(now, &fleet, &others, &own);
        let table = view.to_table(now);
        assert_eq!(
            table.lines().collect::<Vec<_>>(),
            [
                "NODE   VERSION   NEXT RENEWAL   EARLIEST END   LAST                    HEARD",
                "cp1    1.0.1     2027-10-27     2027-11-26     done                    0s",
                "cp2    1.0.0     2027-10-27     2027-11-26     kubelet-not-restarted   2d",
                "cp3    -         -              -              -                       never",
            ]
        );
        assert!(table.lines().all(|line| line.len() <= 80));
        assert!(view.nodes[0].is_own && !view.nodes[1].is_own);
    }
}
