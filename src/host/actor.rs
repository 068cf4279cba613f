//! What started this process: the user, the login behind it, the terminal and the command.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;

use nix::unistd::getuid;

/// More than any /etc/passwd that is worth reading; bytes.
const LARGEST: u64 = 4 << 20;

/// More of a command line is not kept; characters.
const LONGEST: usize = 4096;

/// What the kernel writes where nobody has logged in (proc_pid_loginuid(5)).
const NO_LOGIN: u32 = u32::MAX;

/// What started a process, as far as the kernel says it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Actor {
    /// The process's user id.
    pub uid: u32,
    /// That user's name, where /etc/passwd has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user id of the login that the process descends from, which su(1) and sudo(8) do not change; `None` where there was
    /// none, as for a daemon, or where the kernel does not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// That user's name, where /etc/passwd has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_user: Option<String>,
    /// The terminal that its standard input is, or else its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// The command line, word by word.
    pub command: Vec<String>,
}

impl Actor {
    /// Of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let uid = getuid().as_raw();
        let login_uid = login_uid();
        let names = text_of("/etc/passwd").unwrap_or_default();
        Self {
            uid,
            user: user_name(&names, uid),
            login_uid,
            login_user: login_uid.and_then(|uid| user_name(&names, uid)),
            terminal: terminal(),
            command: command(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
        }
    }
}

impl std::fmt::Display for Actor {
    /// `root, logged in as alice, on /dev/pts/0`
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |name: &Option<String>, uid: u32| match name {
            Some(name) => format!("{name} ({uid})"),
            None => format!("user {uid}"),
        };
        out.write_str(&name(&self.user, self.uid))?;
        if let Some(login) = self.login_uid {
            write!(out, ", logged in as {}", name(&self.login_user, login))?;
        }
        if let Some(terminal) = &self.terminal {
            write!(out, ", on {terminal}")?;
        }
        Ok(())
    }
}

fn login_uid() -> Option<u32> {
    let text = text_of("/proc/self/loginuid")?;
    let uid = text.trim().parse().ok()?;
    (uid != NO_LOGIN).then_some(uid)
}

/// The name of a user, from the text of /etc/passwd. Directories on the network are not asked: an operation waits for none.
fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn terminal() -> Option<String> {
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let descriptors = [
        (0, input.as_fd().is_terminal()),
        (1, output.as_fd().is_terminal()),
    ];
    let (descriptor, _) = descriptors
        .into_iter()
        .find(|(_, is_terminal)| *is_terminal)?;
    let path = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
    Some(path.to_string_lossy().into_owned())
}

/// The words of a command line, up to a bound.
fn command(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut left = LONGEST;
    let mut kept = Vec::new();
    for word in words {
        let length = word.chars().count();
        if length > left {
            kept.push(word.chars().take(left).chain(['…']).collect());
            break;
        }
        left -= length;
        kept.push(word);
    }
    kept
}

/// A small file of the machine's own; `None` where it cannot be read.
fn text_of(path: &str) -> Option<String> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_passwd_and_long_commands_are_cut() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(user_name(passwd, 7), None);
        let long = command(["kubecertd".to_owned(), "x".repeat(10_000)].into_iter());
        assert!(long.concat().chars().count() <= LONGEST + 1 && long[1].ends_with('…'));
        let actor = Actor {
            uid: 0,
            user: Some("root".to_owned()),
            login_uid: Some(1000),
            login_user: None,
            terminal: Some("/dev/pts/0".to_owned()),
            command: Vec::new(),
        };
        assert_eq!(
            actor.to_string(),
            "root (0), logged in as user 1000, on /dev/pts/0"
        );
    }

    #[test]
    fn this_process_says_what_the_kernel_says() {
        let actor = Actor::of_this_process();
        assert_eq!(actor.uid, getuid().as_raw());
        assert!(!actor.command.is_empty());
    }
}
