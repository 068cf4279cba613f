//! Certificates and keys of kinds that kubeadm does not make: what is told of them, and what a renewal makes of them.

// Helpers of tests are tests to us, though not to clippy.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use jiff::Timestamp;
use kubecertd::config::{Config, Renewal};
use kubecertd::issuer::{Issued, Wanted, issue};
use kubecertd::node::{Inventory, KeyState, Signer};
use kubecertd::pki::{
    Certificate, CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, Validity,
    certificates_from_pem, certificates_to_pem,
};
use kubecertd::plan::{Action, Note, Obstacle, PlanItem, Reason, Request, plan};
use kubecertd::report::PlanView;
use testkit::Node;
use testkit::kubeadm::{days, leaf, made};

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../data/", $name)).as_slice()
    };
}

const CA: &[u8] = data!("kubeadm/ca.crt");
const CA_KEY: &[u8] = data!("kubeadm/ca.key");
const LEAF_KEY: &[u8] = data!("kubeadm/apiserver.key");

fn only(pem: &[u8]) -> Certificate {
    certificates_from_pem(pem).unwrap().remove(0)
}

/// A node whose Kubernetes CA and apiserver certificate are these.
fn tree(ca: &[u8], ca_key: &[u8], crt: &[u8], key: &[u8]) -> Node {
    let tree = Node::as_kubeadm_made_it();
    tree.write_pki("ca.crt", ca);
    tree.write_pki("ca.key", ca_key);
    tree.write_pki("apiserver.crt", crt);
    tree.write_pki("apiserver.key", key);
    tree
}

fn item_with(inventory: &Inventory, config: &Config, now: Timestamp) -> PlanItem {
    let plan = plan(inventory, config, &Request::Due, now).unwrap();
    let table = PlanView::from(&plan).to_table();
    let item = plan
        .items
        .into_iter()
        .find(|item| item.id.as_str() == "apiserver");
    let item = item.unwrap();
    for note in &item.notes {
        assert!(
            table.contains(&format!("Note: apiserver: {note}\n")),
            "{table}"
        );
    }
    item
}

fn item(inventory: &Inventory, now: Timestamp) -> PlanItem {
    item_with(inventory, &Config::default(), now)
}

fn present(inventory: &Inventory) -> &kubecertd::node::Present {
    inventory.find("apiserver").unwrap().present().unwrap()
}

fn issued(inventory: &Inventory, renewal: &Renewal, now: Timestamp) -> Issued {
    let wanted = Wanted {
        id: "apiserver".into(),
        may_end_sooner: true,
        more_names: Vec::new(),
    };
    issue(inventory, renewal, &[wanted], now).remove(0).unwrap()
}

/// The same certificate with a signature that claims to be ECDSA with SHA-224, which cannot be checked.
fn unchecked(certificate: &Certificate) -> Certificate {
    let sha256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let mut der = certificate.der().to_vec();
    let places: Vec<usize> = (0..der.len() - 8)
        .filter(|at| der[*at..*at + 8] == sha256)
        .collect();
    assert_eq!(places.len(), 2);
    for at in places {
        der[at + 7] = 1;
    }
    Certificate::from_der(&der).unwrap()
}

#[test]
fn what_cannot_be_checked_is_renewed_and_what_is_foreign_is_not() {
    let tree = Node::as_kubeadm_made_it();
    let odd = unchecked(&leaf(&tree.ca, "kube-apiserver", 365).certificate);
    let key = leaf(&tree.ca, "x", 1).key_pem();
    tree.write_pki("apiserver.crt", certificates_to_pem([&odd]));
    tree.write_pki("apiserver.key", key);
    let inventory = tree.observe();
    let what = "ECDSA with SHA-224 by ECDSA-P256";
    assert_eq!(
        present(&inventory).signer,
        Signer::Unchecked(what.to_owned())
    );
    let now = made() + days(350);
    let planned = item(&inventory, now);
    assert!(matches!(planned.action, Action::Renew(_)), "{planned:?}");
    assert!(
        planned
            .notes
            .iter()
            .any(|note| note.to_string().contains(what)),
        "{planned:?}"
    );
    let new = issued(&inventory, &Renewal::default(), now);
    assert!(new.certificate.is_signed_by(tree.ca.certificate()));

    // The same by another CA of that name, as its key identifier says.
    let other = testkit::kubeadm::authority("kubernetes");
    let foreign = unchecked(&leaf(&other, "kube-apiserver", 365).certificate);
    tree.write_pki("apiserver.crt", certificates_to_pem([&foreign]));
    let inventory = tree.observe();
    assert_eq!(
        present(&inventory).signer,
        Signer::Foreign("CN=kubernetes".to_owned())
    );
    assert!(matches!(
        item(&inventory, now).action,
        Action::Leave(Obstacle::ForeignIssuer { .. })
    ));
}

#[test]
fn a_key_that_cannot_be_checked_is_renewed_when_it_is_due_and_not_at_once() {
    for (crt, key, state, successor) in [
        (
            data!("certificates/ed448-by-kubeadm.crt"),
            data!("keys/ed448.pem"),
            None,
            KeyAlgorithm::EcdsaP521,
        ),
        (
            data!("certificates/rsa1024-by-kubeadm.crt"),
            data!("keys/rsa1024-pkcs1.pem"),
            Some(KeyState::Matching(None)),
            KeyAlgorithm::Rsa2048,
        ),
    ] {
        let tree = tree(CA, CA_KEY, crt, key);
        let inventory = tree.observe();
        let old = only(crt);
        match &present(&inventory).key {
            KeyState::Unsupported(problem) => {
                assert_eq!(state, None);
                assert!(
                    problem.fault.to_string().contains("not supported"),
                    "{}",
                    problem.fault
                );
            }
            found => assert_eq!(Some(found), state.as_ref()),
        }
        assert_eq!(present(&inventory).signer, Signer::Expected);
        assert_eq!(
            item(&inventory, old.not_before + days(1)).action,
            Action::Wait
        );
        let now = old.not_after - days(10);
        let planned = item(&inventory, now);
        assert_eq!(planned.action, Action::Renew(Reason::Due));
        let changes = format!("the new one is {successor}");
        assert!(
            planned
                .notes
                .iter()
                .any(|note| note.to_string().contains(&changes)),
            "{planned:?}"
        );
        let new = issued(&inventory, &Renewal::default(), now);
        assert_eq!(new.key.algorithm(), Some(successor));

        let mut keep = Config::default();
        keep.renewal.reuse_key = true;
        let action = item_with(&inventory, &keep, now).action;
        assert!(
            matches!(&action, Action::Leave(Obstacle::NotSupported(why)) if why.to_string().contains("reuse-key")),
            "{action:?}"
        );

        // Another key of that kind, and one of another kind, are not its own.
        tree.write_pki("apiserver.key", LEAF_KEY);
        assert_eq!(present(&tree.observe()).key, KeyState::Mismatched);
    }
}

#[test]
fn a_ca_that_cannot_sign_here_is_neither_foreign_nor_damaged() {
    for (ca, key, crt, kind, is_checked) in [
        (
            data!("certificates/ed448.crt"),
            data!("keys/ed448.pem"),
            data!("certificates/by-ed448.crt"),
            "Ed448",
            false,
        ),
        (
            data!("certificates/rsa1024-pkcs1.crt"),
            data!("keys/rsa1024-pkcs1.pem"),
            data!("certificates/by-rsa1024.crt"),
            "RSA-1024",
            true,
        ),
    ] {
        let tree = tree(ca, key, crt, LEAF_KEY);
        let inventory = tree.observe();
        let signer = &present(&inventory).signer;
        assert_eq!(matches!(signer, Signer::Expected), is_checked, "{signer:?}");
        assert_eq!(
            matches!(signer, Signer::Unchecked(_)),
            !is_checked,
            "{signer:?}"
        );
        let action = item(&inventory, only(crt).not_after - days(1)).action;
        let Action::Leave(obstacle @ Obstacle::NotSupported(_)) = action else {
            panic!("{action:?}");
        };
        let said = obstacle.to_string();
        assert!(
            said.contains(kind) && said.contains("not supported"),
            "{said}"
        );
    }
}

#[test]
fn a_ca_of_a_kind_that_kubeadm_does_not_make_signs() {
    for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaP521] {
        let validity = Validity {
            not_before: made(),
            not_after: made() + days(3650),
        };
        let ca = CertificateAuthority::generate(&NewAuthority {
            common_name: "kubernetes".to_owned(),
            algorithm,
            not_before: validity.not_before,
            not_after: validity.not_after,
        })
        .unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        let crt = NewLeaf {
            common_name: "kube-apiserver".to_owned(),
            organizations: Vec::new(),
            subject_alt_names: Vec::new(),
            server_auth: true,
            client_auth: false,
        };
        let validity = Validity {
            not_after: made() + days(365),
            ..validity
        };
        let crt = crt.sign(&key, &ca, validity).unwrap();
        let tree = tree(
            certificates_to_pem([ca.certificate()]).as_bytes(),
            ca.key().to_pem().unwrap().as_bytes(),
            certificates_to_pem([&crt]).as_bytes(),
            key.to_pem().unwrap().as_bytes(),
        );
        let inventory = tree.observe();
        assert_eq!(present(&inventory).signer, Signer::Expected);
        assert_eq!(present(&inventory).key, KeyState::Matching(Some(algorithm)));
        assert_eq!(item(&inventory, made() + days(100)).action, Action::Wait);
        let now = made() + days(350);
        let planned = item(&inventory, now);
        assert_eq!(planned.action, Action::Renew(Reason::Due));
        // This one has no names at all.
        let is_of_names = |note: &Note| matches!(note, Note::NamesMissing { .. });
        assert!(planned.notes.iter().all(is_of_names), "{:?}", planned.notes);
        let new = issued(&inventory, &Renewal::default(), now);
        assert_eq!(new.key.algorithm(), Some(algorithm));
        assert!(new.certificate.is_signed_by(ca.certificate()));
    }
}

#[test]
fn a_leaf_that_says_ca_is_renewed_as_a_leaf_and_a_ca_in_its_place_is_not() {
    let crt = data!("certificates/ca-true-by-kubeadm.crt");
    let old = only(crt);
    assert!(old.is_ca);
    let now = old.not_after - days(10);
    let tree = tree(CA, CA_KEY, crt, LEAF_KEY);
    let inventory = tree.observe();
    let planned = item(&inventory, now);
    assert_eq!(planned.action, Action::Renew(Reason::Due));
    assert!(
        planned
            .notes
            .iter()
            .any(|note| note.to_string().contains("CA:FALSE")),
        "{planned:?}"
    );
    let new = issued(&inventory, &Renewal::default(), now);
    assert!(!new.certificate.is_ca);
    assert_eq!(new.certificate.key_usage, Some(0b101));
    assert_eq!(new.certificate.subject_alt_names, old.subject_alt_names);

    // Without its key it may be anything, and the CA's own is none.
    for (crt, key) in [(crt, data!("kubeadm/ca.key")), (CA, LEAF_KEY), (CA, CA_KEY)] {
        tree.write_pki("apiserver.crt", crt);
        tree.write_pki("apiserver.key", key);
        let action = item(&tree.observe(), now).action;
        assert!(matches!(action, Action::Leave(_)), "{action:?}");
    }
}
