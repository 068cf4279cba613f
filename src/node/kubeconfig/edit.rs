//! New credentials in the text of a kubeconfig, nothing else touched.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_saphyr::Location;
use zeroize::{Zeroize as _, Zeroizing};

use super::anchors::used_again;
use super::current::{Current, Kubeconfig};
use super::error::KubeconfigError;
use super::written::{Data, User, Written, decode};
use crate::node::yaml;

/// Where certificate and key are embedded.
const FIELDS: [&str; 2] = ["client-certificate-data", "client-key-data"];

/// One replacement: what goes away, and what comes.
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) new: Zeroizing<String>,
}

pub(super) fn replace_credentials(
    text: &str,
    certificate_pem: &str,
    key_pem: &str,
) -> Result<Zeroizing<String>, KubeconfigError> {
    let edited = replace_written(text, &Written::parse(text)?, certificate_pem, key_pem)?;
    // Whatever else is wrong with it, a CA that is no base64 say, was so before; but nothing is put in place that is not read.
    Kubeconfig::parse(edited.as_str()).map_err(|error| {
        KubeconfigError::Edit(format!("the result could not be read back ({error})"))
    })?;
    Ok(edited)
}

/// The same in a text that was read already and is a sound kubeconfig.
pub(super) fn replace_written(
    text: &str,
    written: &Written,
    certificate_pem: &str,
    key_pem: &str,
) -> Result<Zeroizing<String>, KubeconfigError> {
    let current = Current::of(written)?;
    let users = [(current.user.name(), current.credentials)];
    replace_in(text, &users, certificate_pem, key_pem)
}

/// The same in the entries of these users.
pub(super) fn replace_in(
    text: &str,
    users: &[(&str, &User)],
    certificate_pem: &str,
    key_pem: &str,
) -> Result<Zeroizing<String>, KubeconfigError> {
    let mut splices = Vec::new();
    for (name, user) in users {
        for ((field, data), pem) in fields_of(name, user)?
            .into_iter()
            .zip([certificate_pem, key_pem])
        {
            // Double quotes suit YAML and JSON alike, and base64 needs no escape.
            let quoted = Zeroizing::new(format!("\"{}\"", *Zeroizing::new(STANDARD.encode(pem))));
            splices.extend(splices_for(text, field, data, quoted)?);
        }
    }
    splices.sort_by_key(|splice| splice.range.start);
    let edited = apply(text, &splices)?;
    let names: Vec<&str> = users.iter().map(|(name, _)| *name).collect();
    check(text, &edited, (certificate_pem, key_pem), &names)?;
    Ok(edited)
}

/// The two embedded fields of the current user.
pub(super) fn embedded<'w>(
    current: &Current<'w>,
) -> Result<[(&'static str, &'w Data); 2], KubeconfigError> {
    fields_of(current.user.name(), current.credentials)
}

/// The two embedded fields of a user.
fn fields_of<'w>(
    user: &str,
    credentials: &'w User,
) -> Result<[(&'static str, &'w Data); 2], KubeconfigError> {
    let field = |name: &'static str, field: &'w Option<Data>| {
        let data = field.as_ref().filter(|data| !data.is_empty());
        data.map(|data| (name, data)).ok_or_else(|| {
            KubeconfigError::Edit(format!("the user {user:?} has no {name} in the file"))
        })
    };
    let user = credentials;
    Ok([
        field(FIELDS[0], &user.client_certificate_data)?,
        field(FIELDS[1], &user.client_key_data)?,
    ])
}

/// The replacements for one field's value.
pub(super) fn splices_for(
    text: &str,
    name: &str,
    data: &Data,
    quoted: Zeroizing<String>,
) -> Result<Vec<Splice>, KubeconfigError> {
    let unusual = |what: &str| KubeconfigError::Edit(format!("{name} {what}"));
    if data.spanned.referenced != data.spanned.defined {
        return in_place_of_alias(text, name, &data.spanned.referenced, quoted)
            .map(|one| vec![one]);
    }
    let span = data.spanned.referenced.span();
    let range = span
        .byte_offset()
        .zip(span.byte_len())
        .and_then(|(offset, length)| {
            let start = usize::try_from(offset).ok()?;
            Some(start..start.checked_add(usize::try_from(length).ok()?)?)
        });
    let (range, scalar) = range
        .and_then(|range| Some((range.clone(), text.get(range)?)))
        .ok_or_else(|| unusual("has no position in the file"))?;
    if let Some(line) = used_again(text, range.start) {
        return Err(unusual(&format!(
            "is also the value of an anchor (&) which the alias (*) at line {line} uses again; write it out there"
        )));
    }
    let Some(header) = block_header(text, range.start) else {
        return Ok(vec![Splice { range, new: quoted }]);
    };
    // A block scalar: the value takes the place of its header, and its lines go away with the line break before them.
    let lines_start = text[header.end..range.start]
        .find(['\r', '\n'])
        .map_or(range.start, |offset| header.end + offset);
    let lines_end = range.start + scalar.trim_end().len();
    Ok(vec![
        Splice {
            range: header,
            new: quoted,
        },
        Splice {
            range: lines_start..lines_end,
            new: Zeroizing::new(String::new()),
        },
    ])
}

/// The replacement for an alias that is the field's value: what it stands for is another's and stays.
fn in_place_of_alias(
    text: &str,
    name: &str,
    referenced: &Location,
    quoted: Zeroizing<String>,
) -> Result<Splice, KubeconfigError> {
    let unusual = |what: &str| {
        KubeconfigError::Edit(format!(
            "{name} {what} at line {}; write it out in the user's own entry",
            referenced.line()
        ))
    };
    let start = referenced
        .span()
        .byte_offset()
        .and_then(|offset| usize::try_from(offset).ok());
    let (before, alias) = start
        .and_then(|start| text.split_at_checked(start))
        .ok_or_else(|| unusual("is an alias (*)"))?;
    let merged = before
        .trim_end()
        .trim_end_matches('[')
        .trim_end()
        .ends_with("<<:");
    if merged || !alias.starts_with('*') {
        return Err(unusual("comes from a merge key (<<)"));
    }
    if ending_of_name(before, name).is_none() {
        return Err(unusual("is inside of what is written as an alias (*)"));
    }
    let length = alias
        .find(|letter: char| {
            letter.is_whitespace() || matches!(letter, ',' | '[' | ']' | '{' | '}')
        })
        .unwrap_or(alias.len());
    Ok(Splice {
        range: before.len()..before.len() + length,
        new: quoted,
    })
}

/// Where the name of the field whose value follows ends in [`DATA`].
pub(super) fn ending_of_name(before: &str, name: &str) -> Option<Range<usize>> {
    let name_and_quote = before.trim_end().strip_suffix(':')?.trim_end();
    let name_end = name_and_quote.trim_end_matches(['"', '\'']);
    name_end
        .ends_with(name)
        .then(|| name_end.len() - DATA.len()..name_end.len())
}

/// What the embedded fields' names end in, and those of references do not.
pub(super) const DATA: &str = "-data";

/// The `|` or `>-` before the first line of a block scalar, if what begins at `start` is one.
fn block_header(text: &str, start: usize) -> Option<Range<usize>> {
    let before = text.get(..start)?;
    let header_line_end = before.rfind('\n')?;
    let before = before[..header_line_end].trim_end();
    let line_start = before.rfind('\n').map_or(0, |position| position + 1);
    let line = &before[line_start..];
    let line = line
        .find(" #")
        .map_or(line, |comment| &line[..comment])
        .trim_end();
    let indicator = line.rsplit([' ', '\t']).next()?;
    let mut letters = indicator.chars();
    (matches!(letters.next(), Some('|' | '>'))
        && letters.all(|letter| matches!(letter, '+' | '-' | '0'..='9')))
    .then(|| {
        let end = line_start + line.len();
        end - indicator.len()..end
    })
}

/// The text with the replacements, which are in order, made.
pub(super) fn apply(text: &str, splices: &[Splice]) -> Result<Zeroizing<String>, KubeconfigError> {
    // Enough from the start: a growing buffer would leave copies of the key behind.
    let longest = text.len() + splices.iter().map(|splice| splice.new.len()).sum::<usize>();
    let mut edited = Zeroizing::new(String::with_capacity(longest));
    let mut done = 0;
    for splice in splices {
        let kept = text.get(done..splice.range.start).ok_or_else(|| {
            KubeconfigError::Edit("the certificate and the key are one value".to_owned())
        })?;
        edited.push_str(kept);
        edited.push_str(&splice.new);
        done = splice.range.end;
    }
    edited.push_str(text.get(done..).unwrap_or_default());
    Ok(edited)
}

/// Reads the result back: the new credentials are there, and everything else is as before.
fn check(
    before: &str,
    after: &str,
    (certificate_pem, key_pem): (&str, &str),
    users: &[&str],
) -> Result<(), KubeconfigError> {
    let compared = Compared::read(before, after)?;
    let embeds = |user: &&str| embeds(&compared.after, user, certificate_pem, key_pem);
    if !users.iter().all(embeds) {
        return Err(KubeconfigError::Edit(
            "the result has other credentials than wanted".to_owned(),
        ));
    }
    compared.are_same_without(|value| {
        for user in users {
            blank_credentials(value, user);
        }
    })
}

/// Whether two texts are the same but for what `strip` takes out of each.
pub(super) fn nothing_else_changed(
    before: &str,
    after: &str,
    strip: impl Fn(&mut Value),
) -> Result<(), KubeconfigError> {
    Compared::read(before, after)?.are_same_without(strip)
}

/// Everything in a text and in what was made of it. Wiped when dropped.
struct Compared {
    before: Value,
    after: Value,
}

impl Compared {
    fn read(before: &str, after: &str) -> Result<Self, KubeconfigError> {
        let all_of = |text| yaml::read(text).map(Option::unwrap_or_default);
        Ok(Self {
            before: all_of(before).map_err(KubeconfigError::Edit)?,
            after: all_of(after).map_err(|error| {
                KubeconfigError::Edit(format!("the result could not be read back ({error})"))
            })?,
        })
    }

    fn are_same_without(mut self, strip: impl Fn(&mut Value)) -> Result<(), KubeconfigError> {
        strip(&mut self.before);
        strip(&mut self.after);
        if self.before == self.after {
            Ok(())
        } else {
            Err(KubeconfigError::Edit(
                "something else in the file would change".to_owned(),
            ))
        }
    }
}

impl Drop for Compared {
    fn drop(&mut self) {
        wipe(&mut self.before);
        wipe(&mut self.after);
    }
}

/// Whether both are what the user's entry has embedded.
fn embeds(kubeconfig: &Value, user: &str, certificate_pem: &str, key_pem: &str) -> bool {
    let users = kubeconfig.get("users").and_then(Value::as_array);
    let mut entries = users.into_iter().flatten();
    let fields = entries
        .find(|entry| name_of(entry) == Some(user))
        .and_then(|entry| entry.get("user"));
    FIELDS
        .into_iter()
        .zip([certificate_pem, key_pem])
        .all(|(field, pem)| {
            let data = fields.and_then(|fields| fields.get(field)?.as_str());
            data.and_then(|data| decode(data).ok())
                .is_some_and(|bytes| bytes.as_slice() == pem.as_bytes())
        })
}

/// Takes the two fields of the user out of the comparison.
fn blank_credentials(kubeconfig: &mut Value, user: &str) {
    let users = kubeconfig.get_mut("users").and_then(Value::as_array_mut);
    for entry in users.into_iter().flatten() {
        if name_of(entry) != Some(user) {
            continue;
        }
        for field in FIELDS {
            if let Some(value) = entry.get_mut("user").and_then(|user| user.get_mut(field)) {
                wipe(value);
                *value = Value::Null;
            }
        }
    }
}

pub(super) fn name_of(entry: &Value) -> Option<&str> {
    entry.get("name").and_then(Value::as_str)
}

/// Wipes every text in the value: other users' keys and tokens are among them.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
