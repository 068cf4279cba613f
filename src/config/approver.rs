//! Which kubelets get a serving certificate without a person.

use std::time::Duration;

use super::network::Network;

/// `[approver]`: what approves kubelets' requests for serving certificates, and what it goes by besides the Node, which its kubelet
/// writes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// `mode`
    pub mode: ApproverMode,
    /// `cidrs`: the networks of the nodes; every address asked for has to be in one of them.
    pub cidrs: Vec<Network>,
    /// `names`: what nodes may be called; every name asked for has to be one of these.
    pub names: Vec<NamePattern>,
    /// `dns`: whether every name has to lead to addresses of the node, and to no other.
    pub dns: bool,
    /// `rate`: how many are approved within a minute, 20.
    pub rate: usize,
    /// `node-age`: how long the Node has to be there, 1 min.
    pub node_age: Duration,
}

impl Default for Approver {
    fn default() -> Self {
        Self {
            mode: ApproverMode::Off,
            cidrs: Vec::new(),
            names: Vec::new(),
            dns: false,
            rate: 20,
            node_age: Duration::from_secs(60),
        }
    }
}

/// `approver.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApproverMode {
    /// Nobody is asked and nothing is judged, but by commands.
    Off,
    /// What would be done is said.
    Observe,
    /// What passes every check is approved, and what is proved to be abuse is denied.
    Approve,
}

/// `worker-*.example.com`: a `*` stands for any letters but dots, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

/// No name is longer.
const LONGEST: usize = 253;

impl NamePattern {
    /// # Errors
    /// Why it is none, with what would be right.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_letter = |letter: u8| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-.*".contains(&letter)
        };
        let example = "as in \"worker-*\" or \"*.example.com\"";
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(is_letter) {
            return Err(format!(
                "not a pattern of names; write small letters, digits, '-', '.' and '*', {example}"
            ));
        }
        if text.split('.').any(str::is_empty) {
            return Err(format!("a part between dots is empty; write {example}"));
        }
        if text.bytes().all(|letter| b"*.".contains(&letter)) {
            return Err(format!(
                "every name is such a one, so it checks nothing; write what the nodes' names have in common, {example}"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name is such a one.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (mut patterns, mut parts) = (self.0.split('.'), name.split('.'));
        loop {
            match (patterns.next(), parts.next()) {
                (None, None) => return true,
                (Some(pattern), Some(part)) if part_matches(pattern, part) => {}
                _ => return false,
            }
        }
    }
}

/// Of what is between two dots. Each piece between stars is taken where it is found first, and the last one at the end, so no name
/// makes this slow.
fn part_matches(pattern: &str, part: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == part;
    };
    let Some(mut left) = part.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match left.find(piece) {
            Some(at) => left = left.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_star_stands_for_letters_within_one_part_and_the_whole_name_has_to_match() {
        for (pattern, name, matches) in [
            ("worker-*", "worker-1", true),
            ("worker-*", "worker-", true),
            ("worker-*", "worker-1.example.com", false),
            ("worker-*", "my-worker-1", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "a.example.com.evil.org", false),
            ("node-*-eu-*", "node-1-eu-west", true),
            ("node-*-eu-*", "node-1-us-west", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "abb", true),
            ("cp1", "cp1", true),
            ("cp1", "cp10", false),
            ("w*w", "w", false),
        ] {
            let parsed = NamePattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn what_checks_nothing_and_what_is_no_name_is_refused() {
        for text in [
            "", "*", "*.*", "*.", "a..b", "Worker-*", "a b", "w\u{e4}", "a/b",
        ] {
            assert!(NamePattern::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics(pattern in "[a-c*.-]{1,20}", name: String) {
            if let Ok(pattern) = NamePattern::parse(&pattern) {
                let _ = pattern.matches(&name);
            }
        }
    }
}
