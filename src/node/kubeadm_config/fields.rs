//! Fields of a configuration, one by one.

use std::path::PathBuf;

use serde_saphyr::Spanned;

use super::names::is_dns_name;

/// A field's value, or what is wrong with it and in which line. An empty one is as good as none, as to kubeadm.
pub(super) fn given<T>(
    field: Option<&Spanned<String>>,
    name: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let Some(field) = field.filter(|field| !field.value.is_empty()) else {
        return Ok(None);
    };
    let line = field.referenced.line();
    read(&field.value)
        .map(Some)
        .map_err(|error| format!("line {line}: {name}: {error}"))
}

/// A name that a context of a kubeconfig can be made of.
pub(super) fn cluster_name(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) || text.len() > 253 {
        return Err("has control characters, or is longer than 253 letters".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() && !text.chars().any(char::is_control) {
        Ok(path)
    } else {
        Err(format!("{text:?} is no absolute path"))
    }
}

pub(super) fn dns_domain(text: &str) -> Result<String, String> {
    if is_dns_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no DNS domain; write small letters, digits, '-' and '.'"
        ))
    }
}
