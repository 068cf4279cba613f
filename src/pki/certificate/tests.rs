use super::*;

const APISERVER: &[u8] = include_bytes!("../../../tests/data/kubeadm/apiserver.crt");
const KUBELET_CLIENT: &[u8] =
    include_bytes!("../../../tests/data/kubeadm/apiserver-kubelet-client.crt");
const CA: &[u8] = include_bytes!("../../../tests/data/kubeadm/ca.crt");
const KEY: &[u8] = include_bytes!("../../../tests/data/kubeadm/ca.key");
const VERSION_1: &[u8] = include_bytes!("../../../tests/data/version1.crt");

fn only(text: &[u8]) -> Certificate {
    let certificates = certificates_from_pem(text).unwrap();
    assert_eq!(certificates.len(), 1);
    certificates.into_iter().next().unwrap()
}

#[test]
fn a_certificate_by_kubeadm_is_described() {
    let certificate = only(APISERVER);
    assert_eq!(certificate.subject, "CN=kube-apiserver");
    assert_eq!(certificate.issuer, "CN=kubernetes");
    assert_eq!(certificate.common_name.as_deref(), Some("kube-apiserver"));
    assert_eq!(certificate.serial, "76e8879db627beef");
    assert_eq!(certificate.not_after.to_string(), "2027-11-23T23:18:49Z");
    assert_eq!(certificate.key_usage, Some(0b101));
    assert_eq!(certificate.extended_key_usage, ["1.3.6.1.5.5.7.3.1"]);
    assert!(!certificate.is_ca);
    assert_eq!(certificate.subject_key_id, None);
    let names = &certificate.subject_alt_names;
    assert_eq!(names[0], SubjectAltName::Dns("*.example.net".to_owned()));
    assert_eq!(names[7], SubjectAltName::Ip("10.96.0.1".parse().unwrap()));
    assert_eq!(names[9], SubjectAltName::Ip("2001:db8::7".parse().unwrap()));
    assert_eq!(certificates_to_pem([&certificate]).as_bytes(), APISERVER);

    let client = only(KUBELET_CLIENT);
    assert_eq!(client.organizations, ["system:masters"]);
}

#[test]
fn signatures_are_checked_against_name_and_key() {
    let (authority, leaf) = (only(CA), only(APISERVER));
    assert!(authority.is_ca);
    assert_eq!(authority.serial, "00");
    assert_eq!(leaf.authority_key_id, authority.subject_key_id);
    assert!(leaf.is_signed_by(&authority));
    assert!(authority.is_self_signed());
    assert!(!leaf.is_self_signed());
    assert!(!authority.is_signed_by(&leaf));

    let mut der = leaf.der().to_vec();
    let start = der
        .windows(14)
        .position(|word| word == b"kube-apiserver")
        .unwrap();
    der[start] = b'c';
    let forged = Certificate::from_der(&der).unwrap();
    assert!(!forged.is_signed_by(&authority));
    let mut renamed = authority;
    renamed.subject_der.push(0);
    assert!(!leaf.is_signed_by(&renamed));
}

#[test]
fn validity_includes_both_ends() {
    let certificate = only(APISERVER);
    let second = std::time::Duration::from_secs(1);
    assert!(certificate.is_valid_at(certificate.not_before));
    assert!(certificate.is_valid_at(certificate.not_after));
    assert!(!certificate.is_valid_at(certificate.not_before - second));
    assert!(!certificate.is_valid_at(certificate.not_after + second));
}

#[test]
fn version_1_has_no_extensions_and_is_read() {
    let certificate = only(VERSION_1);
    assert_eq!(certificate.key_usage, None);
    assert!(certificate.extensions.is_empty());
    assert!(certificate.is_signed_by(&only(CA)));
}

#[test]
fn an_extension_may_appear_only_once() {
    // As Go has it; subjectAltName becomes a second keyUsage.
    let mut der = only(APISERVER).der;
    let at = der
        .windows(5)
        .position(|word| word == [0x06, 3, 0x55, 0x1d, 0x11])
        .unwrap();
    der[at + 4] = 0x0f;
    assert_eq!(
        Certificate::from_der(&der).unwrap_err(),
        CertificateError::Der(
            "its extension 2.5.29.15 is there twice, which Kubernetes does not accept".to_owned()
        )
    );
}

#[test]
fn other_blocks_and_text_are_skipped() {
    let headed = String::from_utf8(CA.to_vec())
        .unwrap()
        .replace("CERTIFICATE-----\nMII", "CERTIFICATE-----\nA: b\n\nMII");
    let text = [
        b"bundle\n",
        KEY,
        headed.as_bytes(),
        APISERVER,
        b"between",
        b"\n",
        CA,
    ]
    .concat();
    let certificates = certificates_from_pem(&text).unwrap();
    let subjects: Vec<&str> = certificates.iter().map(|c| c.subject.as_str()).collect();
    assert_eq!(subjects, ["CN=kube-apiserver", "CN=kubernetes"]);
    assert_eq!(
        certificates_to_pem(&certificates).as_bytes(),
        [APISERVER, CA].concat()
    );
    let crlf = String::from_utf8(CA.to_vec())
        .unwrap()
        .replace('\n', "\r\n");
    assert_eq!(only(crlf.as_bytes()), only(CA));
}

#[test]
fn what_is_no_certificate_says_what_it_is() {
    let none = |label: Option<&str>| CertificateError::NoCertificate(label.map(str::to_owned));
    assert_eq!(certificates_from_pem(b"").unwrap_err(), none(None));
    assert_eq!(
        certificates_from_pem(b"\0\xff\x30\x82").unwrap_err(),
        none(None)
    );
    assert_eq!(
        certificates_from_pem(KEY).unwrap_err(),
        none(Some("EC PRIVATE KEY"))
    );
    for length in ["-----BEGIN CERTIFICATE-----".len(), 300, CA.len() - 4] {
        assert!(matches!(
            certificates_from_pem(&CA[..length]).unwrap_err(),
            CertificateError::Pem(reason) if reason.contains("cut off")
        ));
    }
    let mut odd = CA.to_vec();
    odd[200] = b'!';
    assert!(matches!(
        certificates_from_pem(&odd).unwrap_err(),
        CertificateError::Pem(reason) if reason.contains("not base64")
    ));
    let short = armour::encode(LABEL, &only(CA).der()[..300]);
    assert!(matches!(
        certificates_from_pem(short.as_bytes()).unwrap_err(),
        CertificateError::Der(_)
    ));
    let long = armour::encode(LABEL, &[only(CA).der(), b"x"].concat());
    assert_eq!(
        certificates_from_pem(long.as_bytes()).unwrap_err(),
        CertificateError::Der("1 bytes follow the certificate".to_owned())
    );
}

#[test]
fn ten_megabytes_are_read_in_passing() {
    let started = std::time::Instant::now();
    for unit in [
        b"\n".as_slice(),
        b"x",
        b"-----BEGIN X-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----END",
    ] {
        let mut text = unit.repeat(10_000_000 / unit.len());
        assert!(certificates_from_pem(&text).is_err());
        text.splice(..0, b"-----BEGIN CERTIFICATE-----\n".iter().copied());
        assert!(certificates_from_pem(&text).is_err());
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        bytes: Vec<u8>,
        at in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..4),
    ) {
        let _ = Certificate::from_der(&bytes);
        let _ = certificates_from_pem(&bytes);
        for original in [APISERVER, CA, KUBELET_CLIENT] {
            let mut der = only(original).der;
            for (at, with) in &at {
                let at = at.index(der.len());
                der[at] = *with;
            }
            if let Ok(certificate) = Certificate::from_der(&der) {
                let _ = certificate.is_self_signed();
                let _ = certificate.is_signed_by(&only(CA));
            }
            let cut = at[0].0.index(der.len());
            proptest::prop_assert!(Certificate::from_der(&der[..cut]).is_err());
        }
    }
}
