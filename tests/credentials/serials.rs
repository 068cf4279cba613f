//! The files with serial numbers, together with openssl.

use std::fs::File;
use std::process::Command;

use crate::place::Place;

const CA: &str = "/etc/kubernetes/pki/ca.srl";

fn openssl(place: &Place, arguments: &[&str]) -> bool {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(place.path("/etc/kubernetes"))
        .output()
        .unwrap();
    output.status.success()
}

#[test]
fn a_number_is_continued_by_turns_with_openssl() {
    if Command::new("openssl").arg("version").output().is_err() {
        testkit::skipped("openssl is not installed: it has not counted");
        return;
    }
    let place = Place::with_authorities();
    place.generate();
    place.write(CA, "0FFF\n");
    place.succeed(&["csr", "sign", "--allow-system-masters"]);
    // Six are signed by this authority.
    assert_eq!(
        place.read(CA),
        "1007\n".replace("1007", &format!("{:X}", 0xFFF + 7))
    );
    let used = place.certificate("super-admin.conf").serial;
    assert_eq!(u64::from_str_radix(&used, 16).unwrap(), 0xFFF + 7);
    place.remove("/etc/kubernetes/scheduler.conf.crt");
    assert!(openssl(
        &place,
        &[
            "x509",
            "-req",
            "-days",
            "1",
            "-CA",
            "pki/ca.crt",
            "-CAkey",
            "pki/ca.key",
            "-CAserial",
            "pki/ca.srl",
            "-in",
            "scheduler.conf.csr",
            "-out",
            "by-openssl.crt",
        ]
    ));
    assert_eq!(place.read(CA), "1007\n");
    place.succeed(&["csr", "sign", "--allow-system-masters"]);
    assert_eq!(place.read(CA), "1008\n");
    assert_eq!(place.certificate("scheduler.conf").serial, "1008");
    // One that was begun here, at random, is read by openssl.
    let begun = place.read("/etc/kubernetes/pki/etcd/ca.srl");
    assert!(begun.trim().len() > 20 && begun.ends_with('\n'), "{begun}");
    assert!(openssl(
        &place,
        &[
            "x509",
            "-req",
            "-days",
            "1",
            "-CA",
            "pki/etcd/ca.crt",
            "-CAkey",
            "pki/etcd/ca.key",
            "-CAserial",
            "pki/etcd/ca.srl",
            "-in",
            "pki/etcd/peer.csr",
            "-out",
            "by-openssl.crt",
        ]
    ));
    assert_ne!(place.read("/etc/kubernetes/pki/etcd/ca.srl"), begun);
}

#[test]
fn a_file_that_cannot_be_relied_on_is_refused_and_nothing_signed() {
    let place = Place::with_authorities();
    place.generate();
    for (content, said) in [
        ("", "holds no hexadecimal number"),
        ("hello\n", "holds no hexadecimal number"),
        ("-1\n", "holds a negative number"),
        (
            "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF\n",
            "holds a number of more than 159 bits",
        ),
        (
            "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF\n",
            "holds a number of more than 159 bits",
        ),
    ] {
        place.write(CA, content);
        let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
        assert!(error.contains(&format!("{CA}: {said}")), "{error}");
    }
    place.write(CA, "01\n");
    place.write("/etc/kubernetes/pki/ca.srl.new", "02\n");
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(error.contains("openssl is just writing it"), "{error}");
    place.remove("/etc/kubernetes/pki/ca.srl.new");
    place.remove(CA);
    place.link(CA, "/etc/kubernetes/pki/etcd/ca.srl");
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(error.contains("is a symbolic link"), "{error}");
}

/// Two that sign in different directories with the same authorities would give the same numbers.
#[test]
fn only_one_signs_with_an_authority_at_a_time() {
    let place = Place::with_authorities();
    for name in ["ca", "etcd/ca", "front-proxy-ca"] {
        for ending in ["crt", "key"] {
            let contents = place.read(&format!("/etc/kubernetes/pki/{name}.{ending}"));
            place.write(&format!("/authorities/{name}.{ending}"), contents);
        }
    }
    place.write("/authorities/ca.srl", "01\n");
    place.generate();
    let sign = [
        "csr",
        "sign",
        "--allow-system-masters",
        "--ca-dir",
        "/authorities",
    ];
    for directory in ["/authorities", "/authorities/etcd"] {
        let held = File::open(place.path(directory)).unwrap();
        held.lock().unwrap();
        let error = place.fail(&sign);
        assert!(
            error.contains(&format!(
                "{directory}: another kubecertd makes or signs files there"
            )),
            "{error}"
        );
    }
    place.succeed(&sign);
    // Seven are signed by this authority.
    assert_eq!(place.read("/authorities/ca.srl"), "08\n");
}
