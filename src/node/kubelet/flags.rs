//! The kubelet's flags.

use std::collections::BTreeMap;

use super::written::{Authentication, Written, X509};

/// Flags by name without dashes; the last one of a name counts.
#[derive(Debug, Default)]
pub(super) struct Flags(BTreeMap<String, String>);

impl Flags {
    /// The flags among the words of a command line.
    pub(super) fn of(words: Vec<String>) -> Self {
        let mut flags = Self::default();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (
                    flag,
                    words
                        .next_if(|next| !next.starts_with('-'))
                        .unwrap_or_default(),
                ),
            };
            flags.0.insert(name.to_owned(), value);
        }
        flags
    }

    /// The value of a flag; empty for a switch without one.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What a switch says, as Go reads one.
    fn switch(&self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        Some(!matches!(
            value,
            "false" | "False" | "FALSE" | "f" | "F" | "0"
        ))
    }

    /// The flags that say the same as a field of the configuration.
    pub(super) fn as_written(&self) -> Written {
        let value = |name| self.value(name).map(str::to_owned);
        Written {
            static_pod_path: value("pod-manifest-path"),
            file_check_frequency: value("file-check-frequency"),
            container_runtime_endpoint: value("container-runtime-endpoint"),
            tls_cert_file: value("tls-cert-file"),
            tls_private_key_file: value("tls-private-key-file"),
            server_tls_bootstrap: self.switch("rotate-server-certificates"),
            rotate_certificates: self.switch("rotate-certificates"),
            healthz_bind_address: value("healthz-bind-address"),
            healthz_port: value("healthz-port"),
            address: value("address"),
            port: value("port"),
            image_gc_high_threshold_percent: value("image-gc-high-threshold"),
            authentication: value("client-ca-file").map(|file| Authentication {
                x509: Some(X509 {
                    client_ca_file: Some(file),
                }),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_in_every_form() {
        let line = "kubelet --a=1 --b 2 --switch --c=3 -d=4 stray --a=5";
        let flags = Flags::of(line.split(' ').map(str::to_owned).collect());
        for (name, value) in [
            ("a", Some("5")),
            ("b", Some("2")),
            ("c", Some("3")),
            ("d", Some("4")),
            ("switch", Some("")),
            ("stray", None),
        ] {
            assert_eq!(flags.value(name), value, "{name}");
        }
    }
}
