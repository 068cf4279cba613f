//! Others that renew: timers and cron jobs.

use testkit::Node;

use crate::said;

pub(crate) fn put(node: &Node, path: &str, contents: &str) {
    let path = node.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, contents).unwrap();
}

pub(crate) fn enable(node: &Node, unit: &str) {
    let wants = node.path("/etc/systemd/system/timers.target.wants");
    std::fs::create_dir_all(&wants).unwrap();
    std::os::unix::fs::symlink(format!("/etc/systemd/system/{unit}"), wants.join(unit)).unwrap();
}

/// What kubespray installs: timer, service and script.
pub(crate) fn kubespray(node: &Node) {
    let units = "/etc/systemd/system/k8s-certs-renew";
    put(
        node,
        &format!("{units}.service"),
        "[Unit]\nDescription=Renew K8S control plane certificates\n[Service]\nType=oneshot\n\
         ExecStart=/usr/local/bin/k8s-certs-renew.sh\n",
    );
    put(
        node,
        &format!("{units}.timer"),
        "[Timer]\nOnCalendar=Mon *-*-1,2,3,4,5,6,7 03:00\nUnit=k8s-certs-renew.service\n[Install]\n\
         WantedBy=multi-user.target\n",
    );
    put(
        node,
        "/usr/local/bin/k8s-certs-renew.sh",
        "#!/bin/bash\necho \"## Renewing ##\"\n/usr/local/bin/kubeadm certs renew all\n",
    );
}

#[test]
fn an_enabled_timer_is_named_with_the_command_that_disables_it() {
    let node = Node::fresh();
    kubespray(&node);
    assert_eq!(node.run(&["preflight"]).status.code(), Some(0));
    enable(&node, "k8s-certs-renew.timer");
    let output = node.run(&["preflight"]);
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output);
    for part in [
        "k8s-certs-renew.timer (/usr/local/bin/k8s-certs-renew.sh)",
        "`systemctl disable --now k8s-certs-renew.timer`",
        "other-renewer = \"ignore\"",
    ] {
        assert!(told.contains(part), "{told}");
    }
    // By hand it is only said.
    let renewed = node.run(&["renew", "admin.conf"]);
    assert!(renewed.status.success(), "{}", said(&renewed));
    assert!(said(&renewed).contains("k8s-certs-renew.timer"));
    // Masked, it starts nothing.
    let service = node.path("/etc/systemd/system/k8s-certs-renew.service");
    std::fs::remove_file(&service).unwrap();
    std::os::unix::fs::symlink("/dev/null", &service).unwrap();
    let masked = node.run(&["preflight"]);
    assert_eq!(masked.status.code(), Some(0), "{}", said(&masked));
}

#[test]
fn the_configuration_can_ignore_another_renewer() {
    let node = Node::fresh();
    kubespray(&node);
    enable(&node, "k8s-certs-renew.timer");
    node.configure("[renewal]\nother-renewer = \"ignore\"\n");
    assert_eq!(node.run(&["preflight"]).status.code(), Some(0));
}

#[test]
fn cron_jobs_are_found_by_file_and_line() {
    for (path, contents, place) in [
        (
            "/etc/crontab",
            "SHELL=/bin/sh\n# 0 3 * * * root /opt/renew.sh\n0 3 1 * * root kubeadm certs renew all\n",
            "remove the line /etc/crontab:3",
        ),
        (
            "/etc/cron.d/kubernetes",
            "@monthly root /opt/renew.sh\n",
            "remove the line /etc/cron.d/kubernetes:1",
        ),
        (
            "/var/spool/cron/crontabs/root",
            "0 3 1 * * kubeadm alpha certs renew all && reboot\n",
            "remove the line /var/spool/cron/crontabs/root:1",
        ),
        (
            "/etc/cron.weekly/renew",
            "#!/bin/sh\nexec /opt/renew.sh\n",
            "`chmod -x /etc/cron.weekly/renew`",
        ),
        (
            "/etc/cron.d/old.bak",
            "@monthly root kubeadm certs renew all\n",
            "",
        ),
        (
            "/etc/cron.d/other",
            "@monthly root kubeadm certs check-expiration\n",
            "",
        ),
    ] {
        let node = Node::fresh();
        put(
            &node,
            "/opt/renew.sh",
            "#!/bin/bash\nkubeadmCerts='/usr/local/bin/kubeadm certs'\n${kubeadmCerts} renew all\n",
        );
        put(&node, path, contents);
        if path.contains("weekly") {
            // Without the executable bit cron leaves it alone.
            assert_eq!(node.run(&["preflight"]).status.code(), Some(0));
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(node.path(path), mode).unwrap();
        }
        let output = node.run(&["preflight"]);
        let told = said(&output);
        if place.is_empty() {
            assert_eq!(output.status.code(), Some(0), "{path}: {told}");
        } else {
            assert_eq!(output.status.code(), Some(1), "{path}: {told}");
            assert!(told.contains(place), "{path}: {told}");
            assert_eq!(told.matches("take over:").count(), 1, "{path}: {told}");
        }
    }
}

#[test]
fn what_any_user_can_write_is_nobody_who_renews() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let node = Node::fresh();
    let renews = "0 3 1 * * kubeadm certs renew all\n";
    let root = nix::unistd::geteuid().is_root();
    // A user's own table, one that others can write, and a log that root's job writes of what others say.
    put(&node, "/var/spool/cron/crontabs/someone", renews);
    put(&node, "/var/spool/cron/someone", renews);
    put(&node, "/etc/cron.d/open", renews);
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(node.path("/etc/cron.d/open"), open).unwrap();
    put(
        &node,
        "/etc/cron.d/job",
        "@daily root /opt/job >>/var/log/job.log\n",
    );
    put(&node, "/var/log/job.log", "kubeadm certs renew all\n");
    put(&node, "/opt/job", "#!/bin/sh\nkubeadm certs renew all\n");
    if root {
        chown(node.path("/opt/job"), Some(65534), None).unwrap();
    } else {
        std::fs::remove_file(node.path("/opt/job")).unwrap();
    }
    let output = node.run(&["preflight"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // The same file as root's is a script.
    put(&node, "/opt/own", "kubeadm certs renew all\n");
    put(
        &node,
        "/etc/cron.d/own",
        "@daily root /bin/sh -e /opt/own\n",
    );
    let output = node.run(&["preflight"]);
    assert!(said(&output).contains("/etc/cron.d/own:1 (/opt/own)"));
}

#[test]
fn a_job_that_names_a_file_over_and_over_reads_it_once() {
    let node = Node::fresh();
    let script = format!("#!/bin/sh\n{}", "true\n".repeat(50_000));
    put(&node, "/opt/long", &script);
    let line = format!("@daily root true {}\n", "/opt/long ".repeat(20_000));
    put(&node, "/etc/cron.d/job", &line);
    let begun = std::time::Instant::now();
    let output = node.run(&["preflight"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}
