//! Asking a program for a certificate.
//!
//! The program is root's, by the configuration, but what it prints may come from a server far away. It is given the request and a
//! description, never a key; its time and output are limited, it has none of the daemon's capabilities, and what it answers is no
//! more trusted than a file in the inbox. As uid 0 it still owns root's files, so it is run only where root alone can have written it.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::answer::Answer;
use super::open_order::OpenOrder;
use crate::host::{Ended, Manner, Program, printable, unfit};
use crate::node::Inventory;
use crate::pki::{Certificate, SubjectAltName, rfc3339};

/// As much is read of what it prints.
const OUTPUT_LIMIT: usize = 256 * 1024;
/// sysexits(3): EX_TEMPFAIL.
const ASK_AGAIN: i32 = 75;
/// When it says nothing else, it is asked again after so long.
const DEFAULT_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// The longest token that is kept.
const LONGEST_TOKEN: usize = 1024;
/// As much is shown of a reason.
const LONGEST_REASON: usize = 500;

/// Runs the program for an order; `None` where it was ended because `stop` says so.
pub(super) async fn ask(
    inventory: &Inventory,
    (name, words, time_limit): (&str, &[String], Duration),
    order: &OpenOrder,
    request: &str,
    (token, validity): (Option<&str>, Duration),
    stop: Option<&watch::Receiver<bool>>,
) -> Option<Answer> {
    let refused = |reason: String| {
        Some(Answer::Refused {
            reason,
            is_slow: false,
        })
    };
    let Some((path, arguments)) = words.split_first() else {
        return refused("no command is configured".to_owned());
    };
    if let Some(reason) = unfit(Path::new(path)) {
        return refused(format!("{path} is not run: {reason}"));
    }
    let mut program = Program::new(Path::new(path), time_limit)
        .input(request.as_bytes().to_vec())
        .output_limit(OUTPUT_LIMIT)
        .without_capabilities();
    for argument in arguments {
        program = program.argument(argument);
    }
    for (name, value) in description(inventory, name, order, (token, validity)) {
        program = program.variable(name, value);
    }
    match program.run(stop, &mut |_, _| {}).await {
        Ok(ended) if ended.manner == Manner::Stopped => None,
        Ok(ended) => Some(answer(&ended)),
        Err(error) => refused(not_run(path, &error)),
    }
}

/// Why it cannot be run, and what to do. Where the unit does not allow to run it, the system says what it says of a file that is not
/// executable.
fn not_run(path: &str, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "; correct its path in the configuration, or install it",
        _ if error.raw_os_error() == Some(nix::libc::EACCES) => {
            "; make it executable, and have the unit allow it by ExecPaths= in a drop-in"
        }
        _ => "",
    };
    format!("{path} cannot be run: {error}{remedy}")
}

/// What the program is told in its environment. Lists are separated by commas; names that have one in them, or control
/// characters, are left out: the request has them all.
fn description(
    inventory: &Inventory,
    issuer: &str,
    order: &OpenOrder,
    (token, validity): (Option<&str>, Duration),
) -> Vec<(&'static str, String)> {
    let entry = inventory.entry(&order.certificate);
    let leaf = entry
        .and_then(|entry| entry.present())
        .map(|present| &present.leaf);
    let authority = entry.and_then(|entry| entry.authority);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let list = |of: fn(&Certificate) -> Vec<String>| {
        let words = leaf.map(of).unwrap_or_default();
        let plain = |word: &String| !word.contains(|one: char| one == ',' || one.is_control());
        words
            .into_iter()
            .filter(plain)
            .collect::<Vec<_>>()
            .join(",")
    };
    vec![
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("KUBECERTD_ISSUER", issuer.to_owned()),
        ("KUBECERTD_CERTIFICATE", order.certificate.to_string()),
        (
            "KUBECERTD_AUTHORITY",
            text(authority.map(crate::pki::AuthorityId::name)),
        ),
        ("KUBECERTD_NODE", text(inventory.node_name.as_deref())),
        (
            "KUBECERTD_COMMON_NAME",
            text(leaf.and_then(|leaf| leaf.common_name.as_deref())),
        ),
        (
            "KUBECERTD_ORGANIZATIONS",
            list(|leaf| leaf.organizations.clone()),
        ),
        ("KUBECERTD_DNS_NAMES", list(dns_names)),
        ("KUBECERTD_IP_ADDRESSES", list(addresses)),
        ("KUBECERTD_USAGES", list(usages)),
        ("KUBECERTD_VALIDITY_SECONDS", validity.as_secs().to_string()),
        (
            "KUBECERTD_NOT_AFTER",
            leaf.map(|leaf| rfc3339(leaf.not_after)).unwrap_or_default(),
        ),
        ("KUBECERTD_TOKEN", text(token)),
    ]
}

fn dns_names(leaf: &Certificate) -> Vec<String> {
    let names = leaf.subject_alt_names.iter();
    names
        .filter_map(|name| match name {
            SubjectAltName::Dns(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

fn addresses(leaf: &Certificate) -> Vec<String> {
    let names = leaf.subject_alt_names.iter();
    names
        .filter_map(|name| match name {
            SubjectAltName::Ip(address) => Some(address.to_string()),
            _ => None,
        })
        .collect()
}

fn usages(leaf: &Certificate) -> Vec<String> {
    leaf.extended_key_usage
        .iter()
        .filter_map(|usage| match usage.as_str() {
            "1.3.6.1.5.5.7.3.1" => Some("server"),
            "1.3.6.1.5.5.7.3.2" => Some("client"),
            _ => None,
        })
        .map(str::to_owned)
        .collect()
}

/// What it means that the program ended so.
pub(super) fn answer(ended: &Ended) -> Answer {
    let refused = |reason: String, is_slow: bool| Answer::Refused { reason, is_slow };
    if has_key(&ended.output) || has_key(&ended.error) {
        return refused(
            "it printed a private key, so nothing of its answer is used or shown; no issuer needs one".to_owned(),
            false,
        );
    }
    let status = match ended.manner {
        Manner::Ended(status) => status,
        // Who is asked to stop uses nothing of it.
        Manner::OutOfTime | Manner::Stopped => {
            let reason = format!(
                "it was ended after {} s without an answer (time-limit){}",
                ended.after.as_secs(),
                last_words(&ended.error)
            );
            return refused(reason, true);
        }
    };
    match status.code() {
        Some(0) if ended.is_cut => refused(
            format!("it printed more than {} KiB", OUTPUT_LIMIT / 1024),
            false,
        ),
        Some(0) => Answer::Issued(ended.output.clone()),
        Some(ASK_AGAIN) => pending(&ended.output),
        Some(code) => refused(
            format!("it exited with {code}{}", last_words(&ended.error)),
            false,
        ),
        None => refused(format!("{status}{}", last_words(&ended.error)), false),
    }
}

/// `ask-again SECONDS` and `token TEXT`, each on a line of its own; other lines are for people.
fn pending(output: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(output);
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' ').map(str::trim))
    };
    let token = value("token").map(str::to_owned);
    let seconds = value("ask-again").and_then(|seconds| seconds.parse().ok());
    let is_plain =
        |token: &String| token.len() <= LONGEST_TOKEN && !token.contains(char::is_control);
    if token.as_ref().is_some_and(|token| !is_plain(token)) {
        return Answer::Refused {
            reason: format!(
                "its token is longer than {LONGEST_TOKEN} bytes or has control characters in it"
            ),
            is_slow: false,
        };
    }
    Answer::Pending {
        token,
        ask_again: seconds
            .map_or(DEFAULT_PAUSE, Duration::from_secs)
            .clamp(Duration::from_secs(1), LONGEST_PAUSE),
    }
}

fn has_key(output: &[u8]) -> bool {
    output
        .windows(KEY.len())
        .any(|window| window.eq_ignore_ascii_case(KEY))
}

/// In the armour of every private key.
const KEY: &[u8] = b"PRIVATE KEY-----";

/// The end of what it said of itself, on one line.
fn last_words(error: &[u8]) -> String {
    let text = String::from_utf8_lossy(error);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = text.len().saturating_sub(LONGEST_REASON);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
    match text.get(from.unwrap_or(text.len())..) {
        Some(words) if !words.is_empty() => format!(": {}", printable(words)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    fn ended(code: i32, output: &str, error: &str) -> Ended {
        Ended {
            manner: Manner::Ended(ExitStatus::from_raw(code << 8)),
            output: output.as_bytes().to_vec(),
            error: error.as_bytes().to_vec(),
            is_cut: false,
            after: Duration::from_secs(1),
        }
    }

    fn reason(ended: &Ended) -> String {
        match answer(ended) {
            Answer::Refused { reason, .. } => reason,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_exit_code_says_now_later_or_no() {
        assert_eq!(
            answer(&ended(0, "pem", "noise")),
            Answer::Issued(b"pem".to_vec())
        );
        assert_eq!(
            answer(&ended(
                75,
                "waiting for approval\ntoken a b\nask-again 30\n",
                ""
            )),
            Answer::Pending {
                token: Some("a b".to_owned()),
                ask_again: Duration::from_secs(30)
            }
        );
        for (output, seconds) in [
            ("", 60),
            ("ask-again 0", 1),
            ("ask-again 99999999", 86_400),
            ("ask-again soon", 60),
            ("ask-again -5", 60),
        ] {
            let expected = Answer::Pending {
                token: None,
                ask_again: Duration::from_secs(seconds),
            };
            assert_eq!(answer(&ended(75, output, "")), expected, "{output}");
        }
        assert_eq!(
            reason(&ended(3, "", "denied\n by policy\u{1b}[2J\n")),
            "it exited with 3: denied by policy\\u001b[2J"
        );
    }

    #[test]
    fn nothing_of_a_printed_key_is_used_or_shown() {
        let key = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n";
        for one in [ended(0, key, ""), ended(1, "", key), ended(75, key, "")] {
            let reason = reason(&one);
            assert!(reason.contains("printed a private key"), "{reason}");
            assert!(!reason.contains("c2VjcmV0"));
        }
    }

    #[test]
    fn what_floods_or_hangs_or_has_a_wild_token_is_refused() {
        let mut flood = ended(0, "x", "");
        flood.is_cut = true;
        assert!(reason(&flood).contains("more than 256 KiB"));
        let mut hung = ended(0, "x", "connecting");
        hung.manner = Manner::OutOfTime;
        assert!(reason(&hung).ends_with("(time-limit): connecting"));
        let token = format!("token {}", "x".repeat(LONGEST_TOKEN + 1));
        assert!(reason(&ended(75, &token, "")).contains("its token is longer"));
        let killed = Ended {
            manner: Manner::Ended(ExitStatus::from_raw(9)),
            ..ended(0, "", "")
        };
        assert!(reason(&killed).contains("signal: 9"), "{}", reason(&killed));
        let long = ended(1, "", &"ü ".repeat(1000));
        assert!(reason(&long).len() < 600);
    }
}
