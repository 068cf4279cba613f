//! What holds for every node, configuration and moment.
#![allow(clippy::unwrap_used, clippy::panic)] // what these tests are built from, too

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::Config;
use kubecertd::node::{
    AuthorityState, CertificateState, Fault, Inventory, KeyState, Lot, Present, Problem, Signer,
};
use kubecertd::pki::KeyAlgorithm;
use kubecertd::plan::{Action, Plan, Request, due_at, lifetime, plan};
use proptest::collection::vec;
use proptest::prelude::*;
use testkit::inventory::*;

const MINUTE: i64 = 60;
const NAMES: [&str; 4] = [
    "apiserver",
    "etcd-server",
    "front-proxy-client",
    "scheduler.conf",
];

/// Seconds around now: mostly days, with the small and the large ones that hide mistakes.
fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![
        -10 * MINUTE..10 * MINUTE,
        -3 * HOUR..3 * HOUR,
        -60 * DAY..60 * DAY,
        -12 * YEAR..12 * YEAR,
    ]
}

fn span(most: i64) -> impl Strategy<Value = i64> {
    prop_oneof![MINUTE..3 * HOUR, HOUR..60 * DAY, DAY..most].prop_map(move |span| span.min(most))
}

prop_compose! {
    fn some_config()(
        before in span(3650 * DAY),
        validity in span(10 * YEAR),
        jitter in prop_oneof![Just(0), span(365 * DAY)],
        enabled in prop::bool::weighted(0.9),
    ) -> Config {
        let mut config = Config::default();
        config.renewal.jitter = seconds(jitter);
        config.renewal.before = seconds(before);
        config.renewal.validity = seconds(validity.max(10 * MINUTE));
        config.renewal.enabled = enabled;
        config
    }
}

fn some_key() -> impl Strategy<Value = KeyState> {
    let problem = || Problem {
        path: "/k".into(),
        fault: Fault::CannotBeRead {
            reason: "is not usable".to_owned(),
        },
    };
    prop_oneof![
        8 => Just(KeyState::Matching(Some(KeyAlgorithm::Rsa2048))),
        1 => Just(KeyState::Missing),
        1 => Just(KeyState::Mismatched),
        1 => Just(KeyState::OutOfReach(problem())),
        1 => Just(KeyState::Damaged(problem())),
    ]
}

fn some_signer() -> impl Strategy<Value = Signer> {
    prop_oneof![
        10 => Just(Signer::Expected),
        1 => Just(Signer::Foreign("CN=Corp CA".to_owned())),
        1 => Just(Signer::SelfSigned),
        1 => Just(Signer::Unknown),
    ]
}

prop_compose! {
    fn some_present()(
        not_before in offset(),
        life in span(12 * YEAR),
        modified in prop::option::of(offset()),
        key in some_key(),
        signer in some_signer(),
    ) -> Present {
        let mut made = present(after(not_before), after(not_before + life));
        made.modified = modified.map(after);
        made.key = key;
        made.signer = signer;
        made
    }
}

fn some_certificate() -> impl Strategy<Value = CertificateState> {
    prop_oneof![
        12 => some_present().prop_map(|present| CertificateState::Present(Box::new(present))),
        1 => Just(CertificateState::Missing),
    ]
}

prop_compose! {
    fn some_authority()(start in -12 * YEAR..DAY, life in span(20 * YEAR), key in some_key()) -> AuthorityState {
        let certificate = authority_certificate(after(start), after(start + life));
        authority_state(vec![certificate], key)
    }
}

prop_compose! {
    fn some_node()(
        states in vec(some_certificate(), 4),
        authorities in vec(some_authority(), 3),
        lot in prop_oneof![Just(None), Just(Some(u32::MAX)), any::<u32>().prop_map(Some)],
    ) -> Inventory {
        let mut node = node_with(&NAMES);
        node.lot = lot.map(Lot::new);
        for (name, state) in NAMES.into_iter().zip(states) {
            set_state(&mut node, name, state);
        }
        for (authority, state) in node.authorities.iter_mut().zip(authorities) {
            authority.state = state;
        }
        node
    }
}

fn due(node: &Inventory, config: &Config, at: Timestamp) -> Plan {
    plan(node, config, &Request::Due, at).unwrap()
}

fn renewed(plan: &Plan) -> Vec<&str> {
    plan.items
        .iter()
        .filter(|item| matches!(item.action, Action::Renew(_)))
        .map(|item| item.id.as_str())
        .collect()
}

fn authority_end(node: &Inventory, name: &str) -> Timestamp {
    let authority = node.find(name).unwrap().authority.unwrap();
    node.authority(authority)
        .unwrap()
        .certificate()
        .unwrap()
        .not_after
}

/// Does what the plan says, as the issuer would: five minutes back, never beyond the authority.
fn carry_out(node: &mut Inventory, config: &Config, plan: &Plan, keeps_times: bool) {
    for name in renewed(plan) {
        let end = plan.at + SignedDuration::try_from(config.renewal.validity).unwrap();
        let end = end.min(authority_end(node, name));
        let mut made = present(plan.at - SignedDuration::from_mins(5), end);
        made.modified = keeps_times.then_some(plan.at);
        set_state(node, name, CertificateState::Present(Box::new(made)));
    }
}

fn later(moment: Timestamp, seconds: i64) -> Timestamp {
    moment + SignedDuration::from_secs(seconds)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// After a renewal nothing is due, not now and not within the minute.
    #[test]
    fn no_renewal_makes_another_one_due(mut node in some_node(), config in some_config(), at in offset(), keeps_times: bool) {
        let first = due(&node, &config, after(at));
        carry_out(&mut node, &config, &first, keeps_times);
        for wait in [0, 1, 59] {
            let again = due(&node, &config, later(after(at), wait));
            for name in renewed(&first) {
                prop_assert!(!renewed(&again).contains(&name), "{name} again after {wait} s");
            }
        }
    }

    /// Left alone for years, each certificate is renewed at most once in half its validity, before it ends, and ends
    /// later each time.
    #[test]
    fn left_alone_it_neither_loops_nor_stops(mut node in some_node(), config in some_config(), keeps_times: bool) {
        let mut at = now();
        let mut last = std::collections::BTreeMap::new();
        for _ in 0..40 {
            let step = due(&node, &config, at);
            carry_out(&mut node, &config, &step, keeps_times);
            for name in renewed(&step) {
                let end = node.find(name).unwrap().present().unwrap().leaf.not_after;
                if let Some((before, old_end)) = last.insert(name.to_owned(), (at, end)) {
                    prop_assert!(at <= old_end, "{name} ended at {old_end} and was renewed at {at}");
                    prop_assert!(end > old_end, "{name} ended at {old_end}, then at {end}");
                    let least = config.renewal.validity.as_secs() as i64 / 2;
                    prop_assert!(at >= later(before, least), "{name} at {before} and again at {at}");
                }
            }
            let settled = due(&node, &config, at);
            let Some((next, _)) = settled.next_due else { break };
            prop_assert!(next > at);
            at = next;
            if at > after(100 * YEAR) {
                break;
            }
        }
    }

    /// Nothing is renewed before `next_due`, and what it names is renewed then.
    #[test]
    fn next_due_is_the_next_moment_of_a_renewal(node in some_node(), mut config in some_config(), at in offset(), parts in vec(0.0..1.0f64, 8)) {
        config.renewal.enabled = true;
        let first = due(&node, &config, after(at));
        let already = renewed(&first);
        let horizon = first.next_due.as_ref().map_or(after(30 * YEAR), |(next, _)| *next);
        let length = horizon.as_second() - after(at).as_second();
        let mut moments: Vec<i64> = parts.iter().map(|part| (part * length as f64) as i64).collect();
        moments.extend([1, 60, length / 2, length - 1]);
        for moment in moments.into_iter().filter(|moment| (1..length).contains(moment)) {
            let between = due(&node, &config, later(after(at), moment));
            let early: Vec<_> = renewed(&between).into_iter().filter(|name| !already.contains(name)).collect();
            prop_assert!(early.is_empty(), "{early:?} after {moment} s, but next due {:?}", first.next_due);
        }
        if let Some((next, name)) = &first.next_due {
            prop_assert!(*next > first.at);
            prop_assert!(renewed(&due(&node, &config, *next)).contains(&name.as_str()), "{name} at {next}");
        }
    }

    /// What is due stays due until it is renewed, as long as its authority lasts.
    #[test]
    fn due_stays_due(node in some_node(), config in some_config(), at in offset(), wait in 1..10 * YEAR) {
        let first = due(&node, &config, after(at));
        let then = later(after(at), wait);
        let second = due(&node, &config, then);
        for name in renewed(&first) {
            let made = later(node.find(name).unwrap().present().unwrap().leaf.not_before, 5 * MINUTE);
            let lasts = later(then, 10 * MINUTE) <= authority_end(&node, name);
            if lasts && made <= first.at {
                prop_assert!(renewed(&second).contains(&name), "{name}: {:?}", second.items);
            }
        }
    }

    /// Never after the end, never more than `before` or a third of the claimed lifetime ahead of it, and with at least
    /// a third of a twelfth left.
    #[test]
    fn the_threshold_lies_within_its_bounds(present in some_present(), cut in 0..400 * DAY, before in span(3650 * DAY)) {
        let leaf = &present.leaf;
        let end = leaf.not_after - SignedDuration::from_secs(cut);
        let claimed = u64::try_from(leaf.not_after.as_second() - leaf.not_before.as_second()).unwrap();
        let ahead = u64::try_from(end.as_second() - due_at(&present, end, seconds(before)).as_second()).unwrap();
        let before = seconds(before).as_secs();
        prop_assert!(ahead <= before.min(claimed / 3));
        prop_assert!(ahead >= before.min(claimed / 4 / 3));
        prop_assert!(lifetime(&present) <= Duration::from_secs(claimed));
    }

    /// A newer file never makes the renewal earlier.
    #[test]
    fn a_newer_file_only_puts_it_off(mut present in some_present(), one in offset(), other in offset()) {
        let end = present.leaf.not_after;
        let mut threshold = |modified: Option<i64>| {
            present.modified = modified.map(after);
            due_at(&present, end, seconds(30 * DAY))
        };
        let (without, older, newer) = (threshold(None), threshold(Some(one.min(other))), threshold(Some(one.max(other))));
        prop_assert!(older >= without && newer >= without);
        if after(one.max(other)) < end {
            prop_assert!(newer >= older);
        }
    }

    /// Jitter renews whatever would be renewed without it, and some of it earlier: by no more than it says, nor than a twelfth of the
    /// lifetime, and always by the same.
    #[test]
    fn jitter_makes_it_earlier_and_never_later(node in some_node(), mut config in some_config(), at in offset()) {
        let with = due(&node, &config, after(at));
        let again = due(&node, &config, after(at));
        prop_assert_eq!(renewed(&with), renewed(&again));
        prop_assert_eq!(&with.next_due, &again.next_due);
        let most = config.renewal.jitter.as_secs() as i64;
        config.renewal.jitter = Duration::ZERO;
        let without = due(&node, &config, after(at));
        for (with, without) in with.items.iter().zip(&without.items) {
            let (Some(shifted), Some(threshold)) = (with.due_at, without.due_at) else {
                prop_assert_eq!(with.due_at, without.due_at);
                continue;
            };
            let lead = threshold.as_second() - shifted.as_second();
            let life = lifetime(node.entry(&with.id).unwrap().present().unwrap()).as_secs() as i64;
            prop_assert!((0..=most.min(life / 12)).contains(&lead), "{lead} of {most}");
            if matches!(without.action, Action::Renew(_)) {
                prop_assert!(matches!(with.action, Action::Renew(_)), "{:?}", with.action);
            }
        }
    }

    /// Nothing that the local CA did not sign, whose CA's key is elsewhere or which is not there is renewed, whoever asks.
    #[test]
    fn nobody_renews_what_is_not_ours(node in some_node(), config in some_config(), at in offset(), force: bool) {
        let names = NAMES.map(str::to_owned).to_vec();
        for request in [Request::Due, Request::All { force }, Request::Named { names, force, for_names: Vec::new() }] {
            let plan = plan(&node, &config, &request, after(at)).unwrap();
            for name in renewed(&plan) {
                let entry = node.find(name).unwrap();
                prop_assert_eq!(&entry.present().unwrap().signer, &Signer::Expected);
                let authority = node.authority(entry.authority.unwrap()).unwrap();
                prop_assert!(authority.certificate().unwrap().is_valid_at(plan.at));
                let AuthorityState::Present { key: KeyState::Matching(_), .. } = &authority.state else {
                    return Err(TestCaseError::fail(format!("{name} with {:?}", authority.state)));
                };
            }
        }
    }

    /// A renewal asked for by hand without force never shortens a usable certificate.
    #[test]
    fn by_hand_nothing_gets_shorter(mut node in some_node(), config in some_config(), at in offset()) {
        let before = node.clone();
        let all = plan(&node, &config, &Request::All { force: false }, after(at)).unwrap();
        carry_out(&mut node, &config, &all, true);
        for item in &all.items {
            if let Action::Renew(reason) = &item.action && !reason.allows_earlier_end() {
                let end = |node: &Inventory| node.entry(&item.id).unwrap().present().unwrap().leaf.not_after;
                prop_assert!(end(&node) > end(&before), "{}", item.id);
            }
        }
    }
}
