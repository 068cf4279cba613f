//! Lists of words: a program with its arguments, names of CAs.

use std::path::Path;

use super::Mistake;
use super::value::{Written, Wrong, expects, string, suggestion};
use crate::pki::AuthorityId;

/// A program, by its absolute path, and its arguments.
pub(super) fn command(written: &Written<'_>) -> Result<Vec<String>, Vec<Wrong>> {
    let what =
        "a program and its arguments such as [\"/usr/local/bin/sign\", \"--ca\", \"kubernetes\"]";
    let words = words(written, what)?;
    let Some(program) = words.first() else {
        return Err(expects(written, what));
    };
    if let Some(word) = words.iter().find(|word| word.contains('\0')) {
        return Err(listed(
            written,
            Mistake::WrongValue,
            format!(" = {word:?}: an argument cannot hold a NUL character"),
        ));
    }
    check_program(program)
        .map_err(|reason| listed(written, Mistake::WrongValue, format!(": {reason}")))
        .map(|()| words)
}

/// CAs by kubeadm's names; at least one.
pub(super) fn authorities(written: &Written<'_>) -> Result<Vec<AuthorityId>, Vec<Wrong>> {
    let what = "a list of CAs such as [\"ca\", \"front-proxy-ca\"]";
    let words = words(written, what)?;
    if words.is_empty() {
        return Err(expects(written, what));
    }
    let table = [
        AuthorityId::Kubernetes,
        AuthorityId::Etcd,
        AuthorityId::FrontProxy,
    ]
    .map(|one| (one.name(), one));
    let known = table.map(|(name, _)| name);
    let mut found = Vec::new();
    for word in &words {
        match table.iter().find(|(name, _)| name == word) {
            Some((_, authority)) => found.push(*authority),
            None => {
                let reason = suggestion(word, &known);
                return Err(listed(
                    written,
                    Mistake::UnknownWord,
                    format!(" = {word:?}; {reason}"),
                ));
            }
        }
    }
    Ok(found)
}

fn words(written: &Written<'_>, what: &str) -> Result<Vec<String>, Vec<Wrong>> {
    let Some(array) = written.get_ref().as_array() else {
        return Err(expects(written, what));
    };
    array
        .iter()
        .map(|element| string(element, what).map(str::to_owned))
        .collect()
}

fn listed(written: &Written<'_>, mistake: Mistake, message: String) -> Vec<Wrong> {
    vec![Wrong {
        span: written.span(),
        mistake,
        message,
    }]
}

/// Whether a program may be named so: by an absolute path, so that no search decides which it is.
fn check_program(program: &str) -> Result<(), String> {
    if Path::new(program).is_absolute() {
        Ok(())
    } else {
        Err(format!(
            "{program:?} is no absolute path; write where the program lies, as in \"/usr/local/bin/sign\""
        ))
    }
}
