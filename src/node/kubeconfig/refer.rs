//! References to a file in the place of embedded credentials, nothing else touched.

use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use super::current::{Credential, Current, Kubeconfig};
use super::edit::{DATA, Splice, apply, embedded, ending_of_name, name_of, nothing_else_changed};
use super::edit::{splices_for, wipe};
use super::error::KubeconfigError;
use super::written::Written;

pub(super) fn refer_to(text: &str, file: &Path) -> Result<Zeroizing<String>, KubeconfigError> {
    let failed = |what: String| KubeconfigError::Edit(what);
    let path = file
        .to_str()
        .ok_or_else(|| failed(format!("{} is not text", file.display())))?;
    let quoted = serde_json::to_string(path).map_err(|error| failed(format!("{path}: {error}")))?;
    let written = Written::parse(text)?;
    let current = Current::of(&written)?;
    let mut splices = Vec::new();
    for (name, data) in embedded(&current)? {
        let value = splices_for(text, name, data, Zeroizing::new(quoted.clone()))?;
        let start = value.iter().map(|splice| splice.range.start).min();
        let ending = start
            .and_then(|start| ending_of_name(text.get(..start)?, name))
            .ok_or_else(|| failed(format!("{name} is not followed by its value")))?;
        splices.push(Splice {
            range: ending,
            new: Zeroizing::new(String::new()),
        });
        splices.extend(value);
    }
    splices.sort_by_key(|splice| splice.range.start);
    let edited = apply(text, &splices)?;
    check(text, &edited, file, current.user.name())?;
    Ok(edited)
}

/// Reads the result back: both credentials are in the file, and everything else is as before.
fn check(before: &str, after: &str, file: &Path, user: &str) -> Result<(), KubeconfigError> {
    let failed = |what: String| KubeconfigError::Edit(what);
    let read_back = Kubeconfig::parse(after)
        .map_err(|error| failed(format!("the result could not be read back ({error})")))?;
    let refers =
        |credential: &Credential| matches!(credential, Credential::File(path) if path == file);
    if !refers(&read_back.certificate) || !refers(&read_back.key) {
        return Err(failed("the result does not refer to the file".to_owned()));
    }
    nothing_else_changed(before, after, |value| remove_credentials(value, user))
}

fn remove_credentials(kubeconfig: &mut Value, user: &str) {
    let users = kubeconfig.get_mut("users").and_then(Value::as_array_mut);
    for entry in users.into_iter().flatten() {
        if name_of(entry) != Some(user) {
            continue;
        }
        let Some(fields) = entry.get_mut("user").and_then(Value::as_object_mut) else {
            continue;
        };
        for field in ["client-certificate", "client-key"] {
            for name in [field.to_owned(), format!("{field}{DATA}")] {
                if let Some(mut value) = fields.shift_remove(&name) {
                    wipe(&mut value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

    fn kubeconfig(user: &str) -> String {
        format!(
            "apiVersion: v1 # kept\nclusters:\n- cluster: {{server: https://x}}\n  name: k\ncontexts:\n- context:\n    \
             cluster: k\n    user: system:node:cp1\n  name: c\ncurrent-context: c\nusers:\n- name: other\n  user: \
             {{client-key-data: c2VjcmV0}}\n- name: system:node:cp1\n  user:\n{user}    # the end\n"
        )
    }

    #[test]
    fn only_the_two_fields_change() {
        for user in [
            "    client-certificate-data: Y2VydA==\n    client-key-data: a2V5\n",
            "    client-key-data: \"a2V5\"\n    'client-certificate-data': 'Y2VydA=='\n",
            "    client-certificate-data: >-\n      Y2Vy\n      dA==\n    client-key-data:\n      a2V5\n",
        ] {
            let text = kubeconfig(user);
            let edited = refer_to(&text, Path::new(FILE)).unwrap();
            assert!(
                !edited.contains("Y2Vy") && !edited.contains("a2V5"),
                "{}",
                *edited
            );
            assert!(edited.contains("c2VjcmV0") && edited.contains("# kept"));
            assert!(edited.contains("# the end"));
            let lines = |field: &str| edited.lines().filter(|line| line.contains(field)).count();
            assert_eq!(lines(FILE), 2, "{}", *edited);
        }
    }

    #[test]
    fn json_is_edited_as_well() {
        let text = r#"{"clusters":[{"name":"k","cluster":{"server":"https://x"}}],"contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],"current-context":"c","users":[{"name":"u","user":{"client-certificate-data":"Y2VydA==","client-key-data":"a2V5"}}]}"#;
        let edited = refer_to(text, Path::new(FILE)).unwrap();
        assert!(edited.ends_with(&format!(
            r#"{{"client-certificate":"{FILE}","client-key":"{FILE}"}}}}]}}"#
        )));
    }

    #[test]
    fn what_has_no_embedded_credentials_is_refused() {
        for user in [
            "    client-certificate: /a\n    client-key: /a\n",
            "    client-certificate-data: &a Y2VydA==\n    client-key-data: *a\n",
            "    client-certificate-data: Y2VydA==\n    client-key-data: a2V5\n    client-key: /b\n",
        ] {
            assert!(
                refer_to(&kubeconfig(user), Path::new(FILE)).is_err(),
                "{user}"
            );
        }
    }
}
