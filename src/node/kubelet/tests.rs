#![allow(clippy::disallowed_methods)]
use super::*;

fn read(files: &[(&str, &str)]) -> (KubeletConfiguration, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::new(directory.path()).unwrap();
    for (path, text) in files {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    }
    let read = KubeletConfiguration::read(&root, Path::new("/var/lib/kubelet/config.yaml"));
    (read, directory)
}

#[test]
fn no_file_is_the_default() {
    assert_eq!(read(&[]).0, KubeletConfiguration::default());
}

#[test]
fn each_source_overrides_the_one_before() {
    let (kubelet, directory) = read(&[
        (
            "/var/lib/kubelet/config.yaml",
            "apiVersion: kubelet.config.k8s.io/v1beta1\n\
             authentication:\n  x509:\n    clientCAFile: /etc/pki/ca.crt\n\
             staticPodPath: /etc/kubernetes/manifests\nfileCheckFrequency: 0s\n\
             containerRuntimeEndpoint: unix:///run/a.sock\nserverTLSBootstrap: true\n\
             healthzPort: 10300\nimageGCHighThresholdPercent: 90\ntlsCertFile: /a.crt\ntlsPrivateKeyFile: /a.key\n",
        ),
        (
            "/var/lib/kubelet/instance-config.yaml",
            "containerRuntimeEndpoint: unix:///run/b.sock\n",
        ),
        (
            "/var/lib/kubelet/kubeadm-flags.env",
            "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/c.sock --port=10260 \
             --hostname-override=Node-7 --cert-dir=/srv/pki --config-dir /etc/kubelet.d\"\n",
        ),
        (
            "/etc/kubelet.d/20-b/x.conf",
            "fileCheckFrequency: 1m30s\naddress: 10.0.0.7\nport: 1\n",
        ),
        ("/etc/kubelet.d/10-a.conf", "fileCheckFrequency: 5s\n"),
        ("/etc/kubelet.d/30-c.yaml", "fileCheckFrequency: 6s\n"),
        (
            "/etc/default/kubelet",
            "# by hand\nKUBELET_EXTRA_ARGS='--pod-manifest-path=/srv/manifests --healthz-bind-address=::1'\n",
        ),
    ]);
    let root = Root::new(directory.path()).unwrap();
    assert_eq!(
        kubelet,
        KubeletConfiguration {
            static_pod_path: Some(root.join("/srv/manifests")),
            file_check_frequency: Duration::from_secs(90),
            container_runtime_socket: Some(root.join("/run/c.sock")),
            certificate_directory: Some(root.join("/srv/pki")),
            tls_certificate: Some(root.join("/a.crt")),
            tls_private_key: Some(root.join("/a.key")),
            client_ca_file: Some(root.join("/etc/pki/ca.crt")),
            server_tls_bootstrap: true,
            rotate_certificates: false,
            hostname_override: Some("node-7".to_owned()),
            healthz: Some(("::1".to_owned(), 10300)),
            port: 10260,
            address: Some("10.0.0.7".to_owned()),
            image_gc_high_threshold_percent: 90,
            problems: Vec::new(),
            present: true,
            file: root.join("/var/lib/kubelet/config.yaml"),
        }
    );
}

/// As kubeadm of Kubernetes 1.36 writes it; what the kubelet's own configuration says is what the kubelet does.
#[test]
fn the_socket_of_the_instance_configuration_counts_where_no_other_is_named() {
    let instance = (
        "/var/lib/kubelet/instance-config.yaml",
        "containerRuntimeEndpoint: \"unix:///run/instance.sock\"\n",
    );
    for (configuration, socket) in [
        ("containerRuntimeEndpoint: \"\"\n", "instance.sock"),
        ("port: 1\n", "instance.sock"),
        (
            "containerRuntimeEndpoint: unix:///run/own.sock\n",
            "own.sock",
        ),
    ] {
        let (kubelet, _directory) =
            read(&[instance, ("/var/lib/kubelet/config.yaml", configuration)]);
        assert!(kubelet.container_runtime_socket.unwrap().ends_with(socket));
        assert!(kubelet.present && kubelet.problems.is_empty());
    }
    assert!(!read(&[instance]).0.present);
}

#[test]
fn the_units_flags_name_configuration_and_drop_ins() {
    let (kubelet, directory) = read(&[
        (
            "/etc/systemd/system/kubelet.service.d/20-mine.conf",
            "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet --config=/etc/kubelet.yaml --config-dir /etc/kubelet.d\n",
        ),
        (
            "/etc/kubelet.yaml",
            "staticPodPath: /srv/manifests\nport: 10251\n",
        ),
        ("/etc/kubelet.d/.hidden.conf", "port: 10252\n"),
        ("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--port=10253\n"),
    ]);
    assert_eq!(kubelet.problems, []);
    assert_eq!(kubelet.port, 10252);
    let root = Root::new(directory.path()).unwrap();
    assert_eq!(kubelet.static_pod_path, Some(root.join("/srv/manifests")));
    assert!(kubelet.present);
}

#[test]
fn what_makes_no_sense_is_a_problem_and_the_rest_counts() {
    let (kubelet, _directory) = read(&[(
        "/var/lib/kubelet/config.yaml",
        "staticPodPath: /m\nfileCheckFrequency: soon\ncontainerRuntimeEndpoint: tcp://1.2.3.4:5\nhealthzPort: 0\nport: x\nimageGCHighThresholdPercent: 850\n",
    )]);
    let reasons: Vec<String> = kubelet
        .problems
        .iter()
        .map(|p| p.fault.to_string())
        .collect();
    assert_eq!(
        reasons,
        [
            "fileCheckFrequency \"soon\" is not a duration such as \"20s\"; 20s is assumed",
            "containerRuntimeEndpoint \"tcp://1.2.3.4:5\" is not a unix socket",
            "imageGCHighThresholdPercent \"850\" is not a number up to 100; 85 is assumed",
            "port \"x\" is not a port; 10250 is assumed"
        ]
    );
    assert_eq!(kubelet.file_check_frequency, FILE_CHECK_FREQUENCY);
    assert_eq!(kubelet.healthz, None);
    assert!(kubelet.static_pod_path.unwrap().ends_with("m"));
}

#[test]
fn a_broken_file_is_a_problem() {
    for broken in ["", "a: [", "- 1\n", "staticPodPath: [1]\n"] {
        let (kubelet, _directory) = read(&[("/var/lib/kubelet/config.yaml", broken)]);
        assert_eq!(kubelet.problems.len(), 1, "{broken:?}");
        assert!(!kubelet.present);
    }
}
