//! Names of signers, as `spec.signerName` has them.

use super::value::{Written, Wrong, refuse, string};

/// The API takes no longer ones; bytes.
const LONGEST: usize = 571;
/// The API takes it only in a version that is gone.
const LEGACY: &str = "kubernetes.io/legacy-unknown";

/// A domain, a slash, and names with dots between.
pub(super) fn signer_name(written: &Written<'_>) -> Result<String, Vec<Wrong>> {
    let example = "\"kubernetes.io/kube-apiserver-client\" or \"example.com/own\"";
    let text = string(written, format!("the name of a signer such as {example}"))?;
    if text == LEGACY {
        let reason =
            "requests to this signer cannot be made any more, and no certificate of its is trusted";
        return Err(refuse(written, reason));
    }
    if is_signer_name(text) {
        Ok(text.to_owned())
    } else {
        let reason = format!("not the name of a signer; write DOMAIN/NAME, as in {example}");
        Err(refuse(written, reason))
    }
}

fn is_signer_name(text: &str) -> bool {
    let Some((domain, path)) = text.split_once('/') else {
        return false;
    };
    text.len() <= LONGEST && domain.contains('.') && is_labels(domain) && is_labels(path)
}

/// Small letters, digits and `-`, with dots between.
fn is_labels(text: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.split('.').all(|label| {
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.into_iter()
            .all(|end| end.is_some_and(|end| is_letter(*end)))
            && bytes
                .iter()
                .all(|letter| is_letter(*letter) || *letter == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signer_is_a_domain_and_a_name() {
        for name in [
            "kubernetes.io/kube-apiserver-client",
            "issuers.cert-manager.io/kubecertd.own-ca",
            "example.com/a",
        ] {
            assert!(is_signer_name(name), "{name}");
        }
        for name in [
            "",
            "/",
            "example.com",
            "example.com/",
            "/a",
            "example/a",
            "example.com/a/b",
            "Example.com/a",
            "example.com/a_b",
            "example.com/-a",
            "example..com/a",
            "a b.c/d",
        ] {
            assert!(!is_signer_name(name), "{name}");
        }
        let long = format!("example.com/{}", "a".repeat(LONGEST));
        assert!(!is_signer_name(&long));
    }
}
