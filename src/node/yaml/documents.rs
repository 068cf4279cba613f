//! The documents of a text, each with its place in it.

/// More than any configuration has.
const MOST_DOCUMENTS: usize = 64;

/// Each document with blank lines in the place of those before it, so that positions are those of the whole text.
///
/// # Errors
/// More documents than any file of Kubernetes has.
pub(super) fn documents(text: &str) -> Result<Vec<String>, String> {
    let mut documents = vec![String::new()];
    for (line, content) in text.lines().enumerate() {
        if is_boundary(content) {
            if documents.len() == MOST_DOCUMENTS {
                return Err(format!("more than {MOST_DOCUMENTS} documents"));
            }
            documents.push("\n".repeat(line + 1));
            continue;
        }
        if let Some(document) = documents.last_mut() {
            document.push_str(content);
            document.push('\n');
        }
    }
    Ok(documents)
}

/// `---`, perhaps with a comment behind it, as Kubernetes' reader separates documents.
fn is_boundary(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| {
        let rest = rest.trim();
        rest.is_empty() || rest.starts_with('#')
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn positions_are_those_of_the_whole_text() {
        let documents = documents("a: 1\n--- # two\nb: 2\n---x: 3\n").unwrap();
        assert_eq!(documents, ["a: 1\n", "\n\nb: 2\n---x: 3\n"]);
        assert!(super::documents(&"---\n".repeat(64)).is_err());
    }
}
