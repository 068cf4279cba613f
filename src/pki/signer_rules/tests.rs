use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::pki::{CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, Validity};

struct Signed(CertificateAuthority);

impl Signed {
    fn new() -> Self {
        let now = Timestamp::UNIX_EPOCH;
        Self(
            CertificateAuthority::generate(&NewAuthority {
                common_name: "kubernetes".to_owned(),
                algorithm: KeyAlgorithm::EcdsaP256,
                not_before: now,
                not_after: now + SignedDuration::from_hours(1),
            })
            .unwrap(),
        )
    }

    fn leaf(
        &self,
        (common_name, group): (&str, &str),
        names: &[SubjectAltName],
        (server_auth, client_auth): (bool, bool),
    ) -> Certificate {
        let leaf = NewLeaf {
            common_name: common_name.to_owned(),
            organizations: (!group.is_empty())
                .then(|| group.to_owned())
                .into_iter()
                .collect(),
            subject_alt_names: names.to_vec(),
            server_auth,
            client_auth,
        };
        let validity = Validity {
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
        };
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        leaf.sign(&key, &self.0, validity).unwrap()
    }
}

const CA: AuthorityId = AuthorityId::Kubernetes;
const SERVER: (bool, bool) = (true, false);
const CLIENT: (bool, bool) = (false, true);
const BOTH: (bool, bool) = (true, true);

#[test]
fn usages_have_the_names_of_the_api() {
    let signed = Signed::new();
    let mut leaf = signed.leaf(("x", ""), &[], BOTH);
    assert_eq!(
        api_usages(&leaf).unwrap(),
        [
            "digital signature",
            "key encipherment",
            "server auth",
            "client auth"
        ]
    );
    leaf.extended_key_usage.push("1.2.3".to_owned());
    let number = "1.2.3".to_owned();
    let fault = SignerFault::UsageWithoutName { number };
    assert_eq!(api_usages(&leaf), Err(fault.clone()));
    // No signer can be asked for that.
    assert_eq!(signer_fault("example.com/own", &leaf, CA), Some(fault));
}

#[test]
fn kubernetes_own_signers_are_asked_only_for_what_they_sign() {
    let signed = Signed::new();
    let dns = || SubjectAltName::Dns("cp1".to_owned());
    let ip = || SubjectAltName::Ip("10.0.0.1".parse::<IpAddr>().unwrap());
    let uri = || SubjectAltName::Uri("spiffe://a/b".to_owned());
    let manager = ("system:kube-controller-manager", "");
    let masters = ("kubernetes-super-admin", "system:masters");
    let node = ("system:node:cp1", "system:nodes");
    for (signer, subject, names, usages, expected) in [
        (CLIENT_SIGNER, manager, vec![], CLIENT, None),
        (CLIENT_SIGNER, manager, vec![dns(), uri()], CLIENT, None),
        (CLIENT_SIGNER, manager, vec![], SERVER, Some("usages")),
        (CLIENT_SIGNER, manager, vec![], BOTH, Some("usages")),
        (CLIENT_SIGNER, masters, vec![], CLIENT, Some("masters")),
        (KUBELET_CLIENT_SIGNER, node, vec![], CLIENT, None),
        (
            KUBELET_CLIENT_SIGNER,
            manager,
            vec![],
            CLIENT,
            Some("not-kubelets"),
        ),
        (
            KUBELET_CLIENT_SIGNER,
            ("system:node:", "system:nodes"),
            vec![],
            CLIENT,
            Some("not-kubelets"),
        ),
        (
            KUBELET_CLIENT_SIGNER,
            ("system:node:a", ""),
            vec![],
            CLIENT,
            Some("not-kubelets"),
        ),
        (
            KUBELET_CLIENT_SIGNER,
            node,
            vec![dns()],
            CLIENT,
            Some("names"),
        ),
        (KUBELET_CLIENT_SIGNER, node, vec![], SERVER, Some("usages")),
        (
            KUBELET_SERVING_SIGNER,
            node,
            vec![dns(), ip()],
            SERVER,
            None,
        ),
        (
            KUBELET_SERVING_SIGNER,
            node,
            vec![],
            SERVER,
            Some("no-server-names"),
        ),
        (
            KUBELET_SERVING_SIGNER,
            node,
            vec![dns(), uri()],
            SERVER,
            Some("no-server-names"),
        ),
        (
            KUBELET_SERVING_SIGNER,
            node,
            vec![dns()],
            CLIENT,
            Some("usages"),
        ),
        (
            KUBELET_SERVING_SIGNER,
            manager,
            vec![dns()],
            SERVER,
            Some("not-kubelets"),
        ),
        (
            "kubernetes.io/own",
            manager,
            vec![],
            CLIENT,
            Some("unknown"),
        ),
        // What others sign is their decision.
        ("example.com/own", masters, vec![dns()], BOTH, None),
    ] {
        let leaf = signed.leaf(subject, &names, usages);
        let fault = signer_fault(signer, &leaf, CA);
        let said = fault.map(|fault| serde_json::to_value(fault).unwrap()["fault"].clone());
        let said = said.map(|word| word.as_str().unwrap().to_owned());
        assert_eq!(
            said.as_deref(),
            expected,
            "{signer} {subject:?} {names:?} {usages:?}"
        );
    }
    let leaf = signed.leaf(manager, &[], CLIENT);
    assert_eq!(
        signer_fault(CLIENT_SIGNER, &leaf, AuthorityId::Etcd),
        Some(SignerFault::OtherAuthority {
            authority: AuthorityId::Etcd
        })
    );
    assert_eq!(
        signer_fault("example.com/own", &leaf, AuthorityId::Etcd),
        None
    );
}

#[test]
fn a_kubelets_signer_wants_a_digital_signature() {
    let signed = Signed::new();
    let mut leaf = signed.leaf(("system:node:cp1", "system:nodes"), &[], CLIENT);
    leaf.key_usage = Some(key_usage::KEY_ENCIPHERMENT);
    assert!(matches!(
        signer_fault(KUBELET_CLIENT_SIGNER, &leaf, CA),
        Some(SignerFault::Usages { .. })
    ));
    leaf.key_usage = Some(key_usage::DIGITAL_SIGNATURE);
    assert_eq!(signer_fault(KUBELET_CLIENT_SIGNER, &leaf, CA), None);
}
