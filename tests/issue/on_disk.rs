//! Issuing on a real tree: observed, issued, put in place, observed again.

// Helpers of tests are tests to us, though not to clippy.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kubecertd::config::{KeyPolicy, OwnRenewal, Renewal};
use kubecertd::issuer::{IssuanceError, Issued, Replacement, Wanted, issue, replacements};
use kubecertd::node::{Inventory, KeyState, Kubeconfig, Signer};
use kubecertd::pki::{
    AuthorityId, Catalogued, Certificate, CertificateAuthority, KeyAlgorithm, KubeconfigName,
    LeafName, NewAuthority, NewLeaf, PrivateKey, SubjectAltName, Validity, certificates_from_pem,
    certificates_to_pem,
};
use testkit::{Node, PKI};

const DAY: Duration = Duration::from_secs(86_400);

/// A node with all eleven certificates, which end in ten days.
struct Ending {
    node: Node,
    now: Timestamp,
}

/// One that does not end soon.
fn authority(common_name: &str) -> CertificateAuthority {
    let now = Timestamp::now();
    testkit::pair::authority(common_name, now - 100 * DAY, now + 3000 * DAY)
}

impl Ending {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let node = Self {
            node: Node::of(PKI, authority),
            now: Timestamp::now(),
        };
        for leaf in LeafName::ALL {
            let (certificate, key) = node.make(leaf.name(), leaf.authority(), algorithm);
            let base = format!("pki/{}", leaf.base());
            node.write(&format!("{base}.crt"), &certificates_to_pem([&certificate]));
            node.write(&format!("{base}.key"), &key.to_pem().unwrap());
        }
        for name in KubeconfigName::ALL {
            let (certificate, key) = node.make(name.name(), AuthorityId::Kubernetes, algorithm);
            let certificate = STANDARD.encode(certificates_to_pem([&certificate]));
            let key = STANDARD.encode(&*key.to_pem().unwrap());
            node.write(
                name.name(),
                &kubeconfig(&format!(
                    "client-certificate-data: {certificate}\n    client-key-data: {key}"
                )),
            );
        }
        node
    }

    fn make(
        &self,
        name: &str,
        authority: AuthorityId,
        algorithm: KeyAlgorithm,
    ) -> (Certificate, PrivateKey) {
        let key = PrivateKey::generate(algorithm).unwrap();
        let certificate = self.sign(name, authority, &key);
        (certificate, key)
    }

    fn sign(&self, name: &str, authority: AuthorityId, key: &PrivateKey) -> Certificate {
        NewLeaf {
            common_name: name.to_owned(),
            organizations: vec!["system:masters".to_owned()],
            subject_alt_names: vec![SubjectAltName::Dns(format!("{name}.example.net"))],
            server_auth: true,
            client_auth: true,
        }
        .sign(
            key,
            self.node.authority(authority),
            Validity {
                not_before: self.now - 90 * DAY,
                not_after: self.now + 10 * DAY,
            },
        )
        .unwrap()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.node.path(&format!("/etc/kubernetes/{below}"))
    }

    fn write(&self, below: &str, text: &str) {
        self.node.write(&format!("/etc/kubernetes/{below}"), text);
    }

    fn observe(&self) -> Inventory {
        self.node.observe()
    }

    fn issue(
        &self,
        inventory: &Inventory,
        renewal: &Renewal,
        names: &[&str],
    ) -> Vec<Result<Issued, IssuanceError>> {
        let wanted: Vec<Wanted> = names.iter().map(|name| wanted(name)).collect();
        issue(inventory, renewal, &wanted, self.now)
    }

    /// Issues one and returns its files' new contents.
    fn issue_one(&self, renewal: &Renewal, name: &str) -> (Issued, Vec<Replacement>) {
        let inventory = self.observe();
        let issued = self.issue(&inventory, renewal, &[name]).remove(0).unwrap();
        let files = replacements(&inventory, &issued).unwrap();
        (issued, files)
    }

    fn refusal(&self, renewal: &Renewal, name: &str) -> String {
        self.issue(&self.observe(), renewal, &[name])
            .remove(0)
            .unwrap_err()
            .to_string()
    }
}

fn wanted(name: &str) -> Wanted {
    Wanted {
        id: name.into(),
        may_end_sooner: false,
        more_names: Vec::new(),
    }
}

fn kubeconfig(credentials: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
# A comment that has to stay
current-context: here
clusters:
- name: kubernetes
  cluster:
    server: https://192.0.2.1:6443
contexts:
- name: here
  context: {{cluster: kubernetes, user: me}}
users:
- name: me
  user:
    {credentials}
"
    )
}

fn put_in_place(files: &[Replacement]) {
    for file in files {
        fs::write(&file.path, &file.contents).unwrap();
    }
}

fn paths(files: &[Replacement]) -> Vec<&Path> {
    files.iter().map(|file| file.path.as_path()).collect()
}

fn all_names() -> Vec<&'static str> {
    Catalogued::all()
        .into_iter()
        .map(Catalogued::name)
        .collect()
}

#[test]
fn all_eleven_are_issued_and_fit_when_put_in_place() {
    let node = Ending::new(KeyAlgorithm::EcdsaP256);
    let inventory = node.observe();
    let names = all_names();
    let results = node.issue(&inventory, &Renewal::default(), &names);
    let issued: Vec<Issued> = results.into_iter().map(Result::unwrap).collect();
    let order: Vec<&str> = issued.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(order, names);
    for one in &issued {
        put_in_place(&replacements(&inventory, one).unwrap());
    }

    let after = node.observe();
    let mut serials = BTreeSet::new();
    for name in names {
        let (before, after) = (
            inventory.find(name).unwrap().present().unwrap(),
            after.find(name).unwrap().present().unwrap(),
        );
        assert_eq!(after.signer, Signer::Expected, "{name}");
        assert_eq!(
            after.key,
            KeyState::Matching(Some(KeyAlgorithm::EcdsaP256)),
            "{name}"
        );
        assert_eq!(after.leaf.subject_der, before.leaf.subject_der);
        assert_eq!(after.leaf.subject_alt_names, before.leaf.subject_alt_names);
        assert_ne!(after.leaf.public_key_der, before.leaf.public_key_der);
        let second = |time: Timestamp| time.as_second();
        assert_eq!(
            second(after.leaf.not_before),
            second(node.now - Duration::from_secs(300))
        );
        assert_eq!(
            second(after.leaf.not_after),
            second(node.now + Duration::from_secs(8760 * 3600))
        );
        serials.insert(after.leaf.serial.clone());
    }
    assert_eq!(serials.len(), 11);
    let admin = fs::read_to_string(node.path("admin.conf")).unwrap();
    assert!(admin.contains("# A comment that has to stay"));
}

#[test]
fn the_key_file_comes_first_and_modes_are_kubeadms() {
    let node = Ending::new(KeyAlgorithm::EcdsaP256);
    let (issued, files) = node.issue_one(&Renewal::default(), "etcd-server");
    assert_eq!(
        paths(&files),
        [
            node.path("pki/etcd/server.key"),
            node.path("pki/etcd/server.crt")
        ]
    );
    assert_eq!([files[0].mode_if_new, files[1].mode_if_new], [0o600, 0o644]);
    let key = PrivateKey::from_pem(&files[0].contents).unwrap();
    assert!(key.matches(&issued.certificate));
    assert!(!format!("{files:?}").contains("PRIVATE"));

    let (_, files) = node.issue_one(&Renewal::default(), "scheduler.conf");
    assert_eq!(paths(&files), [node.path("scheduler.conf")]);
    assert_eq!(files[0].mode_if_new, 0o600);
    let text = String::from_utf8(files[0].contents.to_vec()).unwrap();
    assert_eq!(Kubeconfig::parse(&text).unwrap().user, "me");
}

#[test]
fn a_kept_chain_stays_behind_the_new_leaf() {
    let node = Ending::new(KeyAlgorithm::EcdsaP256);
    let authority = node.node.authority(AuthorityId::Kubernetes).certificate();
    let mut text = fs::read_to_string(node.path("pki/apiserver.crt")).unwrap();
    text.push_str(&certificates_to_pem([authority]));
    node.write("pki/apiserver.crt", &text);
    let (issued, files) = node.issue_one(&Renewal::default(), "apiserver");
    let written = certificates_from_pem(&files[1].contents).unwrap();
    assert_eq!(written, [issued.certificate, authority.clone()]);
}

#[test]
fn a_kubeconfig_that_refers_to_files_has_those_replaced() {
    let node = Ending::new(KeyAlgorithm::EcdsaP256);
    let (certificate, key) = node.make(
        "kubernetes-admin",
        AuthorityId::Kubernetes,
        KeyAlgorithm::EcdsaP256,
    );
    let certificate = certificates_to_pem([&certificate]);
    node.write("own/admin.crt", &certificate);
    node.write("own/admin.key", &key.to_pem().unwrap());
    node.write(
        "admin.conf",
        &kubeconfig(
            "client-certificate: own/admin.crt\n    client-key: /etc/kubernetes/own/admin.key",
        ),
    );
    let (_, files) = node.issue_one(&Renewal::default(), "admin.conf");
    assert_eq!(
        paths(&files),
        [node.path("own/admin.key"), node.path("own/admin.crt")]
    );

    node.write(
        "own/both.pem",
        &[certificate.as_str(), &key.to_pem().unwrap()].concat(),
    );
    node.write(
        "admin.conf",
        &kubeconfig("client-certificate: own/both.pem\n    client-key: own/both.pem"),
    );
    let (issued, files) = node.issue_one(&Renewal::default(), "admin.conf");
    assert_eq!(paths(&files), [node.path("own/both.pem")]);
    assert_eq!(files[0].mode_if_new, 0o600);
    assert!(
        PrivateKey::from_pem(&files[0].contents)
            .unwrap()
            .matches(&certificates_from_pem(&files[0].contents).unwrap()[0])
    );
    assert!(issued.key.matches(&issued.certificate));
}

#[test]
fn the_old_key_is_kept_where_asked() {
    let node = Ending::new(KeyAlgorithm::EcdsaP384);
    let renewal = Renewal {
        reuse_key: true,
        ..Renewal::default()
    };
    let (issued, files) = node.issue_one(&renewal, "apiserver");
    assert!(issued.key.matches(&issued.old));
    assert_eq!(paths(&files), [node.path("pki/apiserver.crt")]);
    let (issued, files) = node.issue_one(&renewal, "admin.conf");
    assert!(issued.key.matches(&issued.old));
    assert_eq!(paths(&files), [node.path("admin.conf")]);

    fs::copy(
        node.path("pki/etcd/peer.key"),
        node.path("pki/apiserver.key"),
    )
    .unwrap();
    let refusal = node.refusal(&renewal, "apiserver");
    assert!(refusal.contains("apiserver.key"), "{refusal}");
    assert!(refusal.contains("another certificate's key"), "{refusal}");
    fs::remove_file(node.path("pki/apiserver.key")).unwrap();
    assert!(node.refusal(&renewal, "apiserver").contains("reuse"));
    // Without reuse-key the old key does not matter.
    node.issue_one(&Renewal::default(), "apiserver");
}

#[test]
fn the_algorithm_is_kept_or_the_configured_one() {
    let node = Ending::new(KeyAlgorithm::EcdsaP384);
    let (issued, _) = node.issue_one(&Renewal::default(), "etcd-peer");
    assert_eq!(issued.key.algorithm(), Some(KeyAlgorithm::EcdsaP384));
    let renewal = Renewal {
        key_algorithm: KeyPolicy::Always(KeyAlgorithm::EcdsaP256),
        ..Renewal::default()
    };
    let (issued, _) = node.issue_one(&renewal, "etcd-peer");
    assert_eq!(issued.key.algorithm(), Some(KeyAlgorithm::EcdsaP256));

    // One certificate has another one than all.
    let own = OwnRenewal {
        key_algorithm: Some(KeyPolicy::Always(KeyAlgorithm::EcdsaP384)),
        validity: Some(std::time::Duration::from_secs(20 * 86_400)),
        ..OwnRenewal::default()
    };
    let renewal = Renewal {
        certificates: [("etcd-peer".to_owned(), own)].into(),
        ..renewal
    };
    let (issued, _) = node.issue_one(&renewal, "etcd-peer");
    assert_eq!(issued.key.algorithm(), Some(KeyAlgorithm::EcdsaP384));
    let life = issued.certificate.not_after.duration_since(node.now);
    let days = life.as_secs_f64() / 86_400.0;
    assert!((19.9..=20.0).contains(&days), "{days}");
    let (issued, _) = node.issue_one(&renewal, "apiserver");
    assert_eq!(issued.key.algorithm(), Some(KeyAlgorithm::EcdsaP256));

    // What kubeadm does not make is kept all the same, or followed by the next that is at least as strong.
    for (text, expected) in [
        (
            include_bytes!("../data/keys/p521-sec1.pem").as_slice(),
            KeyAlgorithm::EcdsaP521,
        ),
        (
            include_bytes!("../data/keys/ed25519.pem"),
            KeyAlgorithm::Ed25519,
        ),
        (
            include_bytes!("../data/keys/rsa2560-pkcs1.pem"),
            KeyAlgorithm::Rsa3072,
        ),
    ] {
        let old = PrivateKey::from_pem(text).unwrap();
        let certificate = node.sign("etcd-peer", AuthorityId::Etcd, &old);
        node.write("pki/etcd/peer.crt", &certificates_to_pem([&certificate]));
        node.write("pki/etcd/peer.key", &old.to_pem().unwrap());
        let (issued, _) = node.issue_one(&Renewal::default(), "etcd-peer");
        assert_eq!(issued.key.algorithm(), Some(expected));
    }
}

#[test]
fn one_failure_does_not_hold_up_the_others() {
    let node = Ending::new(KeyAlgorithm::EcdsaP256);
    fs::remove_file(node.path("pki/front-proxy-ca.key")).unwrap();
    fs::copy(node.path("pki/ca.key"), node.path("pki/etcd/ca.key")).unwrap();
    let results = node.issue(
        &node.observe(),
        &Renewal::default(),
        &["front-proxy-client", "apiserver", "nonsense", "etcd-server"],
    );
    let errors: Vec<Option<String>> = results
        .iter()
        .map(|result| result.as_ref().err().map(ToString::to_string))
        .collect();
    let error = |index: usize| errors[index].as_deref().unwrap();
    assert!(error(0).contains("front-proxy-ca.key: the authority's key is not on this node"));
    assert_eq!(errors[1], None);
    assert!(error(2).contains("no certificate of that name"));
    assert!(error(3).contains("etcd/ca.key: the key does not belong to the CA certificate"));
}

#[test]
fn what_another_authority_issued_is_left_alone() {
    let node = Ending::new(KeyAlgorithm::EcdsaP256);
    let (certificate, key) = node.make("apiserver", AuthorityId::Etcd, KeyAlgorithm::EcdsaP256);
    node.write("pki/apiserver.crt", &certificates_to_pem([&certificate]));
    node.write("pki/apiserver.key", &key.to_pem().unwrap());
    let refusal = node.refusal(&Renewal::default(), "apiserver");
    assert!(refusal.contains("issued by CN=etcd-ca"), "{refusal}");
}

#[test]
fn of_a_bundle_the_authority_with_the_key_signs() {
    let node = Ending::new(KeyAlgorithm::EcdsaP256);
    let old = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes-of-old".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: node.now - 3000 * DAY,
        not_after: node.now + 20 * DAY,
    })
    .unwrap();
    let own = node.node.authority(AuthorityId::Kubernetes).certificate();
    node.write("pki/ca.crt", &certificates_to_pem([old.certificate(), own]));
    let (issued, _) = node.issue_one(&Renewal::default(), "apiserver");
    assert!(issued.certificate.is_signed_by(own));
}

#[test]
fn only_force_makes_one_that_ends_sooner() {
    let node = Ending::new(KeyAlgorithm::EcdsaP256);
    let renewal = Renewal {
        validity: DAY,
        ..Renewal::default()
    };
    let refusal = node.refusal(&renewal, "apiserver");
    assert!(refusal.contains("not later than the old one"), "{refusal}");
    let forced = Wanted {
        may_end_sooner: true,
        ..wanted("apiserver")
    };
    let results = issue(&node.observe(), &renewal, &[forced], node.now);
    let issued = results.into_iter().next().unwrap().unwrap();
    assert!(issued.certificate.not_after < issued.old.not_after);
}
