//! The users of this machine, from /etc/passwd alone: who is known elsewhere has no home that is looked into.

use std::path::{Component, Path, PathBuf};

use super::owners::{USERS, number, table};
use crate::host::Root;

/// So many homes are looked into.
const MOST: usize = 1000;

/// A user with a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user's number.
    pub uid: u32,
    /// The home, as the node names it.
    pub home: PathBuf,
}

/// The users, root first, each home once. None where the file cannot be read.
#[must_use]
pub fn accounts(root: &Root) -> Vec<Account> {
    match table(root, USERS) {
        Ok(text) => parse(&text),
        Err(error) => {
            tracing::debug!(path = USERS, %error, "the users of this machine are not known");
            Vec::new()
        }
    }
}

fn parse(text: &str) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    for account in text.lines().filter_map(account) {
        if accounts.len() < MOST && !accounts.iter().any(|known| known.home == account.home) {
            accounts.push(account);
        }
    }
    accounts.sort_by_key(|account| account.uid != 0);
    accounts
}

/// `alice:x:1000:1000:Alice:/home/alice:/bin/bash`; `None` for what is no line, or a home that is no directory of its own.
fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [_, _, uid, _, _, home, _] = fields[..] else {
        return None;
    };
    let home = Path::new(home);
    let mut parts = home.components();
    let is_sound = parts.next() == Some(Component::RootDir)
        && home != Path::new("/")
        && parts.all(|part| matches!(part, Component::Normal(_)));
    let uid = number(uid)?;
    is_sound.then(|| Account {
        uid,
        home: home.to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_homes_of_their_own_are_looked_into() {
        let text = "alice:x:1000:1000:Alice:/home/alice:/bin/bash\n\
            daemon:x:1:1:daemon:/:/usr/sbin/nologin\n\
            # a comment\nbroken\nbob:x:one:1:Bob:/home/bob:/bin/sh\n\
            eve:x:1001:1001::/home/eve/../../root:/bin/sh\nmallory:x:1002:1002::home:/bin/sh\n\
            twin:x:1003:1003::/home/alice:/bin/sh\nroot:x:0:0:root:/root:/bin/bash\n\
            +::::::\n";
        let found = parse(text);
        let found: Vec<(u32, &str)> = found
            .iter()
            .map(|account| (account.uid, account.home.to_str().unwrap()))
            .collect();
        assert_eq!(found, [(0, "/root"), (1000, "/home/alice")]);
    }
}
