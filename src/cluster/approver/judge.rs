//! Whether a request may be approved, from values alone.

use super::case::{Case, Standing};
use super::judgement::Judgement;
use super::names;
use super::node_table::NodeSeen;
use super::reason::{Check, Reason};
use super::request::{KubeletRequest, RequestText, SERVING};
use crate::pki::{CertificateRequest, RequestError};

/// The group of all kubelets, and the organization in their certificates.
const NODES: &str = "system:nodes";
/// What a serving certificate is for; Kubernetes takes it with and without the second.
const USAGES: [&str; 3] = ["digital signature", "key encipherment", "server auth"];
const KEY_ENCIPHERMENT: &str = USAGES[1];
/// The same of the request itself.
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// What Kubernetes takes at least, and a leap year.
const LIFETIMES: std::ops::RangeInclusive<i32> = 600..=366 * 86_400;
/// A kubelet asks again after a quarter of an hour where nothing was signed.
const MOST_OF_NODE: usize = 4;

/// Does every check that can be done.
#[must_use]
pub fn judge(case: &Case<'_>) -> Judgement {
    let mut found = Judgement {
        looks_up: case.settings.dns,
        ..Judgement::default()
    };
    let request = case.request;
    if !request.is_pending() {
        let state = request.state.word();
        found.add(Reason::AlreadyDecided { state });
    }
    if request.signer != SERVING {
        let signer = request.signer.clone();
        found.add(Reason::OtherSigner { signer });
    }
    requestor(request, &mut found);
    usages(request, &mut found);
    if let Some(seconds) = request.expiration_seconds
        && !LIFETIMES.contains(&seconds)
    {
        found.add(Reason::LifetimeUnusual { seconds });
    }
    let node = node(case, &mut found);
    match parsed(request) {
        Ok(read) => {
            subject(request, &read, &mut found);
            contents(&read, &mut found);
            names::judge(case, node, &read.subject_alt_names, &mut found);
            found.names = read.subject_alt_names;
        }
        Err(reason) => {
            found.not_looked_at = beyond(reason.check());
            found.add(reason);
        }
    }
    rate(case, &mut found);
    found.reasons.sort_by_key(Reason::check);
    found
}

/// What cannot be checked of a request that could not be read.
fn beyond(failed: Check) -> Vec<Check> {
    let of_contents = [
        Check::Signature,
        Check::Subject,
        Check::Authority,
        Check::Key,
        Check::Names,
        Check::Forbidden,
        Check::NodeAddresses,
        Check::OtherNodes,
        Check::Networks,
        Check::Patterns,
        Check::Dns,
    ];
    let mut all = of_contents.to_vec();
    all.retain(|check| *check != failed);
    all
}

fn requestor(request: &KubeletRequest, found: &mut Judgement) {
    let is_node = request.node().is_some_and(crate::node::is_dns_name);
    if !is_node {
        let username = request.username.clone();
        found.add(Reason::RequestorNotNode { username });
    }
    if !request.groups.iter().any(|group| group == NODES) {
        found.add(Reason::RequestorNotInGroup);
    }
    if request.has_more {
        found.add(Reason::RequestTooLong { bytes: None });
    }
}

fn usages(request: &KubeletRequest, found: &mut Judgement) {
    let mut usages: Vec<&str> = request.usages.iter().map(String::as_str).collect();
    usages.sort_unstable();
    let without: Vec<&str> = USAGES
        .into_iter()
        .filter(|usage| *usage != KEY_ENCIPHERMENT)
        .collect();
    if usages == USAGES || usages == without {
        return;
    }
    let signs = |usage: &&str| matches!(*usage, "cert sign" | "crl sign");
    if usages.iter().any(signs) {
        found.add(Reason::AuthorityWanted);
    }
    let usages = request.usages.clone();
    found.add(Reason::OtherUsages { usages });
}

fn node<'a>(case: &Case<'a>, found: &mut Judgement) -> Option<&'a NodeSeen> {
    let name = case.request.node()?;
    let Some(node) = case.facts.nodes.get(name) else {
        let node = name.to_owned();
        found.add(Reason::NodeMissing { node });
        return None;
    };
    if node.is_going {
        found.add(Reason::NodeGoing);
    }
    // One of which it is not known, or that comes from the future, was made just now.
    let age = node
        .created
        .map_or(0, |made| case.now.duration_since(made).as_secs());
    let least = i64::try_from(case.settings.node_age.as_secs()).unwrap_or(i64::MAX);
    if age < least {
        found.add(Reason::NodeTooYoung {
            seconds: age.max(0),
        });
    }
    Some(node)
}

fn parsed(request: &KubeletRequest) -> Result<CertificateRequest, Reason> {
    let text = match &request.text {
        RequestText::Text(text) => text,
        RequestText::TooLong(bytes) => {
            return Err(Reason::RequestTooLong {
                bytes: Some(*bytes),
            });
        }
    };
    CertificateRequest::from_plain_pem(text).map_err(|error| match error {
        RequestError::Pem(reason) => Reason::RequestNotPlain { reason },
        RequestError::Der(reason) => Reason::RequestMalformed { reason },
        RequestError::Signature => Reason::SignatureWrong,
        RequestError::Unchecked(reason) => Reason::SignatureUnchecked { reason },
    })
}

fn subject(request: &KubeletRequest, read: &CertificateRequest, found: &mut Judgement) {
    // One that is missing is no plain subject.
    if let Some(common_name) = &read.common_name
        && *common_name != request.username
    {
        found.add(Reason::CommonNameOfOther {
            common_name: common_name.clone(),
            username: request.username.clone(),
        });
    }
    let organizations = &read.organizations;
    if organizations.iter().any(|one| one != NODES) {
        found.add(Reason::OtherGroups {
            organizations: organizations.clone(),
        });
    } else if organizations.len() != 1 {
        found.add(Reason::NodesGroupMissing);
    }
    if !read.has_plain_subject || !read.has_usual_strings() {
        found.add(Reason::SubjectUnusual {
            subject: read.subject.clone(),
        });
    }
}

fn contents(read: &CertificateRequest, found: &mut Judgement) {
    if read.asks_for_authority() {
        found.add(Reason::AuthorityWanted);
    } else if read.asks_for_more_key_usages() {
        found.add(Reason::OtherUsages {
            usages: vec!["of the request's own key usage".to_owned()],
        });
    }
    let wanted = &read.extended_key_usage;
    if wanted.iter().any(|usage| usage != SERVER_AUTH) {
        found.add(Reason::OtherUsages {
            usages: wanted.clone(),
        });
    }
    let others = read.other_extensions.iter().chain(&read.other_attributes);
    let numbers: Vec<String> = others.cloned().collect();
    if !numbers.is_empty() {
        found.add(Reason::OtherExtensions { numbers });
    }
    let key = read.key_kind();
    if !key.can_sign() {
        found.add(Reason::KeyWeak {
            key: key.to_string(),
        });
    }
    found.key = Some(key.to_string());
}

fn rate(case: &Case<'_>, found: &mut Judgement) {
    let Standing {
        approved,
        of_node,
        newer,
    } = case.standing;
    if *approved >= case.settings.rate {
        found.add(Reason::RateReached {
            approved: *approved,
        });
    }
    if *of_node >= MOST_OF_NODE {
        found.add(Reason::NodeRateReached { approved: *of_node });
    }
    if let Some(name) = newer {
        found.add(Reason::NewerRequest { name: name.clone() });
    }
}

#[cfg(test)]
mod tests;
