//! The kubelet's own configuration, as far as it concerns certificates and static pods.

mod flags;
mod serving_bootstrap;
#[cfg(test)]
mod tests;
mod unit;
mod words;
mod written;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Document, Fault, Problem, go_duration, read};
use crate::config::Locations;
use crate::host::{self, Root};
use flags::Flags;
pub use serving_bootstrap::{BootstrapEdit, with_serving_bootstrap};
use written::Written;

/// `fileCheckFrequency` where nothing is said.
const FILE_CHECK_FREQUENCY: Duration = Duration::from_secs(20);

/// `port` where nothing is said.
const PORT: u16 = 10250;

/// Directories below `--config-dir`, one in the other, that are entered, and files that are read there.
const DROP_IN_DEPTH: usize = 4;
const DROP_INS: usize = 100;

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
    /// `rotateCertificates`, which kubeadm always sets: whether it renews its client certificate.
    pub rotate_certificates: bool,
    /// `--hostname-override`
    pub hostname_override: Option<String>,
    /// `healthzBindAddress:healthzPort`, `None` when switched off (port 0).
    pub healthz: Option<(String, u16)>,
    /// `port`, 10250 unless set: where it serves the API server, over TLS.
    pub port: u16,
    /// `address`, where it listens on that port; `None` for all of the node's.
    pub address: Option<String>,
    /// `imageGCHighThresholdPercent`, 85 unless set: from this part of the disk on, unused images are removed.
    pub image_gc_high_threshold_percent: u64,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Whether a configuration file was found: without one there is no kubelet on this node.
    pub present: bool,
    /// That file; empty where there is none.
    pub file: PathBuf,
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
            rotate_certificates: false,
            hostname_override: None,
            healthz: Some(("127.0.0.1".to_owned(), 10248)),
            port: PORT,
            address: None,
            image_gc_high_threshold_percent: IMAGE_GC_HIGH_THRESHOLD,
            problems: Vec::new(),
            present: false,
            file: PathBuf::new(),
        }
    }
}

impl KubeletConfiguration {
    /// Reads what the kubelet reads, in the order in which one thing overrides the other: the configuration file, the files of
    /// `--config-dir`, and the flags of its unit, with drop-ins and environment files. Where the configuration says nothing,
    /// kubeadm's `instance-config.yaml` beside it does: what kubeadm puts into the configuration. A missing file is no problem.
    #[must_use]
    pub fn read(root: &Root, configuration: &Path) -> Self {
        let mut result = Self::default();
        let is_default = configuration == Locations::default().kubelet_configuration;
        let mut configuration = root.join(configuration);
        let directory = configuration
            .parent()
            .unwrap_or(&configuration)
            .to_path_buf();
        let environment = directory.join("kubeadm-flags.env");
        let flags = Flags::of(unit::command_line(root, &environment, &mut result.problems));
        if let Some(named) = flags
            .value("config")
            .filter(|path| is_default && !path.is_empty())
        {
            configuration = root.join(named);
        }
        result.read_file(root, &directory.join("instance-config.yaml"), true);
        result.present = result.read_file(root, &configuration, false);
        if result.present {
            result.file = configuration;
        }
        if let Some(directory) = flags.value("config-dir").filter(|path| !path.is_empty()) {
            let mut drop_ins = Vec::new();
            result.find_drop_ins(root, &root.join(directory), DROP_IN_DEPTH, &mut drop_ins);
            for path in drop_ins {
                result.read_file(root, &path, true);
            }
        }
        result.apply(root, &environment, flags.as_written());
        result.certificate_directory = flags.value("cert-dir").map(|path| root.join(path));
        result.hostname_override = flags
            .value("hostname-override")
            .map(|name| name.trim().to_lowercase())
            .filter(|name| !name.is_empty());
        result
    }

    /// Lays what a file says over what is known; false where there is none that can be read.
    fn read_file(&mut self, root: &Root, path: &Path, may_be_empty: bool) -> bool {
        let Some(text) = self.text(root, path) else {
            return false;
        };
        if !may_be_empty && text.trim().is_empty() {
            self.problem(
                path,
                Fault::Empty {
                    kubeadm_makes_it: false,
                },
            );
            return false;
        }
        match Written::parse(&text) {
            Ok(written) => {
                self.apply(root, path, written);
                true
            }
            Err(reason) => {
                self.problem(
                    path,
                    Fault::Malformed {
                        what: Document::KubeletConfiguration,
                        reason,
                    },
                );
                false
            }
        }
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
                    setting(
                        "fileCheckFrequency",
                        frequency,
                        "a duration such as \"20s\"",
                        Some("20s".to_owned()),
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
                    setting("containerRuntimeEndpoint", endpoint, "a unix socket", None),
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
        if let Some(rotate) = written.rotate_certificates {
            self.rotate_certificates = rotate;
        }
        if let Some(percent) = written.image_gc_high_threshold_percent {
            match percent.trim().parse() {
                Ok(percent) if percent <= 100 => self.image_gc_high_threshold_percent = percent,
                _ => self.problem(
                    path,
                    setting(
                        "imageGCHighThresholdPercent",
                        percent,
                        "a number up to 100",
                        Some(self.image_gc_high_threshold_percent.to_string()),
                    ),
                ),
            }
        }
        self.apply_healthz(path, written.healthz_bind_address, written.healthz_port);
        if let Some(address) = written.address {
            self.address = Some(address)
                .filter(|address| !matches!(address.as_str(), "" | "0.0.0.0" | "::" | "[::]"));
        }
        if let Some(port) = written.port {
            match port.trim().parse() {
                Ok(0) => self.port = PORT,
                Ok(port) => self.port = port,
                Err(_) => self.problem(
                    path,
                    setting("port", port, "a port", Some(self.port.to_string())),
                ),
            }
        }
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
                Err(_) => self.problem(path, setting("healthzPort", port, "a port", None)),
            }
        }
        self.healthz = (number != 0).then_some((host, number));
    }

    fn text(&mut self, root: &Root, path: &Path) -> Option<zeroize::Zeroizing<String>> {
        match read::find_text(root, path) {
            Ok(text) => text,
            Err(fault) => {
                self.problem(path, fault);
                None
            }
        }
    }

    /// The `*.conf` of `--config-dir` and the directories in it, in the order in which the kubelet reads them.
    fn find_drop_ins(
        &mut self,
        root: &Root,
        directory: &Path,
        depth: usize,
        found: &mut Vec<PathBuf>,
    ) {
        let listing = root
            .resolve(directory)
            .and_then(|resolved| host::some_names(&resolved, read::NAMES_LIMIT));
        let names = match listing {
            Ok((names, false)) => names,
            Ok((names, true)) => {
                self.problem(directory, read::CUT);
                names
            }
            Err(error) => {
                self.problem(directory, read::fault(&error));
                return;
            }
        };
        for name in names {
            let path = directory.join(&name);
            if host::is_directory(&path) {
                if depth > 1 {
                    self.find_drop_ins(root, &path, depth - 1, found);
                } else {
                    self.problem(&path, Fault::TooDeep { most: None });
                }
            } else if name.as_encoded_bytes().ends_with(b".conf") {
                if found.len() == DROP_INS {
                    self.problem(&path, Fault::DropInNotRead { most: DROP_INS });
                    return;
                }
                found.push(path);
            }
        }
    }

    fn problem(&mut self, path: &Path, fault: Fault) {
        self.problems.push(Problem::new(path, fault));
    }
}

fn setting(
    key: &'static str,
    value: String,
    wanted: &'static str,
    assumed: Option<String>,
) -> Fault {
    Fault::Setting {
        key,
        value,
        wanted,
        assumed,
    }
}
