//! The requests of all kubelets at one time, as far as they are to be judged.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::case::Standing;
use super::request::{KubeletRequest, RequestState, RequestText};

/// The word of a condition by which an approval of the daemon's is known.
pub const AUTO_APPROVED: &str = "KubecertdAutoApproved";
/// So many requestors are looked at; more than Kubernetes has nodes.
const MOST_PENDING: usize = 10_000;
/// So much of requests is kept; bytes.
const MOST_TEXT: usize = 4 << 20;
/// Of one requestor so many times of approvals are kept: more than may be within an hour.
const MOST_APPROVALS: usize = 16;

/// Of every requestor the newest request that is pending and can be asked for by its name, and when how many were approved: whoever makes many crowds out nobody else's.
#[derive(Debug, Default)]
pub struct Backlog {
    newest: BTreeMap<String, KubeletRequest>,
    /// Approvals by this program, by requestor.
    approvals: BTreeMap<String, Vec<Timestamp>>,
    text: usize,
    /// How many are pending.
    pending: usize,
    left_out: usize,
}

impl Backlog {
    /// Takes one up.
    pub fn see(&mut self, request: KubeletRequest) {
        match &request.state {
            RequestState::Pending => {
                self.pending += 1;
                if request.has_plain_name() {
                    self.keep(request);
                }
            }
            RequestState::Approved { reason, at } | RequestState::Issued { reason, at } => {
                if let (AUTO_APPROVED, Some(at)) = (reason.as_str(), at) {
                    self.approved(&request.username, *at);
                }
            }
            RequestState::Denied | RequestState::Failed => {}
        }
    }

    /// One was approved at `at`, now or before.
    pub fn approved(&mut self, username: &str, at: Timestamp) {
        let approvals = self.approvals.entry(username.to_owned()).or_default();
        approvals.push(at);
        approvals.sort();
        // The oldest say least.
        if approvals.len() > MOST_APPROVALS {
            approvals.remove(0);
        }
    }

    fn keep(&mut self, request: KubeletRequest) {
        let size = text_size(&request);
        let before = self.newest.get(&request.username);
        if before.is_some_and(|before| order(before) >= order(&request)) {
            return;
        }
        let freed = before.map_or(0, text_size);
        let text = self.text - freed + size;
        if text > MOST_TEXT || (before.is_none() && self.newest.len() >= MOST_PENDING) {
            self.left_out += 1;
            return;
        }
        self.text = text;
        self.newest.insert(request.username.clone(), request);
    }

    /// Takes out what is to be judged, those that wait longest first. They are there once only, as they may be large together.
    pub fn take_newest(&mut self) -> Vec<KubeletRequest> {
        let mut all: Vec<KubeletRequest> = std::mem::take(&mut self.newest).into_values().collect();
        self.text = 0;
        all.sort_by(|one, other| order(one).cmp(&order(other)));
        all
    }

    /// How many are pending, those included that are not to be judged.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// How many requestors' are not looked at, since there are too many.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// What else counts where a request is judged at `now`.
    #[must_use]
    pub fn standing(&self, request: &KubeletRequest, now: Timestamp) -> Standing {
        let within = |age: SignedDuration| move |at: &&Timestamp| now.duration_since(**at) < age;
        let own = self.approvals.get(&request.username);
        let newest = self.newest.get(&request.username);
        let newer = newest.filter(|newest| order(newest) > order(request));
        Standing {
            approved: self
                .approvals
                .values()
                .flatten()
                .filter(within(SignedDuration::from_mins(1)))
                .count(),
            of_node: own.map_or(0, |own| {
                own.iter()
                    .filter(within(SignedDuration::from_hours(1)))
                    .count()
            }),
            newer: newer.map(|newer| newer.name.clone()),
        }
    }
}

/// Of two of one second the name decides.
fn order(request: &KubeletRequest) -> (Option<Timestamp>, &str) {
    (request.created, &request.name)
}

fn text_size(request: &KubeletRequest) -> usize {
    match &request.text {
        RequestText::Text(text) => text.len(),
        RequestText::TooLong(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(name: &str, user: &str, second: i64, state: RequestState) -> KubeletRequest {
        KubeletRequest {
            name: name.to_owned(),
            uid: name.to_owned(),
            created: Some(Timestamp::from_second(second).unwrap()),
            signer: String::new(),
            username: user.to_owned(),
            groups: Vec::new(),
            usages: Vec::new(),
            expiration_seconds: None,
            text: RequestText::Text(vec![b'x'; 1000]),
            state,
            has_more: false,
        }
    }

    #[test]
    fn of_each_requestor_the_newest_is_judged_and_nobody_crowds_out_others() {
        let mut backlog = Backlog::default();
        for number in 0..20_000 {
            let name = format!("flood-{number}");
            backlog.see(request(&name, "a", number, RequestState::Pending));
        }
        backlog.see(request("one", "b", 5, RequestState::Pending));
        assert_eq!((backlog.pending(), backlog.left_out()), (20_001, 0));
        let old = request("flood-7", "a", 7, RequestState::Pending);
        let now = Timestamp::from_second(30_000).unwrap();
        assert_eq!(
            backlog.standing(&old, now).newer.as_deref(),
            Some("flood-19999")
        );
        let newest = backlog.take_newest();
        let names: Vec<&str> = newest.iter().map(|request| request.name.as_str()).collect();
        assert_eq!(names, ["one", "flood-19999"]);
    }

    #[test]
    fn a_name_that_means_something_else_in_a_path_is_not_judged() {
        let mut backlog = Backlog::default();
        for name in ["csr-1?a=b", "a b", "a#b", "..", "", "a%2fb", "\u{fc}"] {
            backlog.see(request(name, name, 1, RequestState::Pending));
        }
        assert!(backlog.take_newest().is_empty());
        backlog.see(request("node-csr-Ab_1", "a", 1, RequestState::Pending));
        backlog.see(request("csr:node.1-A", "b", 1, RequestState::Pending));
        assert_eq!(backlog.take_newest().len(), 2);
    }

    #[test]
    fn no_more_text_is_kept_than_fits() {
        let mut backlog = Backlog::default();
        for number in 0..7000 {
            let user = format!("user-{number}");
            backlog.see(request(&user, &user, number, RequestState::Pending));
        }
        let left_out = backlog.left_out();
        let taken = backlog.take_newest().len();
        assert!(taken <= MOST_TEXT / 1000);
        assert_eq!(left_out, 7000 - taken);
    }

    #[test]
    fn approvals_of_the_daemon_count_for_a_minute_and_an_hour() {
        let now = Timestamp::from_second(100_000).unwrap();
        let approved = |second, reason: &str| RequestState::Issued {
            reason: reason.to_owned(),
            at: Some(Timestamp::from_second(second).unwrap()),
        };
        let mut backlog = Backlog::default();
        backlog.see(request("1", "a", 1, approved(99_990, AUTO_APPROVED)));
        backlog.see(request("2", "a", 1, approved(97_000, AUTO_APPROVED)));
        backlog.see(request("3", "a", 1, approved(90_000, AUTO_APPROVED)));
        backlog.see(request("4", "b", 1, approved(99_999, AUTO_APPROVED)));
        backlog.see(request("5", "a", 1, approved(99_999, "KubectlApprove")));
        let standing = backlog.standing(&request("6", "a", 2, RequestState::Pending), now);
        assert_eq!((standing.approved, standing.of_node), (2, 2));
        // One of a clock that is ahead counts until that moment is over.
        backlog.approved("a", Timestamp::from_second(100_500).unwrap());
        let standing = backlog.standing(&request("6", "a", 2, RequestState::Pending), now);
        assert_eq!((standing.approved, standing.of_node), (3, 3));
    }
}
