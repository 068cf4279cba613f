#![allow(clippy::unwrap_used, clippy::panic)]

use jiff::Timestamp;

use super::*;
use crate::api::{AddressedNode, AddressedNodeMetadata, AddressedNodeStatus, NodeAddress};
use crate::cluster::approver::case::{Lookup, Lookups};
use crate::cluster::approver::facts::{ApiServers, ClusterFacts};
use crate::cluster::approver::judgement::{Verdict, names_to_look_up};
use crate::cluster::approver::node_table::NodeTable;
use crate::cluster::approver::reason::CheckResult;
use crate::cluster::approver::request::RequestState;
use crate::config::{Approver, Config, parse};
use crate::pki::crafted::{CN, Crafted, O, PRINTABLE};
use crate::pki::{KeyAlgorithm, PrivateKey, SubjectAltName};

const NOW: &str = "2026-06-01T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn dns(name: &str) -> SubjectAltName {
    SubjectAltName::Dns(name.to_owned())
}

fn ip(address: &str) -> SubjectAltName {
    SubjectAltName::Ip(address.parse().unwrap())
}

fn settings() -> Approver {
    let text = "[approver]\nmode = \"approve\"\ncidrs = [\"10.0.0.0/16\", \"2001:db8::/64\"]\n\
                names = [\"worker-*\", \"cp*\", \"xn--*\", \"localhost\", \"kubernetes\", \"*.example.com\"]\n";
    let config: Config = parse(std::path::Path::new("k.toml"), text).unwrap();
    config.approver
}

fn node(name: &str, made: &str, addresses: &[(&str, &str)]) -> AddressedNode {
    AddressedNode {
        metadata: AddressedNodeMetadata {
            name: name.to_owned(),
            creation_timestamp: Some(at(made)),
            deletion_timestamp: None,
        },
        status: AddressedNodeStatus {
            addresses: addresses
                .iter()
                .map(|(kind, address)| NodeAddress {
                    kind: (*kind).to_owned(),
                    address: (*address).to_owned(),
                })
                .collect(),
        },
    }
}

/// Workers 1 and 2 and a control plane; worker-1's kubelet has written into its own Node whatever it might.
fn facts() -> ClusterFacts {
    const LONG_AGO: &str = "2026-01-01T00:00:00Z";
    let mut nodes = NodeTable::default();
    nodes.add(node(
        "worker-1",
        LONG_AGO,
        &[
            ("InternalIP", "10.0.1.1"),
            ("InternalIP", "2001:db8::1"),
            ("Hostname", "worker-1"),
            ("InternalDNS", "worker-1.example.com"),
            // Forged.
            ("ExternalIP", "10.0.1.2"),
            ("ExternalIP", "10.0.0.1"),
            ("ExternalIP", "10.0.0.100"),
            ("ExternalIP", "10.96.0.1"),
            ("ExternalIP", "10.96.7.7"),
            ("ExternalIP", "127.0.0.1"),
            ("ExternalIP", "::1"),
            ("ExternalIP", "169.254.169.254"),
            ("ExternalIP", "203.0.113.5"),
            ("ExternalIP", "fe80::1"),
            ("ExternalIP", "::a00:101"),
            ("ExternalDNS", "worker-2"),
            ("ExternalDNS", "localhost"),
            ("ExternalDNS", "kubernetes"),
            ("ExternalDNS", "kubernetes.default"),
            ("ExternalDNS", "kubernetes.default.svc.cluster.local"),
            ("ExternalDNS", "api.example.com"),
            ("ExternalDNS", "db.shop.svc"),
            ("ExternalDNS", "cp1"),
            ("ExternalDNS", "database"),
            ("ExternalDNS", "*.example.com"),
            ("ExternalDNS", "xn--bcher-kva"),
        ],
    ));
    nodes.add(node(
        "worker-2",
        LONG_AGO,
        &[("InternalIP", "10.0.1.2"), ("Hostname", "worker-2")],
    ));
    nodes.add(node(
        "worker-new",
        "2026-06-01T11:59:59Z",
        &[("InternalIP", "10.0.1.9"), ("Hostname", "worker-new")],
    ));
    nodes.add(node(
        "worker-future",
        "2026-06-01T13:00:00Z",
        &[("InternalIP", "10.0.1.10"), ("Hostname", "worker-future")],
    ));
    let mut going = node("worker-going", LONG_AGO, &[("Hostname", "worker-going")]);
    going.metadata.deletion_timestamp = Some(at(LONG_AGO));
    nodes.add(going);
    nodes.add(node(
        "cp1",
        LONG_AGO,
        &[
            ("InternalIP", "10.0.0.1"),
            ("InternalIP", "10.0.0.100"),
            ("Hostname", "cp1"),
        ],
    ));
    ClusterFacts {
        nodes,
        service_networks: vec![crate::config::Network::parse("10.96.0.0/12").unwrap()],
        api_servers: ApiServers {
            names: vec![
                dns("cp1"),
                dns("kubernetes"),
                dns("kubernetes.default"),
                dns("api.example.com"),
                ip("10.96.0.1"),
                ip("10.0.0.1"),
                ip("10.0.0.100"),
            ],
            control_planes: vec![("cp1".to_owned(), "10.0.0.1".parse().unwrap())],
        },
    }
}

fn of_text(node: &str, text: &[u8]) -> KubeletRequest {
    KubeletRequest {
        name: "csr-1".to_owned(),
        uid: "u".to_owned(),
        created: Some(at(NOW)),
        signer: SERVING.to_owned(),
        username: format!("system:node:{node}"),
        groups: vec![NODES.to_owned(), "system:authenticated".to_owned()],
        usages: ["digital signature", "server auth"]
            .map(str::to_owned)
            .to_vec(),
        expiration_seconds: None,
        text: RequestText::Text(text.to_vec()),
        state: RequestState::Pending,
        has_more: false,
    }
}

/// What worker-1's kubelet asks for.
fn usual() -> Crafted {
    Crafted::of(
        "worker-1",
        &[dns("worker-1"), ip("10.0.1.1"), ip("2001:db8::1")],
    )
}

fn judged(request: &KubeletRequest) -> Judgement {
    judged_with(request, &settings(), &Lookups::new())
}

fn judged_with(request: &KubeletRequest, settings: &Approver, lookups: &Lookups) -> Judgement {
    judge(&Case {
        request,
        facts: &facts(),
        settings,
        standing: &Standing::default(),
        lookups,
        now: at(NOW),
    })
}

fn codes(judgement: &Judgement) -> Vec<&'static str> {
    judgement.reasons.iter().map(Reason::code).collect()
}

/// `approve`, `leave a b`, `deny a b`
fn said(judgement: &Judgement) -> String {
    let (word, reasons) = match judgement.verdict() {
        Verdict::Approve => ("approve", Vec::new()),
        Verdict::Leave(reasons) => ("leave", reasons),
        Verdict::Deny(reasons) => ("deny", reasons),
    };
    let codes = reasons.iter().map(Reason::code);
    std::iter::once(word)
        .chain(codes)
        .collect::<Vec<_>>()
        .join(" ")
}

fn crafted(change: impl FnOnce(&mut Crafted)) -> String {
    let mut crafted = usual();
    change(&mut crafted);
    said(&judged(&of_text("worker-1", crafted.pem().as_bytes())))
}

fn asks_for(names: &[SubjectAltName]) -> String {
    crafted(|crafted| crafted.names = names.to_vec())
}

fn changed(change: impl FnOnce(&mut KubeletRequest)) -> String {
    let mut request = of_text("worker-1", usual().pem().as_bytes());
    change(&mut request);
    said(&judged(&request))
}

#[test]
fn what_a_kubelet_asks_for_is_approved() {
    assert_eq!(crafted(|_| {}), "approve");
    assert_eq!(asks_for(&[dns("worker-1")]), "approve");
    assert_eq!(asks_for(&[ip("10.0.1.1")]), "approve");
    assert_eq!(asks_for(&[dns("worker-1.example.com")]), "approve");
    for algorithm in [
        KeyAlgorithm::Rsa2048,
        KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::EcdsaP521,
        KeyAlgorithm::Ed25519,
    ] {
        let key = PrivateKey::generate(algorithm).unwrap();
        assert_eq!(
            crafted(|crafted| crafted.key = key),
            "approve",
            "{algorithm:?}"
        );
    }
    let rsa = include_bytes!("../../../../tests/data/requests/rsa2048.pem");
    let with_encipherment = |request: &mut KubeletRequest| {
        request.text = RequestText::Text(rsa.to_vec());
        request.usages = USAGES.map(str::to_owned).to_vec();
        request.expiration_seconds = Some(86_400);
    };
    assert_eq!(changed(with_encipherment), "approve");
}

#[test]
fn a_control_plane_has_its_own_address_and_no_other_of_the_api_servers() {
    let of_control_plane = |names: &[SubjectAltName]| {
        let request = of_text("cp1", Crafted::of("cp1", names).pem().as_bytes());
        said(&judged(&request))
    };
    // worker-1 claims all of them, and so holds cp1 up, but nothing else speaks against it.
    assert_eq!(
        of_control_plane(&[dns("cp1"), ip("10.0.0.1")]),
        "leave also-of-node also-of-node"
    );
    let moving = of_control_plane(&[ip("10.0.0.100")]);
    assert_eq!(moving, "leave api-server-address also-of-node");
}

#[test]
fn names_that_are_not_the_kubelets_own_are_left() {
    for (names, verdict) in [
        (vec![], "leave no-names"),
        (vec![ip("10.0.1.2")], "leave also-of-node"),
        (vec![dns("worker-2")], "leave also-of-node"),
        (vec![ip("10.0.5.5")], "leave not-of-node"),
        (vec![dns("worker-77")], "leave not-of-node"),
        (vec![ip("203.0.113.5")], "leave outside-networks"),
        (vec![dns("database")], "leave outside-names"),
        (
            vec![ip("10.96.7.7")],
            "leave service-address outside-networks",
        ),
        (
            vec![ip("10.96.0.1")],
            "leave service-address api-server-address outside-networks",
        ),
        (
            vec![ip("10.0.0.1")],
            "leave api-server-address also-of-node",
        ),
        (
            vec![ip("10.0.0.100")],
            "leave api-server-address also-of-node",
        ),
        (
            vec![ip("127.0.0.1")],
            "leave local-address outside-networks",
        ),
        (vec![ip("::1")], "leave local-address outside-networks"),
        (
            vec![ip("169.254.169.254")],
            "leave local-address outside-networks",
        ),
        (vec![ip("fe80::1")], "leave local-address outside-networks"),
        (
            vec![ip("::a00:101")],
            "leave local-address outside-networks",
        ),
        (
            vec![ip("0.0.0.0")],
            "leave local-address not-of-node outside-networks",
        ),
        (
            vec![ip("224.0.0.1")],
            "leave local-address not-of-node outside-networks",
        ),
        (
            vec![ip("255.255.255.255")],
            "leave local-address not-of-node outside-networks",
        ),
        (vec![ip("::ffff:10.0.1.1")], "leave address-unusual"),
        (
            vec![ip("::ffff:10.0.1.2")],
            "leave address-unusual also-of-node",
        ),
        (
            vec![ip("::ffff:127.0.0.1")],
            "leave address-unusual local-address outside-networks",
        ),
        (vec![dns("localhost")], "leave local-name"),
        (
            vec![dns("LOCALHOST")],
            "leave name-unusual local-name not-of-node outside-names",
        ),
        (
            vec![dns("a.localhost.")],
            "leave name-unusual local-name not-of-node outside-names",
        ),
        (
            vec![dns("worker-1.localdomain")],
            "leave local-name not-of-node outside-names",
        ),
        (vec![dns("kubernetes")], "leave api-server-name"),
        (vec![dns("api.example.com")], "leave api-server-name"),
        (
            vec![dns("API.example.com.")],
            "leave name-unusual api-server-name not-of-node outside-names",
        ),
        (vec![dns("cp1")], "leave api-server-name also-of-node"),
        (vec![dns("db.shop.svc")], "leave service-name outside-names"),
        (
            vec![dns("db.shop.svc.cluster.local")],
            "leave service-name not-of-node outside-names",
        ),
        (vec![dns("*.example.com")], "leave wildcard"),
        (
            vec![dns("work*r-1")],
            "leave wildcard not-of-node outside-names",
        ),
        (vec![dns("*")], "leave wildcard not-of-node outside-names"),
        (
            vec![dns("Worker-1")],
            "leave name-unusual not-of-node outside-names",
        ),
        (
            vec![dns("worker-1.")],
            "leave name-unusual not-of-node outside-names",
        ),
        (
            vec![dns("")],
            "leave name-unusual not-of-node outside-names",
        ),
        (
            vec![dns("b\u{fc}cher")],
            "leave name-unusual not-of-node outside-names",
        ),
        (
            vec![dns("worker-1\0.evil.org")],
            "leave name-unusual not-of-node outside-names",
        ),
        (
            vec![dns("worker_1")],
            "leave name-unusual not-of-node outside-names",
        ),
        (
            vec![dns("10.0.1.1")],
            "leave name-unusual not-of-node outside-names",
        ),
        (vec![dns("xn--bcher-kva")], "approve"),
        (
            vec![
                SubjectAltName::Email("a@example.com".to_owned()),
                dns("worker-1"),
            ],
            "leave other-kind-of-name",
        ),
        (
            vec![
                SubjectAltName::Uri("spiffe://x".to_owned()),
                dns("worker-1"),
            ],
            "leave other-kind-of-name",
        ),
        (
            // registeredID
            vec![
                SubjectAltName::Other(vec![0x88, 2, 0x2a, 3]),
                dns("worker-1"),
            ],
            "leave other-kind-of-name",
        ),
        (
            // An address of five bytes.
            vec![SubjectAltName::Other(vec![0x87, 5, 10, 0, 1, 1, 0])],
            "leave other-kind-of-name",
        ),
        (vec![dns("worker-1"); 65], "leave too-many-names"),
    ] {
        assert_eq!(asks_for(&names), verdict, "{names:?}");
    }
}

#[test]
fn a_subject_that_is_not_the_kubelets_own_is_denied_or_left() {
    let named = |text: &str| crafted(|crafted| crafted.subject[1].2 = text.to_owned());
    assert_eq!(named("system:node:worker-2"), "deny common-name-of-other");
    assert_eq!(named("kubernetes-admin"), "deny common-name-of-other");
    assert_eq!(named("System:node:worker-1"), "deny common-name-of-other");
    let with = |attribute: (u64, u8, &str)| {
        crafted(|crafted| {
            let (number, tag, text) = attribute;
            crafted.subject.push((number, tag, text.to_owned()));
        })
    };
    assert_eq!(with((O, PRINTABLE, "system:masters")), "deny other-groups");
    assert_eq!(
        with((O, PRINTABLE, "system:nodes")),
        "leave nodes-group-missing"
    );
    assert_eq!(
        with((CN, PRINTABLE, "system:node:worker-2")),
        "leave subject-unusual"
    );
    // organizationalUnitName
    assert_eq!(with((11, PRINTABLE, "x")), "leave subject-unusual");
    // An IA5String is what Go reads and never writes.
    assert_eq!(
        crafted(|crafted| crafted.subject[1].1 = 0x16),
        "leave subject-unusual"
    );
    assert_eq!(
        crafted(|crafted| crafted.subject.retain(|(number, ..)| *number != O)),
        "leave nodes-group-missing"
    );
    assert_eq!(
        crafted(|crafted| crafted.subject.retain(|(number, ..)| *number != CN)),
        "leave subject-unusual"
    );
    assert_eq!(
        crafted(|crafted| crafted.subject[0].2 = "system:masters".to_owned()),
        "deny other-groups"
    );
}

#[test]
fn to_be_an_authority_or_the_api_server_is_denied() {
    assert_eq!(
        crafted(|crafted| crafted.is_ca = true),
        "deny authority-wanted"
    );
    // keyCertSign, cRLSign
    assert_eq!(
        crafted(|crafted| crafted.key_usage = Some(1 << 5)),
        "deny authority-wanted"
    );
    assert_eq!(
        crafted(|crafted| crafted.key_usage = Some(1 << 6)),
        "deny authority-wanted"
    );
    assert_eq!(
        changed(|request| request.usages.push("cert sign".to_owned())),
        "deny authority-wanted"
    );
    for name in [
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "Kubernetes.Default.SVC.",
        "kubernetes.default.svc.example.org",
    ] {
        assert_eq!(
            asks_for(&[dns("worker-1"), dns(name)]),
            "deny api-server-service",
            "{name}"
        );
    }
    let other = asks_for(&[dns("kubernetes.defaulted.example.com")]);
    assert!(other.starts_with("leave"), "{other}");
}

#[test]
fn whoever_is_no_kubelet_is_left_whatever_he_asks_for() {
    let hostile = || {
        let mut crafted = usual();
        crafted.is_ca = true;
        crafted.subject[0].2 = "system:masters".to_owned();
        RequestText::Text(crafted.pem().into_bytes())
    };
    for (change, code) in [
        (
            (|request: &mut KubeletRequest| request.username = "anna".to_owned())
                as fn(&mut KubeletRequest),
            "requestor-not-node",
        ),
        (
            |request| request.username = "system:node:".to_owned(),
            "requestor-not-node",
        ),
        (
            |request| request.username = "system:node:a b".to_owned(),
            "requestor-not-node",
        ),
        (
            |request| request.groups = vec!["system:masters".to_owned()],
            "requestor-not-in-group",
        ),
        (|request| request.groups.clear(), "requestor-not-in-group"),
        (
            |request| request.signer = "example.com/mine".to_owned(),
            "other-signer",
        ),
        (|request| request.signer.push('x'), "other-signer"),
        (
            |request| request.state = RequestState::Denied,
            "already-decided",
        ),
        (
            |request| request.state = RequestState::Failed,
            "already-decided",
        ),
    ] {
        let verdict = changed(|request| {
            request.text = hostile();
            change(request);
        });
        let is_left = verdict.starts_with("leave") && verdict.contains(code);
        assert!(is_left && verdict.contains("authority-wanted"), "{verdict}");
        let verdict = changed(change);
        assert!(
            verdict.starts_with("leave") && verdict.contains(code),
            "{verdict}"
        );
    }
}

#[test]
fn usages_are_a_serving_certificates_and_nothing_else() {
    let usages = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        changed(|request| request.usages = words)
    };
    assert_eq!(usages(&USAGES), "approve");
    assert_eq!(usages(&["server auth", "digital signature"]), "approve");
    for words in [
        &[][..],
        &["server auth"],
        &["any"],
        &["digital signature", "server auth", "any"],
        &["digital signature", "server auth", "client auth"],
        &["digital signature", "client auth"],
        &["digital signature", "server auth", "server auth"],
        &["Digital Signature", "server auth"],
        &[
            "digital signature",
            "key encipherment",
            "key encipherment",
            "server auth",
        ],
    ] {
        assert_eq!(usages(words), "leave other-usages", "{words:?}");
    }
    // clientAuth, anyExtendedKeyUsage, nonRepudiation
    let own = |usage: &'static [u64]| crafted(|crafted| crafted.extended_key_usage = vec![usage]);
    assert_eq!(own(&[1, 3, 6, 1, 5, 5, 7, 3, 2]), "leave other-usages");
    assert_eq!(own(&[2, 5, 29, 37, 0]), "leave other-usages");
    assert_eq!(own(&[1, 3, 6, 1, 5, 5, 7, 3, 1]), "approve");
    assert_eq!(
        crafted(|crafted| crafted.key_usage = Some(1 << 1)),
        "leave other-usages"
    );
    assert_eq!(
        crafted(|crafted| crafted.key_usage = Some(0b101)),
        "approve"
    );
    // nameConstraints, challengePassword
    let extension = crafted(|crafted| crafted.extensions = vec![&[2, 5, 29, 30]]);
    assert_eq!(extension, "leave other-extensions");
    let attribute = crafted(|crafted| crafted.attributes = vec![&[1, 2, 840, 113_549, 1, 9, 7]]);
    assert_eq!(attribute, "leave other-extensions");
}

#[test]
fn what_is_not_one_plain_request_is_left_before_anything_of_it_counts() {
    let pem = usual().pem();
    let text =
        |text: String| changed(|request| request.text = RequestText::Text(text.into_bytes()));
    assert_eq!(text(String::new()), "leave request-not-plain");
    assert_eq!(text(pem.repeat(2)), "leave request-not-plain");
    assert_eq!(
        text(format!("{pem}-----BEGIN X-----\n")),
        "leave request-not-plain"
    );
    assert_eq!(text(format!("{pem}rest\n")), "leave request-not-plain");
    assert_eq!(
        text(pem.replace("CERTIFICATE REQUEST", "CERTIFICATE")),
        "leave request-not-plain"
    );
    assert_eq!(
        text(pem.replace("CERT", "NEW CERT")),
        "leave request-not-plain"
    );
    let headers = pem.replacen("-----\n", "-----\nProc-Type: 4\n\n", 1);
    assert_eq!(text(headers), "leave request-not-plain");
    assert_eq!(
        text("\u{feff}".to_owned() + &pem),
        "leave request-not-plain"
    );
    assert_eq!(
        text(pem.get(..200).unwrap().to_owned()),
        "leave request-not-plain"
    );
    assert_eq!(
        crafted(|crafted| crafted.breaks_signature = true),
        "leave signature-wrong"
    );
    assert_eq!(
        crafted(|crafted| crafted.names_twice = true),
        "leave request-malformed"
    );
    assert_eq!(
        crafted(|crafted| crafted.two_lists = true),
        "leave request-malformed"
    );
    assert_eq!(
        crafted(|crafted| crafted.behind_names = vec![5, 0]),
        "leave request-malformed"
    );
    assert_eq!(
        crafted(|crafted| crafted.behind_signature = vec![5, 0]),
        "leave request-malformed"
    );
    let mut der = usual().der();
    der.push(0);
    let behind = crate::pki::crafted::armoured(&der);
    assert_eq!(text(behind), "leave request-malformed");
    assert_eq!(
        changed(|request| request.text = RequestText::TooLong(1 << 20)),
        "leave request-too-long"
    );
    assert_eq!(
        changed(|request| request.has_more = true),
        "leave request-too-long"
    );
}

#[test]
fn weak_keys_and_unusual_lifetimes_are_left() {
    macro_rules! data {
        ($name:literal) => {
            include_bytes!(concat!("../../../../tests/data/requests/", $name, ".pem")).to_vec()
        };
    }
    let text = |text: Vec<u8>| changed(|request| request.text = RequestText::Text(text));
    assert_eq!(text(data!("rsa1024")), "leave key-weak");
    assert_eq!(text(data!("secp256k1")), "leave key-weak");
    assert_eq!(text(data!("p224")), "leave signature-unchecked");
    assert_eq!(text(data!("ed448")), "leave signature-unchecked");
    for (seconds, verdict) in [
        (i32::MIN, "leave lifetime-unusual"),
        (0, "leave lifetime-unusual"),
        (599, "leave lifetime-unusual"),
        (600, "approve"),
        (31_536_000, "approve"),
        (366 * 86_400 + 1, "leave lifetime-unusual"),
        (i32::MAX, "leave lifetime-unusual"),
    ] {
        let said = changed(|request| request.expiration_seconds = Some(seconds));
        assert_eq!(said, verdict, "{seconds}");
    }
}

#[test]
fn a_node_that_is_not_there_or_just_came_or_goes_waits() {
    for (node, names, verdict) in [
        (
            "worker-none",
            vec![dns("worker-none")],
            "leave node-missing not-of-node",
        ),
        (
            "worker-new",
            vec![dns("worker-new")],
            "leave node-too-young",
        ),
        (
            "worker-future",
            vec![dns("worker-future")],
            "leave node-too-young",
        ),
        (
            "worker-going",
            vec![dns("worker-going")],
            "leave node-going",
        ),
    ] {
        let request = of_text(node, Crafted::of(node, &names).pem().as_bytes());
        assert_eq!(said(&judged(&request)), verdict, "{node}");
    }
    let young = judged(&of_text(
        "worker-new",
        Crafted::of("worker-new", &[]).pem().as_bytes(),
    ));
    assert!(young.reasons.contains(&Reason::NodeTooYoung { seconds: 1 }));
}

#[test]
fn names_are_looked_up_only_where_nothing_else_speaks_against_it() {
    let mut looks_up = settings();
    looks_up.dns = true;
    let request = of_text("worker-1", usual().pem().as_bytes());
    let asked = judged_with(&request, &looks_up, &Lookups::new());
    assert_eq!(said(&asked), "leave not-looked-up");
    assert_eq!(names_to_look_up(&asked), ["worker-1"]);
    let to = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|one| one.parse().unwrap()).collect();
        let lookups = Lookups::from([("worker-1".to_owned(), Lookup::To(addresses))]);
        said(&judged_with(&request, &looks_up, &lookups))
    };
    assert_eq!(to(&["10.0.1.1"]), "approve");
    assert_eq!(to(&["10.0.1.1", "2001:db8::1"]), "approve");
    assert_eq!(to(&["::ffff:10.0.1.1"]), "approve");
    assert_eq!(to(&["10.0.1.1", "198.51.100.1"]), "leave leads-elsewhere");
    let failed = Lookups::from([(
        "worker-1".to_owned(),
        Lookup::Failed("no such name".to_owned()),
    )]);
    assert_eq!(
        said(&judged_with(&request, &looks_up, &failed)),
        "leave lookup-failed"
    );

    let foreign = Crafted::of("worker-1", &[dns("evil.example.com"), dns("worker-1")]);
    let foreign = of_text("worker-1", foreign.pem().as_bytes());
    let asked = judged_with(&foreign, &looks_up, &Lookups::new());
    assert!(names_to_look_up(&asked).is_empty(), "{:?}", codes(&asked));
}

#[test]
fn no_more_are_approved_than_may_be() {
    let request = of_text("worker-1", usual().pem().as_bytes());
    let with = |standing: Standing| {
        let case = Case {
            request: &request,
            facts: &facts(),
            settings: &settings(),
            standing: &standing,
            lookups: &Lookups::new(),
            now: at(NOW),
        };
        said(&judge(&case))
    };
    let standing = |approved, of_node, newer: Option<&str>| Standing {
        approved,
        of_node,
        newer: newer.map(str::to_owned),
    };
    assert_eq!(with(standing(19, 3, None)), "approve");
    assert_eq!(with(standing(20, 0, None)), "leave rate-reached");
    assert_eq!(with(standing(0, 4, None)), "leave node-rate-reached");
    assert_eq!(with(standing(0, 0, Some("csr-2"))), "leave newer-request");
}

#[test]
fn without_networks_patterns_or_a_service_network_nothing_passes() {
    let request = of_text("worker-1", usual().pem().as_bytes());
    let nothing = judged_with(&request, &Approver::default(), &Lookups::new());
    assert_eq!(
        said(&nothing),
        "leave outside-networks outside-networks outside-names"
    );
    let facts = ClusterFacts {
        service_networks: Vec::new(),
        ..facts()
    };
    let case = Case {
        request: &request,
        facts: &facts,
        settings: &settings(),
        standing: &Standing::default(),
        lookups: &Lookups::new(),
        now: at(NOW),
    };
    assert_eq!(said(&judge(&case)), "leave service-network-unknown");
}

#[test]
fn every_check_has_a_result_and_a_request_that_cannot_be_read_passes_none_of_its_contents() {
    let all: Vec<&str> = Check::ALL.into_iter().map(Check::code).collect();
    assert_eq!(all, <Check as strum::VariantNames>::VARIANTS);
    let good = judged(&of_text("worker-1", usual().pem().as_bytes()));
    for check in Check::ALL {
        let expected = match check {
            Check::Dns => CheckResult::NotAskedFor,
            _ => CheckResult::Passed,
        };
        assert_eq!(good.result(check), expected, "{check:?}");
    }
    let damaged = judged(&of_text("worker-1", b"x"));
    let passed: Vec<Check> = Check::ALL
        .into_iter()
        .filter(|check| damaged.result(*check) == CheckResult::Passed)
        .collect();
    let outside = [
        Check::State,
        Check::Signer,
        Check::Requestor,
        Check::Usages,
        Check::Lifetime,
        Check::Node,
        Check::Rate,
    ];
    assert_eq!(passed, outside);
}

proptest::proptest! {
    #[test]
    fn no_bytes_are_approved_or_denied(bytes: Vec<u8>) {
        let said = said(&judged(&of_text("worker-1", &bytes)));
        proptest::prop_assert!(said.starts_with("leave"), "{said}");
    }

    #[test]
    fn a_request_with_one_byte_changed_is_not_approved(at: usize, bit in 0..8_u8) {
        let mut der = usual().der();
        let at = at % der.len();
        der[at] ^= 1 << bit;
        let text = crate::pki::crafted::armoured(&der);
        let said = said(&judged(&of_text("worker-1", text.as_bytes())));
        proptest::prop_assert!(said.starts_with("leave"), "{said}");
    }
}

/// Run by hand: `cargo test --profile dist --lib a_thousand -- --ignored --nocapture`.
#[test]
#[ignore = "a figure, not a fact"]
fn a_thousand_requests_are_judged_in_time() {
    let requests: Vec<KubeletRequest> = (0..1000)
        .map(|_| of_text("worker-1", usual().pem().as_bytes()))
        .collect();
    let (facts, settings) = (facts(), settings());
    let began = std::time::Instant::now();
    let approved = requests
        .iter()
        .filter(|request| {
            let case = Case {
                request,
                facts: &facts,
                settings: &settings,
                standing: &Standing::default(),
                lookups: &Lookups::new(),
                now: at(NOW),
            };
            judge(&case).verdict() == Verdict::Approve
        })
        .count();
    println!("{approved} of 1000 approved in {:?}", began.elapsed());
    assert_eq!(approved, 1000);
}
