//! Tables that describe certificates that are not kubeadm's: what they may say, and what is said of mistakes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::path::Path;

use kubecertd::config::{CertificateUser, ServedAt, UnitAction, load, parse};
use kubecertd::pki::AuthorityId;
use testkit::tree::Tree;

const FULL: &str = "[certificate.edge]\nfile = \"/etc/edge/tls.crt\"\nkey = \"/etc/edge/tls.key\"\nissuer = \"front-proxy-ca\"\n\
                    owner = \"edge\"\ngroup = \"117\"\nmode = \"0440\"\nunit = \"edge@1.service\"\nunit-action = \"restart\"\n\
                    address = \"[::1]:8443\"\nbefore = \"7d\"\nskip = false\n\
                    [certificate.many]\nfile = \"/etc/many/x-*.crt\"\nkey = \"/etc/many/*.key\"\nissuer = \"ca\"\n\
                    command = [\"/usr/local/sbin/tell\", \"a b\"]\n";

#[test]
fn what_is_said_is_understood_and_shown_as_it_can_be_read_back() {
    let config = parse(Path::new("k.toml"), FULL).unwrap();
    let edge = &config.locations.described["edge"];
    assert_eq!(edge.file, Path::new("/etc/edge/tls.crt"));
    assert_eq!(edge.issuer, Some(AuthorityId::FrontProxy));
    assert_eq!(edge.mode, Some(0o440));
    assert_eq!(
        edge.user,
        CertificateUser::Unit("edge@1.service".to_owned())
    );
    assert_eq!(edge.unit_action(), UnitAction::Restart);
    let served = ServedAt {
        host: "::1".to_owned(),
        port: 8443,
    };
    assert_eq!(edge.address, Some(served));
    let many = &config.locations.described["many"];
    assert!(many.is_pattern() && !edge.is_pattern());
    assert_eq!(many.unit_action(), UnitAction::Reload);
    // What the table says holds for all that it matches, and for no other.
    let own = parse(Path::new("k.toml"), &format!("{FULL}skip = true\n")).unwrap();
    assert!(own.renewal_of("many/a").skip && !own.renewal_of("edge/a").skip);
    assert_eq!(
        own.renewal.skipped_by("many/a").as_deref(),
        Some("certificate.many.skip")
    );

    let node = Tree::new();
    node.write("/etc/kubecertd/kubecertd.toml", FULL);
    let loaded = load(&node.root, None).unwrap();
    let shown = loaded.to_toml();
    assert_eq!(
        parse(Path::new("s.toml"), &shown),
        Ok(loaded.config),
        "{shown}"
    );
    assert!(loaded.named.is_empty(), "{:?}", loaded.named);
    // A drop-in may give what is missing.
    node.write(
        "/etc/kubecertd/kubecertd.d/10.toml",
        "[certificate.late]\nissuer = \"ca\"\n",
    );
    assert!(load(&node.root, None).is_err());
    node.write(
        "/etc/kubecertd/kubecertd.d/20.toml",
        "[certificate.late]\nfile = \"/etc/late.pem\"\n",
    );
    assert!(load(&node.root, None).is_ok());
}

#[test]
fn each_mistake_names_place_key_and_remedy() {
    let table = "[certificate.x]\nfile = \"/x.crt\"\nissuer = \"ca\"\n";
    let with = |line: &str| format!("{table}{line}\n");
    for (text, message) in [
        (
            "[certificate.x]\nissuer = \"ca\"\n".to_owned(),
            "k.toml:1:14: [certificate.x] has no file; a certificate that is not kubeadm's needs one, its path",
        ),
        (
            "[certificate.x]\nfile = \"/x.crt\"\n".to_owned(),
            "k.toml:1:14: [certificate.x] has no issuer; write which CA of this node signs it: \"ca\", \"etcd-ca\" or \
             \"front-proxy-ca\"; or the files of another as ca and ca-key",
        ),
        (
            "[certificate.apiserver]\nunit = \"x.service\"\n".to_owned(),
            "k.toml:1:14: [certificate.apiserver] describes a certificate of kubeadm's, whose files and users are known; give \
             another certificate a name of its own",
        ),
        (
            table.replace(".x]", ".\"kubelet.crt\"]"),
            "k.toml:1:14: [certificate.\"kubelet.crt\"]: the kubelet's own certificates are called so; give this one another name",
        ),
        (
            with("file-name = \"x\""),
            "k.toml:4:1: unknown key certificate.x.file-name; [certificate.x] has before, validity, key-algorithm, reuse-key, skip, \
             file, key, issuer, ca, ca-key, owner, group, mode, static-pod, unit, unit-action, command, address",
        ),
        (
            "[certificate.x]\nfile = \"x.crt\"\nissuer = \"ca\"\n".to_owned(),
            "k.toml:2:8: certificate.x.file = \"x.crt\": not an absolute path; write it from the root, as in \
             \"/etc/haproxy/tls.crt\"",
        ),
        (
            "[certificate.x]\nfile = \"/*/x*.crt\"\nissuer = \"ca\"\n".to_owned(),
            "k.toml:2:8: certificate.x.file: one * may stand in the last part of the path, and nowhere else",
        ),
        (
            "[certificate.x]\nfile = \"/x/\"\nissuer = \"ca\"\n".to_owned(),
            "k.toml:2:8: certificate.x.file: this is a directory's path; write the file's",
        ),
        (
            with("key = \"/*.key\""),
            "k.toml:4:7: certificate.x.key: file has no *, so there is nothing that one here could stand for",
        ),
        (
            "[certificate.x]\nfile = \"/*.crt\"\nkey = \"/x.key\"\nissuer = \"ca\"\n".to_owned(),
            "k.toml:3:7: certificate.x.key: file has a *, so key needs one, which stands for the same",
        ),
        (
            "[certificate.x]\nfile = \"/x.crt\"\nissuer = \"etcd\"\n".to_owned(),
            "k.toml:3:10: certificate.x.issuer = \"etcd\"; not one of ca, etcd-ca, front-proxy-ca",
        ),
        (
            with("unit = \"haproxy\""),
            "k.toml:4:8: certificate.x.unit = \"haproxy\": a service is reloaded or restarted; write its name with .service at the \
             end",
        ),
        (
            with("ca = \"/ca.crt\"\nca-key = \"/ca.key\""),
            "k.toml:4:6: certificate.x: issuer is a CA of kubeadm's, whose files are known; leave that out, or ca and ca-key",
        ),
        (
            "[certificate.x]\nfile = \"/x.crt\"\nca-key = \"/ca.key\"\n".to_owned(),
            "k.toml:1:14: [certificate.x] has no ca; it goes with ca-key: where the certificate of that CA lies",
        ),
        (
            "[certificate.x]\nfile = \"/x.crt\"\nca = \"/ca.crt\"\nca-key = \"/a.key\"\n\
             [certificate.y]\nfile = \"/y.crt\"\nca = \"/ca.crt\"\n"
                .to_owned(),
            "k.toml:5:14: certificate.y.ca-key: there is none, and [certificate.x] says that the key of that CA is /a.key; correct \
             one of the two",
        ),
        (
            "[certificate.x]\nfile = \"/x.crt\"\nca = \"/ca.crt\"\n\
             [certificate.y]\nfile = \"/y.crt\"\nca = \"/ca.crt\"\nca-key = \"/a.key\"\n"
                .to_owned(),
            "k.toml:7:10: certificate.y.ca-key: [certificate.x] has no ca-key, as if the key of that CA were elsewhere; correct \
             one of the two",
        ),
        (
            "[certificate.x]\nfile = \"/x.crt\"\nca = \"/ca.crt\"\nca-key = \"/a.key\"\n\
             [certificate.y]\nfile = \"/y.crt\"\nca = \"/ca.crt\"\nca-key = \"/b.key\"\n"
                .to_owned(),
            "k.toml:8:10: certificate.y.ca-key: [certificate.x] says that the key of that CA is /a.key; correct one of the two",
        ),
        (
            with("unit-action = \"reload\""),
            "k.toml:4:15: certificate.x.unit-action: there is no unit of which it could be said; write unit as well",
        ),
        (
            with("unit = \"a.service\"\nstatic-pod = \"a\""),
            "k.toml:4:8: certificate.x.unit: of static-pod, unit and command one may be said of a certificate; a command can tell \
             several",
        ),
        (
            with("mode = \"0644\""),
            "k.toml:4:8: certificate.x.mode = \"0644\": a private key is read by its owner, who may write it, and at most its \
             group: \"0400\", \"0600\", \"0440\" or \"0640\"",
        ),
        (
            with("command = [\"tell\"]"),
            "k.toml:4:11: certificate.x.command: \"tell\" is no absolute path; write where the program lies, as in \
             \"/usr/local/bin/sign\"",
        ),
        (
            with("owner = \"4294967295\""),
            "k.toml:4:9: certificate.x.owner = \"4294967295\": no number of a user or group; they go up to 4294967294",
        ),
        (
            "[certificate.x]\nfile = \"/*.crt\"\nissuer = \"ca\"\naddress = \"127.0.0.1:8443\"\n".to_owned(),
            "k.toml:4:11: certificate.x.address: file has a *, and at one address one certificate is served; leave address out, or \
             describe each certificate by a table of its own, without a *",
        ),
        (
            "[certificate.x]\nfile = \"/*.crt\"\nissuer = \"ca\"\n[certificate.\"x/y\"]\nfile = \"/z.pem\"\nissuer = \"ca\"\n"
                .to_owned(),
            "k.toml:4:14: [certificate.\"x/y\"] has a file of its own, but is called as what [certificate.x] has a pattern for; give \
             it another name",
        ),
        // Of a match's own table and of its pattern's each says a part.
        (
            "[certificate.x]\nfile = \"/*.crt\"\nissuer = \"ca\"\nbefore = \"20d\"\n[certificate.\"x/y\"]\nvalidity = \"10d\"\n"
                .to_owned(),
            "k.toml:4:10: certificate.x.before = \"20d\" is not shorter than certificate.\"x/y\".validity = \"10d\": a new \
             certificate would be due at once; write at most a third of the validity, \"3d8h\"",
        ),
        (
            with("owner = \"ha proxy\""),
            "k.toml:4:9: certificate.x.owner = \"ha proxy\": no name; write a name or number such as \"haproxy\"",
        ),
    ] {
        let found: Vec<String> = parse(Path::new("k.toml"), &text)
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, [message], "{text}");
    }
}

/// What is given to systemctl is one unit, and no option of systemctl's.
#[test]
fn names_that_others_are_given_are_names() {
    for (key, values) in [
        (
            "unit",
            &[
                "-H.service",
                "*.service",
                "a b.service",
                "a\u{7}.service",
                "../x.service",
            ][..],
        ),
        ("static-pod", &["-x", "", "a\nb"]),
        ("owner", &["-1", "a:b", "root;x"]),
        (
            "address",
            &[
                "8443",
                "0.0.0.0:1",
                "[::]:1",
                "::1:8443",
                "example.com:1",
                "127.0.0.1:0",
                "127.0.0.1:70000",
                "[127.0.0.1]:1",
            ],
        ),
        ("mode", &["0", "4600", "0666", "rw", "0040"]),
    ] {
        for value in values {
            let value = toml::Value::String((*value).to_owned());
            let text =
                format!("[certificate.x]\nfile = \"/x\"\nissuer = \"ca\"\n{key} = {value}\n");
            assert!(parse(Path::new("k.toml"), &text).is_err(), "{text}");
        }
    }
}

/// What the table of one match does not say, that of the pattern does; and only then [renewal].
#[test]
fn a_match_with_a_table_of_its_own_keeps_what_the_pattern_says() {
    let text = "[renewal]\nbefore = \"40d\"\nskip = [\"many/b\"]\n\
                [certificate.many]\nfile = \"/etc/many/*.pem\"\nissuer = \"ca\"\nbefore = \"9d\"\nvalidity = \"60d\"\nskip = true\n\
                [certificate.\"many/a\"]\nvalidity = \"90d\"\n\
                [certificate.\"many/b\"]\nskip = false\nreuse-key = true\n";
    let config = parse(Path::new("k.toml"), text).unwrap();
    let days = |days: u64| std::time::Duration::from_secs(days * 86_400);
    let one = config.renewal_of("many/a");
    assert_eq!((one.before, one.validity), (days(9), days(90)));
    assert!(one.skip && !one.reuse_key);
    let skipped = config.renewal.skipped_by("many/a");
    assert_eq!(skipped.as_deref(), Some("certificate.many.skip"));
    let other = config.renewal_of("many/b");
    assert_eq!((other.before, other.validity), (days(9), days(60)));
    assert!(!other.skip && other.reuse_key);
    assert_eq!(config.renewal.skipped_by("many/b"), None);
    // No pattern's match.
    assert_eq!(config.renewal_of("lone/a").before, days(40));
}

/// Names that are nearly kubeadm's are right for a certificate that has a file of its own, wherever they are written.
#[test]
fn a_described_certificate_may_be_called_nearly_as_one_of_kubeadms() {
    for name in ["webserver", "etcd-member", "apiservers", "etcd-pear"] {
        let table = format!("[certificate.{name}]\nbefore = \"7d\"\n");
        assert!(parse(Path::new("k.toml"), &table).is_err(), "{name}");
        let described = format!(
            "{table}file = \"/etc/{name}.pem\"\nissuer = \"ca\"\n[renewal]\nskip = [\"{name}\"]\n"
        );
        let config = parse(Path::new("k.toml"), &described).unwrap();
        assert!(config.renewal.skip.contains(name));
    }
    // In a drop-in as well.
    let node = Tree::new();
    node.write(
        "/etc/kubecertd/kubecertd.toml",
        "[certificate.etcd-pear]\nskip = true\n",
    );
    assert!(load(&node.root, None).is_err());
    node.write(
        "/etc/kubecertd/kubecertd.d/20.toml",
        "[certificate.etcd-pear]\nfile = \"/etc/pear.pem\"\nissuer = \"ca\"\n",
    );
    assert!(load(&node.root, None).is_ok());
}
