//! journald: entries with fields to its socket, and entries read back through journalctl(1).
//!
//! Not through the log, whose level an administrator may set to anything: what is written here is evidence.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No more of journalctl's output is read; bytes.
const LARGEST: u64 = 32 << 20;
/// No more of what it complains about is read; bytes.
const LONGEST_COMPLAINT: u64 = 4096;
/// It has so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to look whether it is done.
const PAUSE: Duration = Duration::from_millis(20);
/// No more entries are asked for, the newest.
const MOST: usize = 10_000;

/// Where journald listens, and the program that reads what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journald {
    /// The socket of its native protocol.
    pub socket: PathBuf,
    /// Where journalctl may be; the first that is there is run.
    pub readers: Vec<PathBuf>,
}

impl Default for Journald {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/systemd/journal/socket"),
            readers: ["/usr/bin/journalctl", "/bin/journalctl"]
                .map(PathBuf::from)
                .to_vec(),
        }
    }
}

/// Why the journal cannot be read, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum JournaldError {
    /// There is no journalctl.
    #[error("there is no journalctl on this machine")]
    NoReader,
    /// It could not be run, or failed.
    #[error("{}: {reason}", path.display())]
    Failed {
        /// Which program.
        path: PathBuf,
        /// What it or the system said.
        reason: String,
    },
}

/// The fields of one entry that are text. Those whose names begin with `_` journald has written itself.
pub type Entry = BTreeMap<String, String>;

impl Journald {
    /// Whether it listens on this machine.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.socket.exists()
    }

    /// Writes one entry. Never waits for a journald that does not read.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, fields: &[(&str, &str)]) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to(&datagram(fields), &self.socket)?;
        Ok(())
    }

    /// The entries that have these values in these fields, oldest first, at most 10,000.
    ///
    /// # Errors
    /// [`JournaldError`]; also where journalctl shows only a part, to a user who may not see all.
    pub fn entries(&self, fields: &[(&str, &str)]) -> Result<Vec<Entry>, JournaldError> {
        let reader = self.readers.iter().find(|path| path.exists());
        let path = reader.ok_or(JournaldError::NoReader)?;
        let failed = |reason: String| JournaldError::Failed {
            path: path.clone(),
            reason,
        };
        let output = run(path, fields).map_err(failed)?;
        let text = String::from_utf8_lossy(&output);
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| entry(line).map_err(failed))
            .collect()
    }
}

/// The native protocol: `NAME=value` where the value is one line, else the name, its length in 64 bits and the value.
fn datagram(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            bytes.push(b'\n');
            bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            bytes.push(b'=');
        }
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

fn entry(line: &str) -> Result<Entry, String> {
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(line).map_err(|error| format!("printed what is no entry: {error}"))?;
    // A field that appears twice is a list, and one with other bytes than text as well: neither is kubecertd's.
    let texts = fields.into_iter().filter_map(|(name, value)| match value {
        serde_json::Value::String(text) => Some((name, text)),
        _ => None,
    });
    Ok(texts.collect())
}

fn run(path: &Path, fields: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let matches = fields.iter().map(|(name, value)| format!("{name}={value}"));
    let mut child = Command::new(path)
        .args(["--no-pager", "--output=json", "--lines"])
        .arg(MOST.to_string())
        .args(matches)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let output = reading(child.stdout.take(), LARGEST + 1);
    let complaint = reading(child.stderr.take(), LONGEST_COMPLAINT);
    let status = wait(&mut child);
    let output = output.join().unwrap_or_default();
    let complaint = complaint.join().unwrap_or_default();
    if output.len() as u64 > LARGEST {
        return Err(format!("printed more than {} MiB", LARGEST >> 20));
    }
    let complaint = String::from_utf8_lossy(&complaint)
        .trim()
        .replace('\n', " ");
    match status? {
        // Journals that may not be read are no failure to it, and the answer is not the whole one.
        true if complaint.contains("not seeing messages") || complaint.contains("permission") => {
            Err(complaint)
        }
        true => Ok(output),
        false if complaint.is_empty() => Err("failed".to_owned()),
        false => Err(complaint),
    }
}

/// Reads on a thread of its own, up to a bound; what follows is not read, so that the writer ends or is killed.
fn reading(
    from: Option<impl Read + Send + 'static>,
    most: u64,
) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from
            && let Err(error) = from.take(most).read_to_end(&mut bytes)
        {
            tracing::debug!(%error, "journalctl could not be read to its end");
        }
        bytes
    })
}

/// Whether it ended well; it is killed when its time is over.
fn wait(child: &mut Child) -> Result<bool, String> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Ok(None) => {
                let killed = child.kill().and_then(|()| child.wait());
                return Err(match killed {
                    Ok(_) => format!("did not end within {} s", PATIENCE.as_secs()),
                    Err(error) => format!("hangs and could not be ended: {error}"),
                });
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn reader(script: &str) -> (tempfile::TempDir, Journald) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journalctl");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let journald = Journald {
            socket: directory.path().join("socket"),
            readers: vec![directory.path().join("missing"), path],
        };
        (directory, journald)
    }

    #[test]
    fn an_entry_arrives_with_its_fields() {
        let (_directory, journald) = reader("");
        assert!(!journald.listens());
        assert!(journald.send(&[("MESSAGE", "x")]).is_err());
        let listener = UnixDatagram::bind(&journald.socket).unwrap();
        assert!(journald.listens());
        journald
            .send(&[("MESSAGE", "two\nlines"), ("HISTORY_COUNT", "3")])
            .unwrap();
        let mut bytes = [0; 200];
        let length = listener.recv(&mut bytes).unwrap();
        let expected = b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nHISTORY_COUNT=3\n";
        assert_eq!(&bytes[..length], expected);
    }

    #[test]
    fn entries_are_asked_for_by_their_fields_and_read_within_bounds() {
        let (_directory, journald) =
            reader(r#"echo "{\"ARGUMENTS\":\"$*\",\"TWICE\":[\"a\",\"b\"],\"BYTES\":[1,2]}""#);
        let entries = journald
            .entries(&[("_UID", "0"), ("MESSAGE_ID", "abc")])
            .unwrap();
        assert_eq!(entries.len(), 1);
        assert!(entries[0]["ARGUMENTS"].ends_with("_UID=0 MESSAGE_ID=abc"));
        assert_eq!(entries[0].len(), 1, "only texts count");
        for (script, expected) in [
            ("echo no such thing >&2; exit 1", "no such thing"),
            ("echo '{'", "no entry"),
            ("exec cat /dev/zero", "more than 32 MiB"),
            (
                "echo 'Hint: You are currently not seeing messages from other users' >&2",
                "not seeing messages",
            ),
        ] {
            let (_directory, journald) = reader(script);
            let error = journald.entries(&[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{script}: {error}");
        }
        let nothing = Journald {
            readers: Vec::new(),
            ..journald
        };
        assert!(matches!(nothing.entries(&[]), Err(JournaldError::NoReader)));
    }
}
