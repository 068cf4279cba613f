//! Values that say where others are asked or told something, and as what.

use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;

use super::value::{Written, Wrong, absolute, expects, refuse, string};

/// No URL is longer; bytes.
const LONGEST_URL: usize = 1024;
/// No group is longer; letters.
const LONGEST_GROUP: usize = 64;

/// A URL of a server, without credentials and without a slash at the end; the empty text means none.
pub(super) fn optional_url(
    written: &Written<'_>,
    example: &str,
) -> Result<Option<String>, Vec<Wrong>> {
    let what = format!("a URL such as {example:?}, or \"\" for none");
    let text = string(written, what)?;
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |reason: &str| refuse(written, format!("{reason}, as in {example:?}"));
    let uri = Uri::from_str(text)
        .ok()
        .filter(|_| text.len() <= LONGEST_URL);
    let uri = uri.ok_or_else(|| wrong("not a URL; write scheme, host and port"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("not an http or https URL; write the scheme in front"));
    }
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    if authority.contains('@') {
        return Err(wrong(
            "credentials in a URL are not sent; write host and port only",
        ));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("the host is missing"));
    }
    // Uri keeps no fragment.
    if uri.query().is_some() || text.contains('#') {
        return Err(wrong("nothing may follow the path"));
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

/// A group of FleetLock's: letters, digits, dots and hyphens.
pub(super) fn fleet_lock_group(written: &Written<'_>) -> Result<String, Vec<Wrong>> {
    let what = "a group of letters, digits, dots and hyphens, such as \"default\"";
    let text = string(written, what)?;
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'-');
    if text.is_empty() || text.len() > LONGEST_GROUP || !text.bytes().all(fits) {
        return Err(expects(written, what));
    }
    Ok(text.to_owned())
}

/// A file that the node exporter's textfile collector reads; the empty text means none.
pub(super) fn optional_textfile(
    written: &Written<'_>,
    example: &str,
) -> Result<Option<PathBuf>, Vec<Wrong>> {
    let what = format!("an absolute path such as {example:?}, or \"\" for none");
    let text = string(written, what)?;
    if text.is_empty() {
        return Ok(None);
    }
    let path = absolute(written, text, example)?;
    if path.extension().is_none_or(|ending| ending != "prom") {
        let reason = "the collector reads only files whose names end in .prom";
        return Err(refuse(written, format!("{reason}, as in {example:?}")));
    }
    Ok(Some(path))
}
