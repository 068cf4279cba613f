//! Lists: names of certificates, days, CAs, networks, a program with its arguments. Every wrong element is reported at its own place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::civil::Weekday;

use super::Mistake;
use super::approver::NamePattern;
use super::network::Network;
use super::value::{Written, Wrong, check_table_name, choice, expects, path, string};
use super::window::DAYS;
use crate::pki::AuthorityId;

/// Names of certificates.
pub(super) fn names(written: &Written<'_>) -> Result<BTreeSet<String>, Vec<Wrong>> {
    let what = "a list of certificate names such as [\"super-admin.conf\"]";
    let names = each(written, what, |element| {
        let name = string(element, what)?;
        check_table_name(name)
            .map(|()| name.to_owned())
            .map_err(|reason| wrong(element, format!(" = {name:?}; {reason}")))
    })?;
    Ok(names.into_iter().collect())
}

/// Absolute paths, each once.
pub(super) fn paths(written: &Written<'_>) -> Result<Vec<PathBuf>, Vec<Wrong>> {
    let example = "/root/.kube/config";
    let what = format!("a list of absolute paths such as [{example:?}]");
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in each(written, &what, |element| path(element, example))? {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Days of the week, in their order; at least one.
pub(super) fn days(written: &Written<'_>) -> Result<Vec<Weekday>, Vec<Wrong>> {
    let what = "a list of days such as [\"mon\", \"thu\"]";
    let named = each(written, what, |element| choice(element, &DAYS))?;
    if named.is_empty() {
        let never =
            " = []: such a window never opens; name a day, or leave the key out for every day";
        return Err(wrong(written, never.to_owned()));
    }
    let all = DAYS.iter().map(|(_, day)| *day);
    Ok(all.filter(|day| named.contains(day)).collect())
}

/// CAs by kubeadm's names; at least one.
pub(super) fn authorities(written: &Written<'_>) -> Result<Vec<AuthorityId>, Vec<Wrong>> {
    let what = "a list of CAs such as [\"ca\", \"front-proxy-ca\"]";
    let table = AuthorityId::ALL.map(|one| (one.name(), one));
    let named = each(written, what, |element| choice(element, &table))?;
    if named.is_empty() {
        return Err(expects(written, what));
    }
    Ok(named)
}

/// Networks of nodes. One that has every address would check nothing.
pub(super) fn networks(written: &Written<'_>) -> Result<Vec<Network>, Vec<Wrong>> {
    let what = "a list of networks such as [\"10.0.0.0/16\", \"2001:db8::/64\"]";
    each(written, what, |element| {
        let text = string(element, what)?;
        let because = |reason: String| wrong(element, format!(" = {text:?}: {reason}"));
        let network = Network::parse(text)
            .ok_or_else(|| because("not a network; write it as in \"10.0.0.0/16\"".to_owned()))?;
        let (first, _) = text.split_once('/').unwrap_or_default();
        if first.parse() != Ok(network.address()) {
            let reason = format!("bits are set behind the first {}; write", network.length());
            return Err(because(format!("{reason} \"{network}\"")));
        }
        if network.length() == 0 {
            let reason = "every address is in it, so it checks nothing; write the nodes' networks";
            return Err(because(reason.to_owned()));
        }
        Ok(network)
    })
}

/// Patterns of nodes' names.
pub(super) fn name_patterns(written: &Written<'_>) -> Result<Vec<NamePattern>, Vec<Wrong>> {
    let what = "a list of patterns such as [\"worker-*\", \"*.example.com\"]";
    each(written, what, |element| {
        let text = string(element, what)?;
        NamePattern::parse(text).map_err(|reason| wrong(element, format!(" = {text:?}: {reason}")))
    })
}

/// A program, by its absolute path, and its arguments.
pub(super) fn command(written: &Written<'_>) -> Result<Vec<String>, Vec<Wrong>> {
    let what =
        "a program and its arguments such as [\"/usr/local/bin/sign\", \"--ca\", \"kubernetes\"]";
    let words = each(written, what, |element| {
        let word = string(element, what)?;
        if word.contains('\0') {
            let reason = format!(" = {word:?}: an argument cannot hold a NUL character");
            return Err(wrong(element, reason));
        }
        Ok(word.to_owned())
    })?;
    match words.first() {
        None => Err(expects(written, what)),
        // So that no search decides which it is.
        Some(program) if !Path::new(program).is_absolute() => Err(wrong(
            written,
            format!(
                ": {program:?} is no absolute path; write where the program lies, as in \"/usr/local/bin/sign\""
            ),
        )),
        Some(_) => Ok(words),
    }
}

fn each<T>(
    written: &Written<'_>,
    what: &str,
    read: impl Fn(&Written<'_>) -> Result<T, Vec<Wrong>>,
) -> Result<Vec<T>, Vec<Wrong>> {
    let Some(array) = written.get_ref().as_array() else {
        return Err(expects(written, what));
    };
    let (mut all, mut mistakes) = (Vec::new(), Vec::new());
    for element in array.iter() {
        match read(element) {
            Ok(value) => all.push(value),
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    if mistakes.is_empty() {
        Ok(all)
    } else {
        Err(mistakes)
    }
}

fn wrong(written: &Written<'_>, message: String) -> Vec<Wrong> {
    vec![Wrong {
        span: written.span(),
        mistake: Mistake::WrongValue,
        message,
    }]
}
