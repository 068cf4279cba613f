//! Kubeconfigs as kubeadm writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What a new kubeconfig says.
pub(super) struct NewKubeconfig<'a> {
    pub(super) cluster: &'a str,
    pub(super) server: &'a str,
    /// PEM of those that its user trusts; `None` in one that waits for its certificate.
    pub(super) authorities: Option<&'a str>,
    pub(super) user: &'a str,
    pub(super) credential: NewCredential<'a>,
}

/// How its user shows who it is.
pub(super) enum NewCredential<'a> {
    /// A key whose certificate comes later.
    Key(&'a str),
    /// A certificate and its key, PEM.
    Certificate(&'a str, &'a str),
    /// A bearer token.
    Token(&'a str),
}

impl NewKubeconfig<'_> {
    /// The text, in the order of Kubernetes' own writer.
    pub(super) fn text(&self) -> Zeroizing<String> {
        let [cluster, server, user] = [self.cluster, self.server, self.user].map(scalar);
        let context = scalar(&format!("{}@{}", self.user, self.cluster));
        let data = |name: &str, pem: &str| {
            let encoded = Zeroizing::new(STANDARD.encode(pem));
            Zeroizing::new(format!("    {name}: {}\n", *encoded))
        };
        let authorities = self
            .authorities
            .map(|pem| data("certificate-authority-data", pem))
            .unwrap_or_default();
        let (first, second) = match self.credential {
            NewCredential::Key(key) => (data("client-key-data", key), Zeroizing::default()),
            NewCredential::Certificate(certificate, key) => (
                data("client-certificate-data", certificate),
                data("client-key-data", key),
            ),
            NewCredential::Token(token) => {
                let value = Zeroizing::new(scalar(token));
                let line = ["    token: ", value.as_str(), "\n"].concat();
                (Zeroizing::new(line), Zeroizing::default())
            }
        };
        // concat() allocates once, so no part of a key is left behind by growing.
        let text = [
            "apiVersion: v1\nclusters:\n- cluster:\n",
            &authorities,
            "    server: ",
            &server,
            "\n  name: ",
            &cluster,
            "\ncontexts:\n- context:\n    cluster: ",
            &cluster,
            "\n    user: ",
            &user,
            "\n  name: ",
            &context,
            "\ncurrent-context: ",
            &context,
            "\nkind: Config\nusers:\n- name: ",
            &user,
            "\n  user:\n",
            &first,
            &second,
        ]
        .concat();
        Zeroizing::new(text)
    }
}

/// A text as a YAML value: plain where nothing else could be read into it, else in double quotes, which JSON's escapes suit.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-._:/@[]".contains(letter))
        && !text.ends_with(':')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::node::Kubeconfig;

    proptest::proptest! {
        #[test]
        fn whatever_the_names_are_the_kubeconfig_says_them(cluster in "\\PC{1,20}", user in "\\PC{1,20}") {
            let text = NewKubeconfig {
                cluster: &cluster,
                server: "https://[2001:db8::1]:6443",
                authorities: Some("ca"),
                user: &user,
                credential: NewCredential::Certificate("certificate", "key"),
            }
            .text();
            let read = Kubeconfig::parse(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(read.cluster, cluster);
            proptest::prop_assert_eq!(read.user, user);
            proptest::prop_assert_eq!(read.server, "https://[2001:db8::1]:6443");
            proptest::prop_assert_eq!(read.certificate_authority.as_deref(), Some(b"ca".as_slice()));
        }
    }
}
