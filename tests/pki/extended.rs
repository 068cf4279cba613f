//! CAs' certificates made anew for the same key, in the eyes of OpenSSL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{
    Certificate, CertificateAuthority, PrivateKey, Validity, certificates_from_pem,
    certificates_to_pem, extend,
};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    /// With a CA of these extensions, which is valid for a day, and leaves that it signed with these.
    fn of(authority: &[&str], leaves: &[(&str, &str)]) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            testkit::skipped("openssl is not installed: its opinion was not asked for");
            return None;
        }
        let place = Self(tempfile::tempdir().unwrap());
        let configuration = format!(
            "[req]\ndistinguished_name = none\nx509_extensions = own\n[none]\n[own]\n{}\n",
            authority.join("\n")
        );
        fs::write(place.path("configuration"), configuration).unwrap();
        place.does(&words(
            "req -x509 -config configuration -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 1 -subj /CN=kubernetes -keyout ca.key -out ca.crt",
        ));
        for (name, extensions) in leaves {
            fs::write(place.path("extensions"), extensions).unwrap();
            place.does(&words(&format!(
                "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN={name} -keyout {name}.key -out {name}.csr"
            )));
            place.does(&words(&format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -days 1 -extfile extensions -out {name}.crt"
            )));
        }
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &[String]) -> Output {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(self.0.path());
        command.output().unwrap()
    }

    fn does(&self, arguments: &[String]) -> Vec<u8> {
        let output = self.openssl(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        output.stdout
    }

    fn verifies(&self, authority: &str, leaf: &str) -> bool {
        let arguments = format!("verify -check_ss_sig -x509_strict -CAfile {authority} {leaf}.crt");
        self.openssl(&words(&arguments)).status.success()
    }

    fn certificate(&self, name: &str) -> Certificate {
        read(&self.path(name))
    }

    /// Makes new.crt, for ten years.
    fn extend(&self) -> Certificate {
        let key = PrivateKey::from_pem(&fs::read(self.path("ca.key")).unwrap()).unwrap();
        let now = Timestamp::now();
        let validity = Validity {
            not_before: now,
            not_after: now + SignedDuration::from_hours(24 * 3650),
        };
        let authority = CertificateAuthority::new(&[self.certificate("ca.crt")], key).unwrap();
        let new = extend(&authority, validity).unwrap();
        fs::write(self.path("new.crt"), certificates_to_pem([&new])).unwrap();
        new
    }

    /// What `kubeadm join --discovery-token-ca-cert-hash` is made of.
    fn public_key(&self, certificate: &str) -> Vec<u8> {
        self.does(&words(&format!("x509 -in {certificate} -noout -pubkey")))
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn read(path: &Path) -> Certificate {
    certificates_from_pem(&fs::read(path).unwrap())
        .unwrap()
        .remove(0)
}

const USAGES: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n";
const CA_USAGES: &str = "keyUsage=critical,digitalSignature,keyCertSign";

#[test]
fn old_leaves_verify_against_the_new_certificate_whatever_the_identifier_is() {
    let by_key =
        format!("{USAGES}subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n");
    for identifier in ["hash", "01:02:03:04"] {
        let identifier = format!("subjectKeyIdentifier={identifier}");
        let constraints = "basicConstraints=critical,CA:TRUE,pathlen:0";
        let authority = [CA_USAGES, constraints, &identifier];
        let Some(place) = Place::of(&authority, &[("leaf", &by_key)]) else {
            return;
        };
        let new = place.extend();
        assert!(place.verifies("ca.crt", "leaf") && place.verifies("new.crt", "leaf"));
        assert_eq!(place.public_key("ca.crt"), place.public_key("new.crt"));
        assert_eq!(
            new.subject_key_id,
            place.certificate("ca.crt").subject_key_id
        );
        assert_eq!(new.path_length(), Some(0));
    }
}

/// Why such a leaf speaks against it.
#[test]
fn a_leaf_that_names_the_old_certificate_itself_does_not_verify_and_is_known() {
    let by_serial = format!(
        "{USAGES}subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer:always\n"
    );
    let constraints = "basicConstraints=critical,CA:TRUE";
    let authority = [CA_USAGES, constraints, "subjectKeyIdentifier=hash"];
    let Some(place) = Place::of(&authority, &[("leaf", &by_serial)]) else {
        return;
    };
    place.extend();
    assert!(place.verifies("ca.crt", "leaf"));
    assert!(!place.verifies("new.crt", "leaf"));
    assert!(
        place
            .certificate("leaf.crt")
            .names_one_issuing_certificate()
    );
    assert!(!place.certificate("ca.crt").names_one_issuing_certificate());
}
