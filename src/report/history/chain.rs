//! How lines hang together: each holds the digest of the one before and its own.

use crate::host;
use crate::journal::Head;

/// What a line holds besides the receipt, and what is before its own digest.
#[derive(serde::Serialize)]
struct Chained<'receipt, R> {
    #[serde(flatten)]
    receipt: &'receipt R,
    previous: &'receipt str,
}

#[derive(serde::Deserialize)]
struct Link {
    previous: String,
    history_before: Option<Head>,
}

const BEFORE_DIGEST: &str = ",\"digest\":\"";
const BEHIND_DIGEST: &str = "\"}";

pub(super) fn line(receipt: &impl serde::Serialize, previous: &str) -> serde_json::Result<String> {
    let mut line = serde_json::to_string(&Chained { receipt, previous })?;
    line.pop();
    let digest = host::digest(line.as_bytes());
    Ok(format!("{line}{BEFORE_DIGEST}{digest}{BEHIND_DIGEST}\n"))
}

/// Whether a line is as it was written, behind the one with that digest. Gives the history that its operation found.
pub(super) fn check(line: &[u8], previous: &str) -> Result<Option<Head>, String> {
    let changed = || "this line was changed since it was written".to_owned();
    let rest = line
        .strip_suffix(BEHIND_DIGEST.as_bytes())
        .ok_or_else(changed)?;
    let (rest, digest) = rest
        .split_at_checked(rest.len().saturating_sub(64))
        .ok_or_else(changed)?;
    let body = rest
        .strip_suffix(BEFORE_DIGEST.as_bytes())
        .ok_or_else(changed)?;
    if host::digest(body).as_bytes() != digest {
        return Err(changed());
    }
    let link: Link = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if link.previous != previous {
        return Err(
            "it does not follow the line before: one is missing here, or was moved".to_owned(),
        );
    }
    Ok(link.history_before)
}

pub(super) fn without_torn_end(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |position| position + 1);
    &text[..end]
}

pub(super) fn lines(whole: &[u8]) -> impl Iterator<Item = &[u8]> {
    whole
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}
