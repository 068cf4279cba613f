//! What the kubelet reads: its configuration, kubeadm's instance configuration and flags, the distribution's flags.

use std::path::Path;
use std::time::Duration;

use kubecertd::node::KubeletConfiguration;

use crate::place::{Place, parts};

/// In the order of a run's parts.
const FILES: [&str; 4] = [
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/default/kubelet",
    "/var/lib/kubelet/instance-config.yaml",
];

thread_local! {
    static PLACE: Place = Place::new();
}

/// Every path lies below the root, a frequency is never nothing, and what is damaged is said.
pub fn check(data: &[u8]) {
    PLACE.with(|place| {
        for file in FILES {
            place.remove(file);
        }
        let given = parts(data);
        for (file, contents) in FILES.iter().zip(&given) {
            place.write(file, contents);
        }
        let read = || KubeletConfiguration::read(&place.root, Path::new(FILES[0]));
        let kubelet = read();
        assert_eq!(kubelet, read(), "reading twice gives the same");
        assert_ne!(kubelet.file_check_frequency, Duration::ZERO);
        for path in [
            &kubelet.static_pod_path,
            &kubelet.container_runtime_socket,
            &kubelet.certificate_directory,
            &kubelet.tls_certificate,
            &kubelet.tls_private_key,
            &kubelet.client_ca_file,
        ]
        .into_iter()
        .flatten()
        {
            assert!(
                path.starts_with(place.directory()),
                "{} is outside",
                path.display()
            );
        }
        assert!(kubelet.healthz.is_none_or(|(_, port)| port != 0));
        assert!(
            kubelet.present || !kubelet.problems.is_empty(),
            "a configuration that cannot be read is a problem"
        );
    });
}
