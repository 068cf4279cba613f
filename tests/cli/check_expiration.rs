//! `kubecertd check-expiration` on a made-up node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use testkit::{ELEVEN, Node, text};

#[test]
fn the_table_has_kubeadms_columns_and_all_rows() {
    let node = Node::fresh();
    let output = node.run(&["check-expiration"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.starts_with("CERTIFICATE                EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   EXTERNALLY MANAGED\n"),
        "{table}"
    );
    for name in ELEVEN {
        assert!(
            table.lines().any(|line| line.starts_with(name)),
            "{name} in:\n{table}"
        );
    }
    assert!(
        table.contains("\n\nCERTIFICATE AUTHORITY   EXPIRES"),
        "{table}"
    );
}

#[test]
fn json_is_read_by_scripts_made_for_kubeadm() {
    let node = Node::fresh();
    let output = node.run(&["check-expiration", "-o", "json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["kind"], "CertificateExpirationInfo");
    assert_eq!(value["apiVersion"], "output.kubeadm.k8s.io/v1alpha3");
    assert_eq!(value["certificates"].as_array().unwrap().len(), 11);
    assert_eq!(value["certificateAuthorities"].as_array().unwrap().len(), 3);
}

#[test]
fn the_exit_code_tells_whether_something_ends_within_a_time() {
    let node = Node::due();
    let code = |arguments: &[&str]| {
        let mut all = vec!["check-expiration", "--within"];
        all.extend(arguments);
        node.run(&all).status.code()
    };
    assert_eq!(code(&["10d"]), Some(0));
    assert_eq!(code(&["30d"]), Some(1));
    std::fs::write(node.path("/etc/kubernetes/pki/apiserver.crt"), b"damaged").unwrap();
    assert_eq!(code(&["30d"]), Some(2));
}

#[test]
fn whatever_else_is_wrong_is_no_answer_to_whether_something_ends() {
    let code = |node: &Node| {
        let output = node.run(&["check-expiration", "--within", "10d"]);
        (output.status.code(), text(&output.stderr))
    };
    let key = Node::fresh();
    std::fs::write(key.path("/etc/kubernetes/pki/apiserver.key"), b"damaged").unwrap();
    let manifest = Node::fresh();
    let path = manifest.path("/etc/kubernetes/manifests/etcd.yaml");
    std::fs::write(path, b"kind: X").unwrap();
    let directory = Node::fresh();
    std::fs::remove_dir_all(directory.path("/etc/kubernetes/manifests")).unwrap();
    for (node, why) in [
        (&key, "pki/apiserver.key: holds no PEM block"),
        (&manifest, "manifests/etcd.yaml: not a Pod"),
        (&directory, "the manifest directory does not exist"),
    ] {
        let (code, told) = code(node);
        assert_eq!(code, Some(2), "{told}");
        assert_eq!(told.matches(why).count(), 1, "{told}");
    }
    let configuration = Node::fresh();
    configuration.configure("[renewal]\nbefor = \"30d\"\n");
    assert_eq!(code(&configuration).0, Some(2));
    // What is unreadable is said once.
    let certificate = Node::fresh();
    std::fs::write(certificate.path("/etc/kubernetes/pki/apiserver.crt"), b"").unwrap();
    let told = code(&certificate).1;
    assert_eq!(told.matches("is empty").count(), 1, "{told}");
}

#[test]
fn nobody_reading_the_table_changes_nothing_about_the_answer() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Node::due()
        .command()
        .args(["check-expiration", "--within", "30d"])
        .stdout(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn one_unreadable_file_is_one_row_with_a_reason() {
    let node = Node::fresh();
    std::fs::write(node.path("/etc/kubernetes/pki/apiserver.crt"), b"damaged").unwrap();
    let table = text(&node.run(&["check-expiration"]).stdout);
    assert!(table.contains("!UNREADABLE! apiserver"), "{table}");
    assert!(table.contains("pki/apiserver.crt"), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("etcd-server")),
        "{table}"
    );
}

#[test]
fn another_certificates_directory_is_found_through_the_manifests() {
    let node = Node::fresh();
    std::fs::create_dir_all(node.path("/srv")).unwrap();
    std::fs::rename(node.path("/etc/kubernetes/pki"), node.path("/srv/pki")).unwrap();
    for name in std::fs::read_dir(node.path("/etc/kubernetes/manifests")).unwrap() {
        let path = name.unwrap().path();
        let manifest = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, manifest.replace("/etc/kubernetes/pki", "/srv/pki")).unwrap();
    }
    let table = text(&node.run(&["check-expiration"]).stdout);
    assert!(!table.contains("!MISSING! apiserver"), "{table}");
}

#[test]
fn all_adds_the_kubelets_certificates() {
    let node = Node::fresh();
    let table = text(&node.run(&["check-expiration", "--all"]).stdout);
    assert!(table.contains("kubelet-client-current.pem"), "{table}");
    assert!(table.contains("kubelet.conf"), "{table}");
}

/// The scheduler's manifest with another flag, and a volume for what that names.
fn give_flag(node: &Node, flag: &str) {
    let path = node.path("/etc/kubernetes/manifests/kube-scheduler.yaml");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let manifest = manifest
        .replace(
            "    - kube-scheduler\n",
            &format!("    - kube-scheduler\n    - {flag}\n"),
        )
        .replace(
            "    volumeMounts:\n",
            "    volumeMounts:\n    - {mountPath: /x, name: x}\n",
        )
        .replace(
            "  volumes:\n",
            "  volumes:\n  - {name: x, hostPath: {path: /srv/x}}\n",
        );
    std::fs::write(path, manifest).unwrap();
}

/// The rows of `--all`, its exit code for something that ends within 30 days, and the exit code of the plain table.
fn all(node: &Node) -> (String, Option<i32>) {
    let output = node.run(&["check-expiration", "--all", "--within", "30d"]);
    (text(&output.stdout), output.status.code())
}

#[test]
fn what_a_flag_names_is_a_row_whether_it_can_be_read_or_not() {
    let x = "/srv/x/x";
    for (flag, ending) in [
        ("--authentication-kubeconfig=/x/x.conf", ".conf"),
        ("--kubeconfig=/x/x", ""),
        ("--audit-webhook-config-kubeconfig=/x/x.yaml", ".yaml"),
        ("--tls-cert-file=/x/x", ""),
        ("--client-ca-file=/x/x.pem", ".pem"),
        ("--tls-sni-cert-key=/x/x.crt,/x/x.key:example.org", ".crt"),
    ] {
        let node = Node::fresh();
        let name = format!("{x}{ending}");
        std::fs::create_dir_all(node.path("/srv/x")).unwrap();
        give_flag(&node, flag);
        for (content, reason) in [
            (None, "does not exist, but --"),
            (Some("neither: [of the two"), ""),
            (Some("-----BEGIN CERTIFICATE-----\n"), ""),
        ] {
            if let Some(content) = content {
                std::fs::write(node.path(&name), content).unwrap();
            }
            let (table, code) = all(&node);
            let row = format!("!UNREADABLE! {name} ");
            // kubeadm's own kubeconfig is one of kubeadm's rows then.
            if flag != "--kubeconfig=/x/x" {
                assert!(table.contains(&row), "{flag} {content:?}: {table}");
                assert!(
                    table.contains(&format!("{name}: {reason}")),
                    "{flag}: {table}"
                );
            }
            assert_eq!(code, Some(2), "{flag} {content:?}: {table}");
        }
        std::fs::remove_file(node.path(&name)).unwrap();
        nix::unistd::mkfifo(&node.path(&name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (table, code) = all(&node);
        assert!(table.contains("is a FIFO, not a file"), "{flag}: {table}");
        assert_eq!(code, Some(2), "{flag}: {table}");
    }
}

#[test]
fn what_a_flag_names_and_is_sound_is_a_row_and_no_problem() {
    let node = Node::fresh();
    std::fs::create_dir_all(node.path("/srv/x")).unwrap();
    let kubernetes = node.path("/etc/kubernetes");
    std::fs::copy(kubernetes.join("admin.conf"), node.path("/srv/x/x")).unwrap();
    give_flag(&node, "--authentication-kubeconfig=/x/x");
    let (table, code) = all(&node);
    assert!(table.contains("/srv/x/x "), "{table}");
    assert_eq!(code, Some(0), "{table}");
    // A token does not expire, and directories are none of these.
    std::fs::write(
        node.path("/srv/x/x"),
        "clusters: [{name: c, cluster: {}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\n\
         users: [{name: u, user: {token: t}}]\n",
    )
    .unwrap();
    give_flag(&node, "--cert-dir=/x");
    let (table, code) = all(&node);
    assert!(!table.contains("/srv/x"), "{table}");
    assert_eq!(code, Some(0), "{table}");
}

#[test]
fn what_was_to_be_looked_at_and_was_not_is_said() {
    let node = Node::fresh();
    let pki = node.path("/etc/kubernetes/pki");
    let sound = std::fs::read(pki.join("apiserver.crt")).unwrap();
    assert_eq!(all(&node).1, Some(0));
    let deep = pki.join("a/b/c/d/e");
    std::fs::create_dir_all(&deep).unwrap();
    let (table, code) = all(&node);
    assert!(table.contains("pki/a/b/c/d: was not entered"), "{table}");
    assert_eq!(code, Some(2), "{table}");
    std::fs::remove_dir_all(pki.join("a")).unwrap();

    for index in 0..300 {
        std::fs::write(pki.join(format!("{index}.crt")), &sound).unwrap();
    }
    let (table, code) = all(&node);
    assert!(
        table.contains("pki: 50 of its files that may be certificates were not read"),
        "{table}"
    );
    assert_eq!(code, Some(2), "{table}");
    for index in 0..300 {
        std::fs::remove_file(pki.join(format!("{index}.crt"))).unwrap();
    }

    // A kubeconfig beside kubeadm's that claims a certificate; the settings of a cloud provider do not.
    let kubernetes = node.path("/etc/kubernetes");
    std::fs::write(kubernetes.join("cloud.conf"), "[Global]\nregion=x\n").unwrap();
    assert_eq!(all(&node).1, Some(0));
    let broken = std::fs::read_to_string(kubernetes.join("admin.conf")).unwrap();
    let broken = broken.replace("current-context:", "  current-context");
    std::fs::write(kubernetes.join("ops.conf"), broken).unwrap();
    let (table, code) = all(&node);
    assert!(table.contains("!UNREADABLE! ops.conf"), "{table}");
    assert_eq!(code, Some(2), "{table}");
}

#[test]
fn certificates_beside_kubeadms_have_no_invented_problems() {
    let node = Node::fresh();
    let pki = node.path("/etc/kubernetes/pki");
    let read = |name: &str| std::fs::read_to_string(pki.join(name)).unwrap();
    let (certificate, key) = (read("apiserver.crt"), read("apiserver.key"));
    let write = |name: &str, content: &str| std::fs::write(pki.join(name), content).unwrap();
    write("alone.pem", &certificate);
    write("alone-bundle.pem", &read("ca.crt").repeat(3));
    write("both.pem", &format!("{certificate}{key}"));
    write("split.pem", &certificate);
    write("split-key.pem", &key);
    write(
        "dhparam.pem",
        "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n",
    );
    write("public.pem", &read("sa.pub"));
    let (table, code) = all(&node);
    for name in ["alone.pem", "alone-bundle.pem", "both.pem", "split.pem"] {
        let row = table.lines().find(|line| line.starts_with(name));
        assert!(
            row.is_some_and(|row| row.contains("UTC")),
            "{name}: {table}"
        );
    }
    for name in ["split-key.pem", "dhparam.pem", "public.pem", "PROBLEMS"] {
        assert!(!table.contains(name), "{name}: {table}");
    }
    assert_eq!(code, Some(0), "{table}");
    // What is damaged is one.
    write("damaged.pem", &certificate.replace('M', "N"));
    write(
        "another.pem",
        &format!("{}{}", certificate, read("etcd/peer.key")),
    );
    let (table, code) = all(&node);
    assert!(table.contains("!UNREADABLE! damaged.pem"), "{table}");
    assert!(
        table.contains("another.pem: the key does not belong"),
        "{table}"
    );
    assert_eq!(code, Some(2), "{table}");
}

#[test]
fn a_plan_says_of_a_certificate_only_what_is_so() {
    let node = Node::fresh();
    for file in ["super-admin.conf", "scheduler.conf", "pki/etcd/peer.crt"] {
        std::fs::remove_file(node.path("/etc/kubernetes").join(file)).unwrap();
    }
    std::fs::copy(
        node.path("/etc/kubernetes/pki/apiserver.crt"),
        node.path("/etc/kubernetes/pki/own.crt"),
    )
    .unwrap();
    let plan = text(&node.run(&["plan"]).stdout);
    let why = |name: &str| {
        let row = plan.lines().find(|line| line.starts_with(name));
        row.unwrap_or_else(|| panic!("{name}: {plan}"))
            .rsplit_once("leave    ")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(
        why("super-admin.conf"),
        "there is no such file, as on every node that was joined"
    );
    assert_eq!(
        why("scheduler.conf"),
        "there is no such file; `kubeadm init phase kubeconfig scheduler` makes it"
    );
    assert_eq!(
        why("etcd-peer"),
        "there is no such file; `kubeadm init phase certs etcd-peer` makes it"
    );
    assert_eq!(
        why("own.crt"),
        "only reported, as neither kubeadm nor kubecertd renews it"
    );
    assert!(why("kubelet-client-current.pem").contains("the kubelet renews it itself"));
    assert!(!why("kubelet.conf").contains("the kubelet renews"));
}

#[test]
fn a_certificate_without_an_end_shows_the_date_that_it_has() {
    // Beyond 2049 the date is a GeneralizedTime, which has room for the year 9999.
    let days = |days: i64| jiff::SignedDuration::from_hours(24 * days);
    let node = Node::new(days(-365 * 15), days(365 * 24 + 200));
    let path = node.path("/etc/kubernetes/pki/apiserver.crt");
    let mut der = pem::parse(std::fs::read(&path).unwrap())
        .unwrap()
        .into_contents();
    let end = node.certificate("apiserver").not_after;
    let end = end.strftime("%Y%m%d%H%M%SZ").to_string();
    let place = der
        .windows(end.len())
        .position(|window| window == end.as_bytes())
        .unwrap();
    der[place..place + end.len()].copy_from_slice(b"99991231235959Z");
    std::fs::write(&path, pem::encode(&pem::Pem::new("CERTIFICATE", der))).unwrap();

    let table = text(&node.run(&["check-expiration"]).stdout);
    assert!(table.contains("Dec 31, 9999 23:59 UTC"), "{table}");
    let json = text(&node.run(&["check-expiration", "-o", "json"]).stdout);
    assert!(json.contains("\"9999-12-31T23:59:59Z\""), "{json}");
    let plan = text(&node.run(&["plan", "-o", "json"]).stdout);
    assert!(plan.contains("\"9999-12-31T23:59:59Z\""), "{plan}");
    assert!(!(table + &json + &plan).contains("9999-12-30"));
}
