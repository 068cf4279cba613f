//! Another annotation in a manifest's text, nothing else touched: to the kubelet that is another pod.

use serde_json::Value;

use super::error::ManifestError;
use crate::node::{encoding::Text, yaml};

/// The annotation that kubecertd sets.
pub const RESTARTED_AT: &str = "kubecertd.io/restarted-at";

/// The manifest with the annotation [`RESTARTED_AT`] of that value and not one other byte changed. The result is read
/// back and compared.
///
/// # Errors
/// [`ManifestError::Edit`] where that is not possible: JSON, or metadata in one line.
pub fn annotated(contents: &[u8], value: &str) -> Result<Vec<u8>, ManifestError> {
    let text = Text::decode(contents).map_err(ManifestError::not_text)?;
    let edited = annotated_text(&text.text, value)?;
    Ok(text.encode(&edited).to_vec())
}

fn annotated_text(text: &str, value: &str) -> Result<String, ManifestError> {
    let failed = |what: &str| ManifestError::Edit(what.to_owned());
    let lines: Vec<Line<'_>> = lines(text);
    let metadata = lines
        .iter()
        .position(|line| line.indent == 0 && line.is_key("metadata"))
        .ok_or_else(|| failed("its metadata is no block of lines"))?;
    let fields = indent_below(&lines, metadata).ok_or_else(|| failed("its metadata is empty"))?;
    let end_of_line = if lines[metadata].whole.ends_with("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let annotations = block(&lines, metadata)
        .find(|index| lines[*index].indent == fields && lines[*index].is_key("annotations"));
    let entry = |indent: usize| {
        format!(
            "{}{RESTARTED_AT}: \"{value}\"{end_of_line}",
            " ".repeat(indent)
        )
    };
    let edited = match annotations {
        None => {
            let new = format!("{}annotations:{end_of_line}", " ".repeat(fields));
            insert(&lines, metadata, &(new + &entry(fields * 2)), None)
        }
        Some(annotations) => {
            let inner = indent_below(&lines, annotations).unwrap_or(fields * 2);
            let earlier =
                block(&lines, annotations).find(|index| lines[*index].names(RESTARTED_AT));
            insert(&lines, annotations, &entry(inner), earlier)
        }
    };
    check(text, &edited, value)?;
    Ok(edited)
}

/// One line of the text.
struct Line<'a> {
    whole: &'a str,
    content: &'a str,
    indent: usize,
}

impl Line<'_> {
    /// Whether it opens the block of this key.
    fn is_key(&self, key: &str) -> bool {
        self.names(key)
            && self
                .content
                .split_once(':')
                .is_some_and(|(_, rest)| rest.trim().is_empty() || rest.trim().starts_with('#'))
    }

    fn names(&self, key: &str) -> bool {
        self.content
            .split_once(": ")
            .or_else(|| Some((self.content.strip_suffix(':')?, "")))
            .is_some_and(|(name, _)| name.trim_matches(['"', '\'']) == key)
    }

    fn says_nothing(&self) -> bool {
        self.content.is_empty() || self.content.starts_with('#')
    }
}

fn lines(text: &str) -> Vec<Line<'_>> {
    text.split_inclusive('\n')
        .map(|whole| {
            let content = whole.trim();
            Line {
                whole,
                content,
                indent: whole.len() - whole.trim_start_matches(' ').len(),
            }
        })
        .collect()
}

/// The lines below a key that belong to it.
fn block<'l>(lines: &'l [Line<'_>], key: usize) -> impl Iterator<Item = usize> + use<'l> {
    let indent = lines[key].indent;
    (key + 1..lines.len())
        .take_while(move |index| lines[*index].says_nothing() || lines[*index].indent > indent)
        .filter(|index| !lines[*index].says_nothing())
}

fn indent_below(lines: &[Line<'_>], key: usize) -> Option<usize> {
    block(lines, key).next().map(|first| lines[first].indent)
}

/// The text with new lines after one, and another left out.
fn insert(lines: &[Line<'_>], after: usize, new: &str, without: Option<usize>) -> String {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        if Some(index) != without {
            text.push_str(line.whole);
        }
        if index == after {
            text.push_str(new);
        }
    }
    text
}

/// The annotation is there, and everything else is as before.
fn check(before: &str, after: &str, value: &str) -> Result<(), ManifestError> {
    let read = |text: &str| {
        let mut pod: Value = yaml::read(text)
            .map_err(ManifestError::Syntax)?
            .unwrap_or_default();
        let metadata = pod.get_mut("metadata").and_then(Value::as_object_mut);
        let found = metadata.and_then(|metadata| {
            let annotations = metadata.get_mut("annotations")?.as_object_mut();
            let found = annotations.and_then(|annotations| annotations.shift_remove(RESTARTED_AT));
            let is_empty = match metadata.get("annotations") {
                Some(Value::Object(rest)) => rest.is_empty(),
                Some(rest) => rest.is_null(),
                None => false,
            };
            if is_empty {
                metadata.shift_remove("annotations");
            }
            found
        });
        Ok::<_, ManifestError>((pod, found))
    };
    let (old, _) = read(before)?;
    let (new, found) = read(after)?;
    if old == new && found.as_ref().and_then(Value::as_str) == Some(value) {
        Ok(())
    } else {
        Err(ManifestError::Edit(
            "something else in the file would change".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that were added and those that went.
    fn changes(text: &str) -> (Vec<String>, Vec<String>) {
        let edited = annotated_text(text, "2027").unwrap();
        let only_in = |one: &str, other: &str| {
            one.split_inclusive('\n')
                .filter(|line| !other.split_inclusive('\n').any(|other| other == *line))
                .map(str::to_owned)
                .collect()
        };
        (only_in(&edited, text), only_in(text, &edited))
    }

    const KUBEADM: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    \
        kubeadm.kubernetes.io/etcd.advertise-client-urls: https://10.0.0.1:2379\n  creationTimestamp: null\n  \
        labels: # tier\n    component: etcd\n  name: etcd\nspec:\n  containers:\n  - name: etcd\n    \
        env:\n    - {name: metadata, value: \"annotations:\"}\nstatus: {}\n";

    #[test]
    fn one_line_is_added_and_later_replaced() {
        let (added, gone) = changes(KUBEADM);
        assert_eq!(added, ["    kubecertd.io/restarted-at: \"2027\"\n"]);
        assert!(gone.is_empty());
        let (added, gone) = changes(&annotated_text(KUBEADM, "2026").unwrap());
        assert_eq!(added, ["    kubecertd.io/restarted-at: \"2027\"\n"]);
        assert_eq!(gone, ["    kubecertd.io/restarted-at: \"2026\"\n"]);
    }

    #[test]
    fn annotations_are_made_where_there_are_none() {
        for text in [
            "kind: Pod\r\n# top\r\nmetadata:\r\n    # inner\r\n\r\n    name: x\r\n",
            "metadata: # here\n    annotations:\n    name: x\n",
            "metadata:\n    name: x",
        ] {
            let edited = annotated_text(text, "2027").unwrap();
            let pod: Value = yaml::read(&edited).unwrap().unwrap();
            assert_eq!(
                pod["metadata"]["annotations"][RESTARTED_AT], "2027",
                "{edited}"
            );
            assert_eq!(pod["metadata"]["name"], "x");
            assert_eq!(edited.contains("\r\n"), text.contains("\r\n"));
            assert!(!edited.replace("\r\n", "").contains('\r') && edited.starts_with(&text[..8]));
        }
    }

    #[test]
    fn what_cannot_be_edited_line_by_line_is_refused() {
        for text in [
            "",
            "{\"metadata\": {\"name\": \"x\"}}",
            "metadata: {name: x}\n",
            "metadata:\n",
            "metadata:\n  annotations: {a: b}\n  name: x\n",
            "metadata:\n  name: |\n    x\n  annotations: &a\n    b: c\nspec: [\n",
        ] {
            assert!(
                matches!(
                    annotated_text(text, "2027"),
                    Err(ManifestError::Edit(_) | ManifestError::Syntax(_))
                ),
                "{text:?}"
            );
        }
    }
}
