//! The kubelet's flags, from the environment files that its unit reads.

use std::collections::BTreeMap;

use super::written::{Authentication, Written, X509};

/// Flags by name without dashes; the last one of a name counts.
#[derive(Debug, Default)]
pub(super) struct Flags(BTreeMap<String, String>);

impl Flags {
    /// Adds the flags in a variable of an environment file (systemd.exec(5), `EnvironmentFile=`).
    pub(super) fn read_environment(&mut self, text: &str, variable: &str) {
        let joined = text.replace("\\\n", " ");
        for line in joined.lines() {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some((name, value)) = line.split_once('=')
                && name.trim() == variable
            {
                self.read_arguments(unquoted(value.trim()));
            }
        }
    }

    /// The value of a flag; empty for a switch without one.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
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
            server_tls_bootstrap: self
                .value("rotate-server-certificates")
                .map(|value| !matches!(value, "false" | "False" | "FALSE" | "f" | "F" | "0")),
            healthz_bind_address: value("healthz-bind-address"),
            healthz_port: value("healthz-port"),
            image_gc_high_threshold_percent: value("image-gc-high-threshold"),
            authentication: value("client-ca-file").map(|file| Authentication {
                x509: Some(X509 {
                    client_ca_file: Some(file),
                }),
            }),
        }
    }

    fn read_arguments(&mut self, arguments: &str) {
        let mut words = arguments.split_whitespace().map(unquoted).peekable();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, unquoted(value)),
                None => (
                    flag,
                    words
                        .next_if(|next| !next.starts_with('-'))
                        .unwrap_or_default(),
                ),
            };
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flags_in_every_form() {
        let mut flags = Flags::default();
        flags.read_environment(
            "# KUBELET_EXTRA_ARGS=--a=no\nOTHER=--a=no\n\
             KUBELET_EXTRA_ARGS=\"--a=1 --b 2 --switch \\\n --c='3' -d=4 stray --a=5\"\n",
            "KUBELET_EXTRA_ARGS",
        );
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

    proptest! {
        #[test]
        fn no_text_panics(text in "(KUBELET_EXTRA_ARGS=)?\\PC{0,40}") {
            Flags::default().read_environment(&text, "KUBELET_EXTRA_ARGS");
        }
    }
}
