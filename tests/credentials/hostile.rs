//! Trees that others filled: links, other owners, huge files, open directories.

use std::os::unix::fs::{PermissionsExt as _, chown};

use crate::place::{CONFIG, Place};

#[test]
fn what_others_could_have_put_there_is_not_signed() {
    let place = Place::with_authorities();
    place.generate();
    let path = "/etc/kubernetes/pki/apiserver.csr";
    let request = place.read(path);

    place.remove(path);
    place.write("/elsewhere.csr", &request);
    place.link(path, "/elsewhere.csr");
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(
        error.contains(&format!("{path}: is a symbolic link")),
        "{error}"
    );

    place.remove(path);
    place.write(path, request.clone() + &"#".repeat(300 * 1024));
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(
        error.contains(&format!("{path}: is larger than 256 KiB")),
        "{error}"
    );

    place.remove(path);
    std::fs::create_dir(place.path(path)).unwrap();
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(
        error.contains(&format!("{path}: is a directory")),
        "{error}"
    );
    place.remove(path);

    let made = std::process::Command::new("mkfifo")
        .arg(place.path(path))
        .status()
        .unwrap();
    assert!(made.success());
    let output = place.run(&["csr", "sign", "--allow-system-masters"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(testkit::text(&output.stderr).contains(&format!("{path}: is a FIFO")));
    std::fs::remove_file(place.path(path)).unwrap();

    place.write(path, &request);
    if !nix_is_root() {
        testkit::not_on_this_machine("not root: no file can be given to another user");
        return;
    }
    let mode = |mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path(path), permissions).unwrap();
    };
    mode(0o666);
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(
        error.contains(&format!("{path}: can be written to by others (mode 0666)")),
        "{error}"
    );
    mode(0o600);
    chown(place.path(path), Some(12345), None).unwrap();
    let error = place.fail(&["csr", "sign", "--allow-system-masters"]);
    assert!(
        error.contains(&format!("{path}: belongs to user 12345")),
        "{error}"
    );
}

#[test]
fn keys_are_not_put_where_others_write() {
    let place = Place::new();
    place.write("/etc/kubernetes/pki/x", "");
    let directory = place.path("/etc/kubernetes/pki");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = place.fail(&["csr", "generate", "--config", CONFIG]);
    assert!(
        error.contains("/etc/kubernetes/pki: can be written to by others (mode 0777)"),
        "{error}"
    );
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    if nix_is_root() {
        chown(&directory, Some(12345), None).unwrap();
        let error = place.fail(&["csr", "generate", "--config", CONFIG]);
        assert!(
            error.contains("/etc/kubernetes/pki: belongs to user 12345"),
            "{error}"
        );
    }
}

#[test]
fn no_authority_is_read_where_others_write() {
    let place = Place::with_authorities();
    place.generate();
    let mode = |path: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path(path), permissions).unwrap();
    };
    // An authority elsewhere, below a directory that others write.
    for name in ["ca", "etcd/ca", "front-proxy-ca"] {
        for ending in ["crt", "key"] {
            let contents = place.read(&format!("/etc/kubernetes/pki/{name}.{ending}"));
            place.write(&format!("/open/below/ca/{name}.{ending}"), contents);
            place.remove(&format!("/etc/kubernetes/pki/{name}.{ending}"));
        }
    }
    let sign = [
        "csr",
        "sign",
        "--allow-system-masters",
        "--ca-dir",
        "/open/below/ca",
    ];
    for path in [
        "/open",
        "/open/below",
        "/open/below/ca",
        "/open/below/ca/etcd",
    ] {
        mode(path, 0o777);
        for arguments in [&sign[..], &["csr", "install", "--ca-dir", "/open/below/ca"]] {
            let error = place.fail(arguments);
            assert!(
                error.contains(&format!("{path}: can be written to by others (mode 0777)")),
                "{error}"
            );
        }
        mode(path, 0o755);
    }
    mode("/open/below/ca", 0o777);
    let error = place.fail(&[
        "kubeconfig",
        "user",
        "--config",
        CONFIG,
        "--client-name",
        "x",
        "--cert-dir",
        "/open/below/ca",
    ]);
    assert!(
        error.contains("/open/below/ca: can be written to by others"),
        "{error}"
    );
    mode("/open/below/ca", 0o755);
    // In a sticky one others can exchange nothing of root's.
    mode("/open", 0o1777);
    place.succeed(&sign);
}

#[test]
fn a_huge_configuration_is_refused() {
    let place = Place::new();
    place.write("/huge.yaml", "#".repeat(11 * 1024 * 1024));
    let error = place.fail(&["csr", "generate", "--config", "/huge.yaml"]);
    assert!(
        error.contains("/huge.yaml: ") && error.contains("larger than 10 MiB"),
        "{error}"
    );
    place.write("/aliases.yaml", "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {name: cp-1}\n\
        localAPIEndpoint: {advertiseAddress: 10.0.0.5}\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\na: &a [x,x,x,x,x,x,x,x,x]\n\
        b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n");
    let error = place.fail(&["csr", "generate", "--config", "/aliases.yaml"]);
    assert!(
        error.contains("/aliases.yaml: ")
            && error.contains("with more aliases than any file of Kubernetes"),
        "{error}"
    );
}

fn nix_is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .unwrap();
    uid.split_whitespace().nth(1) == Some("0")
}
