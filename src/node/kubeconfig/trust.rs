//! Other authorities among those that the user of a kubeconfig trusts, nothing else touched.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::current::{Current, Kubeconfig};
use super::edit::{apply, name_of, nothing_else_changed, splices_for, wipe};
use super::error::KubeconfigError;
use super::written::{Cluster, Data, Named, Written, decode};

const FIELD: &str = "certificate-authority-data";

pub(super) fn add(
    text: &str,
    certificates_pem: &str,
) -> Result<Zeroizing<String>, KubeconfigError> {
    edit(text, |mut bundle| {
        if !bundle.ends_with(b"\n") {
            bundle.push(b'\n');
        }
        bundle.extend_from_slice(certificates_pem.as_bytes());
        bundle
    })
}

/// Others in the place of all of them.
pub(super) fn replace(
    text: &str,
    certificates_pem: &[u8],
) -> Result<Zeroizing<String>, KubeconfigError> {
    edit(text, |_| certificates_pem.to_vec())
}

fn edit(
    text: &str,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Result<Zeroizing<String>, KubeconfigError> {
    let failed = |what: String| KubeconfigError::Edit(what);
    let written = Written::parse(text)?;
    let current = Current::of(&written)?;
    let cluster = current.cluster.name();
    let data = bundle_of(current.cluster).ok_or_else(|| {
        failed(format!(
            "the cluster {cluster:?} has no {FIELD} in the file"
        ))
    })?;
    let old = decode(data).map_err(|reason| failed(format!("{FIELD}: {reason}")))?;
    let bundle = change(old.to_vec());
    let mut splices = Vec::new();
    let mut names = Vec::new();
    // Another way to the same cluster, as through its load balancer, trusts the same.
    let all = written.clusters.iter().flatten();
    for (one, data) in all.filter_map(|one| Some((one, bundle_of(one)?))) {
        let is_same = || decode(data).is_ok_and(|bundle| bundle == old);
        if one.name() == cluster || is_same() {
            let quoted = Zeroizing::new(format!("\"{}\"", STANDARD.encode(bundle.as_slice())));
            splices.extend(splices_for(text, FIELD, data, quoted)?);
            names.push(one.name());
        }
    }
    splices.sort_by_key(|splice| splice.range.start);
    let edited = apply(text, &splices)?;

    let read_back = Kubeconfig::parse(&edited)
        .map_err(|error| failed(format!("the result could not be read back ({error})")))?;
    if read_back.certificate_authority.as_deref() != Some(bundle.as_slice()) {
        return Err(failed(
            "the result has other authorities than wanted".to_owned(),
        ));
    }
    nothing_else_changed(text, &edited, |value| blank_authorities(value, &names))?;
    Ok(edited)
}

fn bundle_of(cluster: &Named<Cluster>) -> Option<&Data> {
    let data = cluster.value()?.certificate_authority_data.as_ref();
    data.filter(|data| !data.is_empty())
}

/// Takes the field of these clusters out of the comparison.
fn blank_authorities(kubeconfig: &mut Value, names: &[&str]) {
    let clusters = kubeconfig.get_mut("clusters").and_then(Value::as_array_mut);
    for entry in clusters.into_iter().flatten() {
        if !name_of(entry).is_some_and(|name| names.contains(&name)) {
            continue;
        }
        if let Some(value) = entry
            .get_mut("cluster")
            .and_then(|cluster| cluster.get_mut(FIELD))
        {
            wipe(value);
            *value = Value::Null;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MORE: &str = "-----BEGIN CERTIFICATE-----\nbmV3\n-----END CERTIFICATE-----\n";

    fn kubeconfig(cluster: &str) -> String {
        format!(
            "apiVersion: v1 # kept\nclusters:\n- cluster: {{certificate-authority-data: b3RoZXI=}}\n  name: other\n\
             - name: k\n  cluster:\n    server: https://x\n{cluster}contexts:\n- context:\n    cluster: k\n    user: u\n  \
             name: c\ncurrent-context: c\nusers:\n- name: u\n  user: {{client-certificate-data: Yw==, client-key-data: aw==}} # end\n"
        )
    }

    #[test]
    fn only_the_bundle_changes() {
        for (written, before) in [
            ("    certificate-authority-data: b2xk\n", "old\n"),
            (
                "    certificate-authority-data: \"b2xkCg==\" # why\n",
                "old\n",
            ),
            (
                "    'certificate-authority-data': |\n      b2xk\n      Cg==\n",
                "old\n",
            ),
        ] {
            let text = kubeconfig(written);
            let edited = add(&text, MORE).unwrap();
            let bundle = Kubeconfig::parse(&edited).unwrap().certificate_authority;
            assert_eq!(bundle.unwrap(), format!("{before}{MORE}").as_bytes());
            let data = STANDARD.encode(format!("{before}{MORE}"));
            let rest = edited.replace(&data, "");
            for kept in ["# kept", "b3RoZXI=", "Yw==", "aw==", "# end", "https://x"] {
                assert!(rest.contains(kept), "{kept} in {rest}");
            }
            assert_eq!(rest.contains("# why"), written.contains("# why"));
        }
    }

    #[test]
    fn another_way_to_the_same_cluster_learns_of_the_same() {
        let text = kubeconfig("    certificate-authority-data: b3RoZXI=\n");
        let edited = replace(&text, b"new").unwrap();
        assert_eq!(edited.as_str(), text.replace("b3RoZXI=", "\"bmV3\""));
        let elsewhere = kubeconfig("    certificate-authority-data: b2xk\n");
        let edited = replace(&elsewhere, b"new").unwrap();
        assert_eq!(edited.as_str(), elsewhere.replace("b2xk", "\"bmV3\""));
    }

    #[test]
    fn json_is_edited_as_well() {
        let text = r#"{"clusters":[{"name":"k","cluster":{"certificate-authority-data":"b2xk"}}],"contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],"current-context":"c","users":[{"name":"u","user":{"client-certificate-data":"Yw==","client-key-data":"aw=="}}]}"#;
        let edited = add(text, MORE).unwrap();
        let data = STANDARD.encode(format!("old\n{MORE}"));
        assert_eq!(*edited, text.replace("b2xk", &data));
    }

    #[test]
    fn others_take_the_place_of_all_of_them() {
        let text = kubeconfig("    certificate-authority-data: b2xk # why\n");
        let edited = replace(&text, b"new").unwrap();
        assert_eq!(edited.as_str(), text.replace("b2xk", "\"bmV3\""));
        assert!(replace(&kubeconfig(""), b"new").is_err());
    }

    #[test]
    fn what_embeds_no_bundle_is_refused() {
        for cluster in [
            "",
            "    certificate-authority: /etc/kubernetes/pki/ca.crt\n",
            "    certificate-authority-data: %%%\n",
        ] {
            assert!(add(&kubeconfig(cluster), MORE).is_err(), "{cluster}");
        }
    }
}
