//! What can be signed, by which authority, and what comes of one that ends.

#![allow(clippy::unwrap_used, clippy::panic)] // what these tests are built from, too

use kubecertd::node::{AuthorityState, Fault, KeyState, Problem, Signer};
use kubecertd::pki::{AuthorityId, CertificateAuthority, KeyAlgorithm, NewAuthority};
use kubecertd::plan::{Action, Obstacle, Reason};
use testkit::inventory::*;

use crate::decisions::{APISERVER, asked, due, node_ending, problem, when_due};

#[test]
fn what_the_local_ca_did_not_sign_is_never_touched() {
    for signer in [
        Signer::Foreign("CN=Corp CA".to_owned()),
        Signer::SelfSigned,
        Signer::Unknown,
    ] {
        let mut node = node_ending(366 * DAY, -DAY);
        present_mut(&mut node, APISERVER).signer = signer.clone();
        for action in [when_due(&node), asked(&node, false), asked(&node, true)] {
            match (&signer, action) {
                (
                    Signer::Foreign(_),
                    Action::Leave(Obstacle::ForeignIssuer { issuer, itself, .. }),
                ) => {
                    assert_eq!((issuer.as_str(), itself), ("CN=Corp CA", false));
                }
                (
                    Signer::SelfSigned,
                    Action::Leave(obstacle @ Obstacle::ForeignIssuer { itself: true, .. }),
                ) => {
                    assert!(obstacle.to_string().starts_with("issued by itself ("));
                }
                (Signer::Unknown, Action::Leave(Obstacle::AuthorityUnusable(_))) => {}
                (signer, action) => panic!("{signer:?}: {action:?}"),
            }
        }
    }
}

#[test]
fn an_authority_that_cannot_sign_is_named_with_the_reason() {
    let certificates = vec![authority_certificate(after(-YEAR), after(9 * YEAR))];
    let cases = [
        (
            AuthorityState::Missing,
            "/etc/kubernetes/pki/ca.crt is missing",
        ),
        (
            AuthorityState::Unreadable(Problem {
                path: "/etc/kubernetes/pki/ca.crt".into(),
                fault: Fault::CannotBeRead {
                    reason: "is empty".to_owned(),
                },
            }),
            "/etc/kubernetes/pki/ca.crt: is empty",
        ),
        (
            authority_state(certificates.clone(), KeyState::Mismatched),
            "/etc/kubernetes/pki/ca.key is not the key of /etc/kubernetes/pki/ca.crt; restore the pair from a backup",
        ),
        (
            authority_state(certificates.clone(), KeyState::OutOfReach(problem("x"))),
            "/etc/kubernetes/pki/apiserver.key: x",
        ),
        (
            authority_state(
                vec![authority_certificate(after(-YEAR), after(-DAY))],
                KeyState::Matching(None),
            ),
            "the CA certificate CN=kubernetes has expired on May 31, 2026 00:00 UTC; extend the CA first: kubecertd ca extend ca",
        ),
        (
            authority_state(
                vec![authority_certificate(after(DAY), after(YEAR))],
                KeyState::Matching(None),
            ),
            "the CA certificate CN=kubernetes is not valid before Jun 02, 2026 00:00 UTC; check this machine's clock",
        ),
    ];
    for (state, message) in cases {
        let mut node = node_ending(366 * DAY, -DAY);
        set_authority(&mut node, AuthorityId::Kubernetes, state);
        for action in [when_due(&node), asked(&node, true)] {
            let Action::Leave(obstacle) = action else {
                panic!("{message}: {action:?}")
            };
            assert_eq!(obstacle.to_string(), message);
            assert_eq!(obstacle.code(), "authority-unusable");
        }
    }
    let mut node = node_ending(366 * DAY, -DAY);
    set_authority(
        &mut node,
        AuthorityId::Kubernetes,
        authority_state(certificates, KeyState::Missing),
    );
    let asked_for = asked(&node, true);
    let Action::Leave(Obstacle::ExternalAuthority {
        authority,
        request_from,
    }) = asked_for
    else {
        panic!("{asked_for:?}")
    };
    assert_eq!(authority, AuthorityId::Kubernetes);
    assert!(request_from.unwrap() < now(), "it has ended already");
    node.authorities.clear();
    assert!(matches!(
        when_due(&node),
        Action::Leave(Obstacle::AuthorityUnusable(_))
    ));
}

#[test]
fn a_ca_that_ends_soon_gets_one_last_renewal_and_no_second() {
    let mut node = node_ending(335 * DAY, 30 * DAY);
    let ca = |end| {
        authority_state(
            vec![authority_certificate(after(-YEAR), end)],
            KeyState::Matching(None),
        )
    };
    set_authority(&mut node, AuthorityId::Kubernetes, ca(after(60 * DAY)));
    assert_eq!(when_due(&node), Action::Renew(Reason::Due));
    set_authority(&mut node, AuthorityId::Kubernetes, ca(after(30 * DAY)));
    assert_eq!(
        when_due(&node),
        Action::Leave(Obstacle::AuthorityEndsTooSoon {
            ends: after(30 * DAY),
            extendable: Some(AuthorityId::Kubernetes)
        })
    );
    assert_eq!(
        asked(&node, false),
        Action::Leave(Obstacle::AuthorityEndsTooSoon {
            ends: after(30 * DAY),
            extendable: Some(AuthorityId::Kubernetes)
        })
    );
    assert_eq!(asked(&node, true), Action::Renew(Reason::Due));
    // kubeadm lets a leaf outlive its CA: then the CA's end counts.
    set_authority(&mut node, AuthorityId::Kubernetes, ca(after(20 * DAY)));
    assert_eq!(
        when_due(&node),
        Action::Leave(Obstacle::AuthorityEndsTooSoon {
            ends: after(20 * DAY),
            extendable: Some(AuthorityId::Kubernetes)
        })
    );
    assert_eq!(due(&node, now()).next_due, None);
}

#[test]
fn in_the_last_minutes_of_a_ca_nothing_is_renewed_by_itself() {
    let mut node = node_ending(366 * DAY, -DAY);
    let end = after(180);
    set_authority(
        &mut node,
        AuthorityId::Kubernetes,
        authority_state(
            vec![authority_certificate(after(-YEAR), end)],
            KeyState::Matching(None),
        ),
    );
    assert_eq!(
        when_due(&node),
        Action::Leave(Obstacle::AuthorityEndsTooSoon {
            ends: end,
            extendable: Some(AuthorityId::Kubernetes)
        })
    );
    assert_eq!(asked(&node, false), Action::Renew(Reason::Expired));
}

#[test]
fn in_a_bundle_the_certificate_that_can_sign_counts() {
    let mut node = node_ending(335 * DAY, 30 * DAY);
    set_authority(
        &mut node,
        AuthorityId::Kubernetes,
        authority_state(
            vec![
                authority_certificate(after(-10 * YEAR), after(30 * DAY)),
                authority_certificate(after(-DAY), after(9 * YEAR)),
            ],
            KeyState::Matching(None),
        ),
    );
    assert_eq!(when_due(&node), Action::Renew(Reason::Due));
}

#[test]
fn in_a_bundle_only_what_the_key_belongs_to_can_sign() {
    let ending = authority_certificate(after(-10 * YEAR), after(30 * DAY));
    let lasting = authority_certificate(after(-DAY), after(9 * YEAR));
    for certificates in [
        vec![ending.clone(), lasting.clone()],
        vec![lasting.clone(), ending.clone()],
    ] {
        for (signing, expected) in [
            (&lasting, Action::Renew(Reason::Due)),
            (
                &ending,
                Action::Leave(Obstacle::AuthorityEndsTooSoon {
                    ends: after(30 * DAY),
                    extendable: Some(AuthorityId::Kubernetes),
                }),
            ),
        ] {
            let mut node = node_ending(335 * DAY, 30 * DAY);
            let state = AuthorityState::Present {
                certificates: certificates.clone(),
                key: KeyState::Matching(None),
                signing: vec![signing.clone()],
            };
            set_authority(&mut node, AuthorityId::Kubernetes, state);
            assert_eq!(when_due(&node), expected);
        }
    }
}

#[test]
fn what_an_ending_ca_has_signed_is_renewed_with_the_one_that_follows_it() {
    // Its own CA is the sample's; the next one has another key.
    let next = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: after(-DAY),
        not_after: after(9 * YEAR),
    })
    .unwrap();
    let next = next.certificate();
    for (own_ends, expected) in [
        (20 * DAY, Action::Renew(Reason::Due)),
        (200 * DAY, Action::Wait),
    ] {
        let own = authority_certificate(after(-9 * YEAR), after(own_ends));
        for certificates in [vec![own.clone(), next.clone()], vec![next.clone(), own]] {
            let mut node = node_ending(65 * DAY, 300 * DAY);
            let state = AuthorityState::Present {
                certificates,
                key: KeyState::Matching(None),
                signing: vec![next.clone()],
            };
            set_authority(&mut node, AuthorityId::Kubernetes, state);
            assert_eq!(when_due(&node), expected, "{own_ends}");
        }
    }
}
