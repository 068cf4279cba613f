//! A certificate put beside the key that a kubeconfig has already, nothing else touched.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_saphyr::Location;
use zeroize::Zeroizing;

use super::current::Current;
use super::edit::{Splice, apply, name_of, nothing_else_changed, splices_for, wipe};
use super::error::KubeconfigError;
use super::waiting::Waiting;
use super::written::Written;

const CERTIFICATE: &str = "client-certificate-data";
const KEY: &str = "client-key-data";
const AUTHORITIES: &str = "certificate-authority-data";

pub(super) fn embed(
    text: &str,
    certificate_pem: &str,
    authorities_pem: &str,
) -> Result<Zeroizing<String>, KubeconfigError> {
    let failed = |what: &str| KubeconfigError::Edit(what.to_owned());
    let written = Written::parse(text)?;
    let current = Current::of(&written)?;
    let quoted = |pem: &str| Zeroizing::new(format!("\"{}\"", STANDARD.encode(pem)));
    let key = current
        .credentials
        .client_key_data
        .as_ref()
        .ok_or_else(|| failed("the user has no embedded key (client-key-data)"))?;
    let mut splices = match &current.credentials.client_certificate_data {
        Some(old) => splices_for(text, CERTIFICATE, old, quoted(certificate_pem))?,
        None => vec![line_before(
            text,
            KEY,
            &key.spanned.referenced,
            CERTIFICATE,
            &quoted(certificate_pem),
        )?],
    };
    let cluster = current
        .cluster
        .value()
        .ok_or_else(|| failed("the cluster of its current context is empty"))?;
    if cluster.certificate_authority_data.is_none() && cluster.certificate_authority.is_none() {
        let server = cluster
            .server
            .as_ref()
            .ok_or_else(|| failed("its cluster has no server"))?;
        splices.push(line_before(
            text,
            "server",
            &server.referenced,
            AUTHORITIES,
            &quoted(authorities_pem),
        )?);
    }
    splices.sort_by_key(|splice| splice.range.start);
    let edited = apply(text, &splices)?;
    let read_back = Waiting::parse(edited.as_bytes()).map_err(|error| {
        KubeconfigError::Edit(format!("the result could not be read back ({error})"))
    })?;
    if read_back.certificate.as_ref().map(|pem| pem.as_slice()) != Some(certificate_pem.as_bytes())
    {
        return Err(failed("the result has another certificate than wanted"));
    }
    let (user, cluster) = (current.user.name(), current.cluster.name());
    nothing_else_changed(text, &edited, |value| {
        take_out(value, "users", "user", user, CERTIFICATE);
        take_out(value, "clusters", "cluster", cluster, AUTHORITIES);
    })?;
    Ok(edited)
}

/// A new line with a field, before the line of another of the same mapping.
fn line_before(
    text: &str,
    beside: &str,
    value: &Location,
    field: &str,
    quoted: &str,
) -> Result<Splice, KubeconfigError> {
    let unusual = || {
        KubeconfigError::Edit(format!(
            "its {beside} at line {} does not stand on a line of its own, so no {field} can be put before it; write the file in \
             the usual form, as kubectl does",
            value.line()
        ))
    };
    let start = value
        .span()
        .byte_offset()
        .and_then(|offset| usize::try_from(offset).ok())
        .filter(|start| text.is_char_boundary(*start))
        .ok_or_else(unusual)?;
    let line = text[..start].rfind('\n').map_or(0, |position| position + 1);
    let before = &text[line..start];
    let indent: String = before.chars().take_while(|letter| *letter == ' ').collect();
    let name = before.trim().trim_end_matches(['"', '\'']);
    let name = name
        .strip_suffix(':')
        .unwrap_or_default()
        .trim_matches(['"', '\'']);
    if name != beside {
        return Err(unusual());
    }
    Ok(Splice {
        range: line..line,
        new: Zeroizing::new(format!("{indent}{field}: {quoted}\n")),
    })
}

/// Takes one field of one entry out of the comparison.
fn take_out(kubeconfig: &mut Value, list: &str, value: &str, name: &str, field: &str) {
    let entries = kubeconfig.get_mut(list).and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        if name_of(entry) != Some(name) {
            continue;
        }
        let fields = entry.get_mut(value).and_then(Value::as_object_mut);
        if let Some(mut taken) = fields.and_then(|fields| fields.remove(field)) {
            wipe(&mut taken);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::node::Kubeconfig;

    const PARTIAL: &str = "apiVersion: v1 # kept\nclusters:\n- cluster:\n    server: https://192.0.2.2:6443\n  name: prod\ncontexts:\n\
        - context:\n    cluster: prod\n    user: u\n  name: u@prod\ncurrent-context: u@prod\nkind: Config\nusers:\n- name: other\n  \
        user:\n    token: secret\n- name: u\n  user:\n    client-key-data: a2V5\n";

    #[test]
    fn certificate_and_authorities_are_added_and_nothing_else_changes() {
        let edited = embed(PARTIAL, "certificate", "authorities").unwrap();
        let read = Kubeconfig::parse(edited.as_bytes()).unwrap();
        assert_eq!(
            read.certificate_authority.as_deref(),
            Some(b"authorities".as_slice())
        );
        assert_eq!(read.server, "https://192.0.2.2:6443");
        let without: String = edited
            .lines()
            .filter(|line| !line.contains("certificate"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(without, PARTIAL);
        // Once more, with another certificate: what is there is replaced, and the authorities stay.
        let again = embed(&edited, "successor", "others").unwrap();
        let read = Waiting::parse(again.as_bytes()).unwrap();
        assert_eq!(read.certificate.unwrap().as_slice(), b"successor");
        assert_eq!(read.authorities.unwrap().as_slice(), b"authorities");
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        let flow = PARTIAL.replace("    client-key-data: a2V5", "    {client-key-data: a2V5}");
        let refused = embed(&flow, "certificate", "authorities").unwrap_err();
        assert!(refused.to_string().contains("line of its own"), "{refused}");
        let without_key = PARTIAL.replace("client-key-data: a2V5", "token: x");
        assert!(embed(&without_key, "certificate", "authorities").is_err());
    }
}
