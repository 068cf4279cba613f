//! The kubelet's own configuration, as far as it concerns certificates and static pods.

mod flags;
mod go_duration;
mod written;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Problem, read};
use crate::root::Root;
use flags::Flags;
use written::Written;

/// `fileCheckFrequency` where nothing is said.
const FILE_CHECK_FREQUENCY: Duration = Duration::from_secs(20);

/// `imageGCHighThresholdPercent` where nothing is said.
const IMAGE_GC_HIGH_THRESHOLD: u64 = 85;

/// What the kubelet was told. Paths are real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletConfiguration {
    /// `staticPodPath`
    pub static_pod_path: Option<PathBuf>,
    /// `fileCheckFrequency`, 20 s unless set.
    pub file_check_frequency: Duration,
    /// `containerRuntimeEndpoint` (from the configuration or kubeadm-flags.env), a path of a unix socket.
    pub container_runtime_socket: Option<PathBuf>,
    /// `--cert-dir`
    pub certificate_directory: Option<PathBuf>,
    /// `tlsCertFile`
    pub tls_certificate: Option<PathBuf>,
    /// `tlsPrivateKeyFile`
    pub tls_private_key: Option<PathBuf>,
    /// `authentication.x509.clientCAFile`: kubeadm's `ca.crt`, which tells its certificates directory.
    pub client_ca_file: Option<PathBuf>,
    /// `serverTLSBootstrap`
    pub server_tls_bootstrap: bool,
    /// `--hostname-override`
    pub hostname_override: Option<String>,
    /// `healthzBindAddress:healthzPort`, `None` when switched off (port 0).
    pub healthz: Option<(String, u16)>,
    /// `imageGCHighThresholdPercent`, 85 unless set: from this part of the disk on, unused images are removed.
    pub image_gc_high_threshold_percent: u64,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Whether a configuration file was found: without one there is no kubelet on this node.
    pub present: bool,
}

impl Default for KubeletConfiguration {
    fn default() -> Self {
        Self {
            static_pod_path: None,
            file_check_frequency: FILE_CHECK_FREQUENCY,
            container_runtime_socket: None,
            certificate_directory: None,
            tls_certificate: None,
            tls_private_key: None,
            client_ca_file: None,
            server_tls_bootstrap: false,
            hostname_override: None,
            healthz: Some(("127.0.0.1".to_owned(), 10248)),
            image_gc_high_threshold_percent: IMAGE_GC_HIGH_THRESHOLD,
            problems: Vec::new(),
            present: false,
        }
    }
}

impl KubeletConfiguration {
    /// Reads what the kubelet reads, in the order in which one thing overrides the other: the configuration file,
    /// kubeadm's `instance-config.yaml` beside it, the files of `--config-dir`, and the flags in
    /// `kubeadm-flags.env` and the distribution's environment file. A missing file is no problem.
    #[must_use]
    pub fn read(root: &Root, configuration: &Path) -> Self {
        let mut result = Self::default();
        let configuration = root.join(configuration);
        let directory = configuration
            .parent()
            .unwrap_or(&configuration)
            .to_path_buf();

        let mut flags = Flags::default();
        for (path, variable) in [
            (directory.join("kubeadm-flags.env"), "KUBELET_KUBEADM_ARGS"),
            (root.join("/etc/default/kubelet"), "KUBELET_EXTRA_ARGS"),
            (root.join("/etc/sysconfig/kubelet"), "KUBELET_EXTRA_ARGS"),
        ] {
            if let Some(text) = result.text(root, &path) {
                flags.read_environment(&text, variable);
            }
        }

        let mut files = vec![configuration, directory.join("instance-config.yaml")];
        if let Some(directory) = flags.value("config-dir") {
            files.extend(result.drop_ins(&root.join(directory)));
        }
        for (index, path) in files.iter().enumerate() {
            let Some(text) = result.text(root, path) else {
                continue;
            };
            if index == 0 && text.trim().is_empty() {
                result.problem(path, "is empty; restore it from a backup".to_owned());
                continue;
            }
            match Written::parse(&text) {
                Ok(written) => {
                    result.present |= index == 0;
                    result.apply(root, path, written);
                }
                Err(reason) => {
                    result.problem(path, format!("is not a kubelet configuration: {reason}"))
                }
            }
        }
        let environment = directory.join("kubeadm-flags.env");
        result.apply(root, &environment, flags.as_written());
        result.certificate_directory = flags.value("cert-dir").map(|path| root.join(path));
        result.hostname_override = flags
            .value("hostname-override")
            .map(|name| name.trim().to_lowercase())
            .filter(|name| !name.is_empty());
        result
    }

    /// Lays what is written over what is known.
    fn apply(&mut self, root: &Root, path: &Path, written: Written) {
        let real = |text: Option<String>| {
            text.filter(|text| !text.is_empty())
                .map(|text| root.join(text))
        };
        if let Some(frequency) = written.file_check_frequency {
            match go_duration::parse(&frequency) {
                Some(Duration::ZERO) => self.file_check_frequency = FILE_CHECK_FREQUENCY,
                Some(frequency) => self.file_check_frequency = frequency,
                None => self.problem(
                    path,
                    format!(
                        "fileCheckFrequency {frequency:?} is not a duration such as \"20s\"; 20s is assumed"
                    ),
                ),
            }
        }
        if let Some(endpoint) = written
            .container_runtime_endpoint
            .filter(|text| !text.is_empty())
        {
            match written::unix_socket(&endpoint) {
                Some(socket) => self.container_runtime_socket = Some(root.join(socket)),
                None => self.problem(
                    path,
                    format!("containerRuntimeEndpoint {endpoint:?} is not a unix socket"),
                ),
            }
        }
        let client_ca = written
            .authentication
            .and_then(|authentication| authentication.x509)
            .and_then(|x509| x509.client_ca_file);
        self.static_pod_path = real(written.static_pod_path).or(self.static_pod_path.take());
        self.tls_certificate = real(written.tls_cert_file).or(self.tls_certificate.take());
        self.tls_private_key = real(written.tls_private_key_file).or(self.tls_private_key.take());
        self.client_ca_file = real(client_ca).or(self.client_ca_file.take());
        if let Some(bootstrap) = written.server_tls_bootstrap {
            self.server_tls_bootstrap = bootstrap;
        }
        if let Some(percent) = written.image_gc_high_threshold_percent {
            match percent.trim().parse() {
                Ok(percent) if percent <= 100 => self.image_gc_high_threshold_percent = percent,
                _ => self.problem(
                    path,
                    format!(
                        "imageGCHighThresholdPercent {percent:?} is not a number up to 100; {} is assumed",
                        self.image_gc_high_threshold_percent
                    ),
                ),
            }
        }
        self.apply_healthz(path, written.healthz_bind_address, written.healthz_port);
    }

    fn apply_healthz(&mut self, path: &Path, address: Option<String>, port: Option<String>) {
        let (mut host, mut number) = self
            .healthz
            .take()
            .unwrap_or_else(|| ("127.0.0.1".to_owned(), 0));
        if let Some(address) = address.filter(|address| !address.is_empty()) {
            host = address;
        }
        if let Some(port) = port {
            match port.trim().parse() {
                Ok(port) => number = port,
                Err(_) => self.problem(path, format!("healthzPort {port:?} is not a port")),
            }
        }
        self.healthz = (number != 0).then_some((host, number));
    }

    fn text(&mut self, root: &Root, path: &Path) -> Option<zeroize::Zeroizing<String>> {
        match read::find_text(root, path) {
            Ok(text) => text,
            Err(reason) => {
                self.problem(path, reason);
                None
            }
        }
    }

    /// The `*.conf` of `--config-dir`, sorted as the kubelet reads them.
    fn drop_ins(&mut self, directory: &Path) -> Vec<PathBuf> {
        match read::names(directory) {
            Ok(listing) => {
                if listing.is_cut {
                    self.problems.push(read::cut(directory));
                }
                let paths = listing.names.into_iter().map(|name| directory.join(name));
                paths
                    .filter(|path| {
                        path.extension()
                            .is_some_and(|extension| extension == "conf")
                    })
                    .collect()
            }
            Err(error) => {
                self.problem(directory, read::reason(&error));
                Vec::new()
            }
        }
    }

    fn problem(&mut self, path: &Path, reason: String) {
        self.problems.push(Problem {
            path: path.to_path_buf(),
            reason,
        });
    }
}

#[cfg(test)]
mod tests {
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
                "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/c.sock \
                 --hostname-override=Node-7 --cert-dir=/srv/pki --config-dir /etc/kubelet.d\"\n",
            ),
            ("/etc/kubelet.d/20-b.conf", "fileCheckFrequency: 1m30s\n"),
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
                hostname_override: Some("node-7".to_owned()),
                healthz: Some(("::1".to_owned(), 10300)),
                image_gc_high_threshold_percent: 90,
                problems: Vec::new(),
                present: true,
            }
        );
    }

    #[test]
    fn what_makes_no_sense_is_a_problem_and_the_rest_counts() {
        let (kubelet, _directory) = read(&[(
            "/var/lib/kubelet/config.yaml",
            "staticPodPath: /m\nfileCheckFrequency: soon\ncontainerRuntimeEndpoint: tcp://1.2.3.4:5\nhealthzPort: 0\nimageGCHighThresholdPercent: 850\n",
        )]);
        let reasons: Vec<&str> = kubelet.problems.iter().map(|p| p.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "fileCheckFrequency \"soon\" is not a duration such as \"20s\"; 20s is assumed",
                "containerRuntimeEndpoint \"tcp://1.2.3.4:5\" is not a unix socket",
                "imageGCHighThresholdPercent \"850\" is not a number up to 100; 85 is assumed"
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
}
