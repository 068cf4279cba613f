//! What strace prints, with whole paths.

/// The lines with every name that is relative to a directory's descriptor as its whole path:
/// `openat(5</x>, "y", …)` becomes `openat("/x/y", …)`. Needs strace's `-y`.
pub fn with_whole_paths(log: &str) -> String {
    let mut whole = String::with_capacity(log.len());
    for line in log.lines() {
        let mut rest = line;
        let call = line.split('(').next().unwrap_or_default();
        let takes_a_name = call.ends_with("at") || call.ends_with("at2");
        while takes_a_name && let Some(at) = rest.find(">, \"") {
            let (before, behind) = rest.split_at(at);
            let name = &behind[">, \"".len()..];
            match before.rfind('<') {
                Some(start) if !name.starts_with('/') && before[start + 1..].starts_with('/') => {
                    let directory = &before[start + 1..];
                    let call = before[..start].trim_end_matches(|letter: char| {
                        letter.is_ascii_digit() || letter.is_ascii_uppercase() || letter == '_'
                    });
                    whole.push_str(call);
                    whole.push('"');
                    whole.push_str(directory.trim_end_matches('/'));
                    whole.push('/');
                }
                _ => {
                    whole.push_str(before);
                    whole.push_str(">, \"");
                }
            }
            rest = name;
        }
        whole.push_str(rest);
        whole.push('\n');
    }
    whole
}
