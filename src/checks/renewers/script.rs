//! Whether a shell text calls `kubeadm certs renew`. Pure.

use crate::host::process::program_name;
use crate::pki::Catalogued;

/// The words of a command, without what the shell makes of quotes, brackets and semicolons.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter.is_whitespace() || "'\"`;|&(){}$<>".contains(letter))
        .filter(|word| !word.is_empty())
}

/// Whether any line that is no comment renews. KubeKey's script keeps `kubeadm certs` in a variable and appends `renew all`
/// elsewhere; that counts as well.
pub(crate) fn renews(text: &str) -> bool {
    // Few of a machine's scripts have the name in them, and splitting all of them into words takes long.
    if !text.contains("kubeadm") {
        return false;
    }
    let joined = text.replace("\\\n", " ");
    let mut names_kubeadm_certs = false;
    let mut says_renew = false;
    for line in joined.lines() {
        let words: Vec<&str> = words(line).collect();
        if line.trim_start().starts_with('#') || words.first() == Some(&"echo") {
            continue;
        }
        for (position, word) in words.iter().enumerate() {
            if program_name(word) == "kubeadm" {
                let mut rest = words[position + 1..]
                    .iter()
                    .filter(|word| !word.starts_with('-') && **word != "alpha");
                if rest.next() == Some(&"certs") {
                    match rest.next() {
                        Some(&"renew") => return true,
                        None => names_kubeadm_certs = true,
                        Some(_) => {}
                    }
                }
            }
            says_renew |= *word == "renew"
                && words
                    .get(position + 1)
                    .is_some_and(|next| is_certificate(next));
        }
    }
    names_kubeadm_certs && says_renew
}

fn is_certificate(word: &str) -> bool {
    word == "all" || Catalogued::all().into_iter().any(|one| one.name() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_calling_it_is_seen() {
        for text in [
            "kubeadm certs renew all",
            "/usr/local/bin/kubeadm alpha certs renew all",
            "/bin/sh -c 'kubeadm --v=5 certs renew apiserver && reboot'",
            "if true; then ${BIN}/kubeadm certs renew all; fi",
            "kubeadm certs \\\n  renew all",
            "#!/bin/bash\nkubeadmCerts='/usr/local/bin/kubeadm certs'\n${kubeadmCerts} renew all\n",
            "x=$(kubeadm certs renew scheduler.conf)",
        ] {
            assert!(renews(text), "{text}");
        }
        for text in [
            "# kubeadm certs renew all",
            "kubeadm certs check-expiration",
            "echo 'run kubeadm certs renew all'",
            "certbot renew",
            "#!/bin/sh\nk='kubeadm certs'\n$k check-expiration\necho renew all\n",
            "kubecertd renew all",
            "",
        ] {
            assert!(!renews(text), "{text}");
        }
    }
}
