//! `KubeletConfiguration` as it is written: the few fields of concern, all optional.

use serde::Deserialize;

use crate::node::yaml;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    pub(super) static_pod_path: Option<String>,
    pub(super) file_check_frequency: Option<String>,
    pub(super) container_runtime_endpoint: Option<String>,
    pub(super) tls_cert_file: Option<String>,
    pub(super) tls_private_key_file: Option<String>,
    #[serde(rename = "serverTLSBootstrap")]
    pub(super) server_tls_bootstrap: Option<bool>,
    pub(super) rotate_certificates: Option<bool>,
    pub(super) healthz_bind_address: Option<String>,
    pub(super) healthz_port: Option<String>,
    pub(super) address: Option<String>,
    pub(super) port: Option<String>,
    #[serde(rename = "imageGCHighThresholdPercent")]
    pub(super) image_gc_high_threshold_percent: Option<String>,
    pub(super) authentication: Option<Authentication>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Authentication {
    pub(super) x509: Option<X509>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct X509 {
    #[serde(rename = "clientCAFile")]
    pub(super) client_ca_file: Option<String>,
}

impl Written {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        yaml::read(text).map(Option::unwrap_or_default)
    }
}

/// The path of `unix:///run/x.sock`, `unix:/run/x.sock` or `/run/x.sock`.
pub(super) fn unix_socket(endpoint: &str) -> Option<&str> {
    let path = endpoint
        .strip_prefix("unix://")
        .or_else(|| endpoint.strip_prefix("unix:"))
        .unwrap_or(endpoint);
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (endpoint, path) in [
            ("unix:///run/x.sock", Some("/run/x.sock")),
            ("unix:/run/x.sock", Some("/run/x.sock")),
            ("/run/x.sock", Some("/run/x.sock")),
            ("npipe:////./pipe/x", None),
            ("run/x.sock", None),
        ] {
            assert_eq!(unix_socket(endpoint), path, "{endpoint}");
        }
    }
}
