//! What lies in the inbox.
//!
//! Everything here may have been written by others: links, devices and what is too large are not read, and a file that makes no
//! sense is looked at again when it changes, as it may only be half there. What no request can use is not kept.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::host::{Place, is_trusted_owner, read_at_most, some_names};
use crate::node::{Fault, Problem};
use crate::pki::{Certificate, certificates_in};

/// The largest file: a chain of large certificates takes a tenth of it.
const LARGEST: u64 = 256 * 1024;
/// How many files are looked at; more than a node has certificates.
const MOST: usize = 256;
/// As much is read of all of them together: each look reads them again.
const LARGEST_SUM: u64 = 4 * 1024 * 1024;
/// More names than a certificate of a node has.
const MOST_NAMES: usize = 256;

/// One file of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its name.
    pub name: OsString,
    /// What can be of use in it.
    pub certificates: Vec<Certificate>,
    /// Whether that is all that is in it.
    pub is_whole: bool,
}

/// What is of use.
pub(super) struct Use<'a> {
    /// Whether a certificate answers an open request, or lies in its place already.
    pub(super) is_answer: &'a dyn Fn(&Certificate) -> bool,
    /// Why a file is none, in which no certificate is an answer.
    pub(super) stranger: &'a dyn Fn(&[Certificate]) -> String,
}

/// Reads the inbox; nothing where there is none. What cannot be read or used is among the problems.
pub(super) fn read(inbox: &Path, of_use: &Use<'_>) -> (Vec<Delivered>, Vec<Problem>) {
    let problem = |path: &Path, reason| Problem::new(path, Fault::NotDelivered { reason });
    match check(inbox) {
        Ok(false) => return Default::default(),
        Ok(true) => {}
        Err(error) => return (Vec::new(), vec![problem(inbox, error.to_string())]),
    }
    let (names, has_more) = match some_names(inbox, MOST) {
        Ok(names) => names,
        Err(error) => return (Vec::new(), vec![problem(inbox, error.to_string())]),
    };
    let mut delivered = Vec::new();
    let mut problems = Vec::new();
    if has_more {
        let reason = format!("only {MOST} of its files are looked at; remove what is no answer");
        problems.push(problem(inbox, reason));
    }
    let mut left = LARGEST_SUM;
    for name in names {
        // A file that is being copied often has such a name.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = inbox.join(&name);
        if left == 0 {
            let most = LARGEST_SUM / 1024 / 1024;
            let reason = format!("only {most} MiB of its files are read; remove what is no answer");
            problems.push(problem(inbox, reason));
            break;
        }
        let bytes = match read_at_most(&path, LARGEST) {
            Ok(bytes) => bytes,
            // It was taken away meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                problems.push(problem(&path, format!("{error}; it is not read")));
                continue;
            }
        };
        left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match parsed(&bytes) {
            Ok(certificates) if !certificates.iter().any(of_use.is_answer) => {
                let reason = (of_use.stranger)(&certificates);
                problems.push(Problem::new(path, Fault::NoAnswer { reason }));
            }
            Ok(mut certificates) => {
                let count = certificates.len();
                certificates.retain(|one| one.is_ca || (of_use.is_answer)(one));
                delivered.push(Delivered {
                    name,
                    is_whole: certificates.len() == count,
                    certificates,
                });
            }
            Err(reason) => problems.push(problem(&path, reason)),
        }
    }
    (delivered, problems)
}

/// The certificates in what was delivered, within bounds.
fn parsed(bytes: &[u8]) -> Result<Vec<Certificate>, String> {
    let certificates = certificates_in(bytes)
        .map_err(|error| format!("{error}; it is looked at again when it changes"))?;
    match certificates
        .iter()
        .find(|one| one.subject_alt_names.len() > MOST_NAMES)
    {
        Some(one) => Err(format!(
            "a certificate in it has {} names, more than the {MOST_NAMES} that are looked at; it is not used",
            one.subject_alt_names.len()
        )),
        None => Ok(certificates),
    }
}

/// Whether there is one that only root writes to.
fn check(inbox: &Path) -> io::Result<bool> {
    let found = match Place::at(inbox).and_then(|place| place.look()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let Some(found) = found else {
        return Ok(false);
    };
    if !found.is_directory() {
        return Err(io::Error::other(
            "is no directory, so no answer is looked for; remove it",
        ));
    }
    if !is_trusted_owner(found.uid) || found.mode & 0o022 != 0 {
        return Err(io::Error::other(
            "others than root may write to it, so nothing in it is read; give it to root and run chmod 0700",
        ));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use super::*;
    use crate::pki::{
        CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, SubjectAltName,
        Validity, certificates_to_pem,
    };
    use jiff::{SignedDuration, Timestamp};
    use std::os::unix::fs::PermissionsExt as _;

    struct Made {
        directory: tempfile::TempDir,
        authority: CertificateAuthority,
    }

    impl Made {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let closed = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(directory.path(), closed).unwrap();
            let validity = validity();
            let authority = CertificateAuthority::generate(&NewAuthority {
                common_name: "ca".to_owned(),
                algorithm: KeyAlgorithm::EcdsaP256,
                not_before: validity.not_before,
                not_after: validity.not_after,
            });
            Self {
                directory,
                authority: authority.unwrap(),
            }
        }

        fn leaf(&self, name: &str, names: usize) -> Certificate {
            let leaf = NewLeaf {
                common_name: name.to_owned(),
                organizations: Vec::new(),
                subject_alt_names: (0..names)
                    .map(|number| SubjectAltName::Dns(format!("n{number}")))
                    .collect(),
                server_auth: true,
                client_auth: false,
            };
            let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
            leaf.sign(&key, &self.authority, validity()).unwrap()
        }

        fn put(&self, name: &str, certificates: &[&Certificate], padding: usize) {
            let mut content = "\n".repeat(padding);
            content += &certificates_to_pem(certificates.iter().copied());
            std::fs::write(self.directory.path().join(name), content).unwrap();
        }

        /// With the certificates called `answer` as the answers.
        fn read(&self) -> (Vec<Delivered>, String) {
            let is_answer = |one: &Certificate| one.common_name.as_deref() == Some("answer");
            let of_use = Use {
                is_answer: &is_answer,
                stranger: &|all| format!("{} strangers", all.len()),
            };
            let (delivered, problems) = read(self.directory.path(), &of_use);
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            (delivered, problems.join("\n"))
        }
    }

    fn validity() -> Validity {
        Validity {
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
        }
    }

    #[test]
    fn only_what_can_be_of_use_is_kept() {
        let made = Made::new();
        let (answer, other) = (made.leaf("answer", 1), made.leaf("other", 1));
        let authority = made.authority.certificate();
        made.put("1", &[&answer, authority], 0);
        made.put("2", &[&other, &answer], 0);
        made.put("3", &[&other, authority], 0);
        let (mut delivered, problems) = made.read();
        delivered.sort_by(|one, other| one.name.cmp(&other.name));
        let kept: Vec<(usize, bool)> = delivered
            .iter()
            .map(|one| (one.certificates.len(), one.is_whole))
            .collect();
        assert_eq!(kept, [(2, true), (1, false)]);
        assert!(problems.ends_with("2 strangers"), "{problems}");
    }

    #[test]
    fn many_large_files_and_many_names_are_bounded() {
        let made = Made::new();
        let answer = made.leaf("answer", MOST_NAMES);
        for number in 0..20 {
            made.put(&number.to_string(), &[&answer], 240 * 1024);
        }
        let (delivered, problems) = made.read();
        assert!(
            delivered.len() < 20 && delivered.len() > 15,
            "{}",
            delivered.len()
        );
        assert!(problems.contains("only 4 MiB"), "{problems}");

        let made = Made::new();
        made.put("wide", &[&made.leaf("answer", MOST_NAMES + 1)], 0);
        let (delivered, problems) = made.read();
        assert_eq!(delivered, []);
        assert!(problems.contains("has 257 names"), "{problems}");
    }
}
