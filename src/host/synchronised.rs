//! Whether another clock keeps this machine's right.
//!
//! The kernel knows, but the unit's sandbox forbids the question along with setting the clock. Then systemd-timesyncd's mark
//! tells, or systemd-timedated, which asks the kernel itself, over D-Bus.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The kernel's estimate of its error reaches this when nobody has synchronised the clock, in microseconds. systemd judges by
/// it too, and not by STA_UNSYNC, which time services set to keep the kernel from the hardware clock.
const UNSYNCHRONISED_ERROR: i64 = 16_000_000;

/// systemd-timesyncd makes it when it has synchronised the clock for the first time since the start.
const MARK: &str = "/run/systemd/timesync/synchronized";

const BUS: &str = "/run/dbus/system_bus_socket";
/// For each step; systemd-timedated has to be started for the answer.
const BOUND: Duration = Duration::from_secs(2);
/// Larger messages are none that answer this, and after so many others there is no answer.
const LONGEST: usize = 16 * 1024;
const MOST_MESSAGES: usize = 8;

/// What the kernel or a mark says; `None` where neither does.
#[must_use]
pub fn by_kernel_or_mark() -> Option<bool> {
    by_kernel()
        .ok()
        .or_else(|| Path::new(MARK).exists().then_some(true))
}

/// What systemd-timedated says; `None` where it cannot be asked. Takes some seconds at most.
#[must_use]
pub fn by_timedated() -> Option<bool> {
    match ask(Path::new(BUS)) {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::debug!(%error, "systemd-timedated does not say whether the clock is synchronised");
            None
        }
    }
}

fn by_kernel() -> io::Result<bool> {
    let mut state = rtime_clock::adjtime::Timex::new();
    rtime_clock::adjtime::adjtimex(&mut state)?;
    #[allow(clippy::useless_conversion, reason = "another width on other machines")]
    let error = i64::from(state.0.maxerror);
    Ok(error < UNSYNCHRONISED_ERROR)
}

/// Asks for `NTPSynchronized` (org.freedesktop.timedate1(5)).
fn ask(bus: &Path) -> io::Result<bool> {
    let mut stream = UnixStream::connect(bus)?;
    stream.set_read_timeout(Some(BOUND))?;
    stream.set_write_timeout(Some(BOUND))?;
    let user: String = nix::unistd::geteuid()
        .to_string()
        .bytes()
        .map(|digit| format!("{digit:02x}"))
        .collect();
    stream.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes())?;
    if !line(&mut stream)?.starts_with("OK ") {
        return Err(io::Error::other("the bus lets nobody in"));
    }
    stream.write_all(b"BEGIN\r\n")?;
    stream.write_all(&call(
        1,
        "org.freedesktop.DBus",
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "Hello",
        &[],
    ))?;
    stream.write_all(&call(
        2,
        "org.freedesktop.timedate1",
        "/org/freedesktop/timedate1",
        "org.freedesktop.DBus.Properties",
        "Get",
        &["org.freedesktop.timedate1", "NTPSynchronized"],
    ))?;
    for _ in 0..MOST_MESSAGES {
        if let Some(answer) = answer(&mut stream)? {
            return Ok(answer);
        }
    }
    Err(io::Error::other("no answer among many messages"))
}

/// One line of the greeting.
fn line(stream: &mut UnixStream) -> io::Result<String> {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n") && text.len() < 1024 {
        stream.read_exact(&mut byte)?;
        text.push(char::from(byte[0]));
    }
    Ok(text)
}

/// A method call with strings (D-Bus specification, "Message Protocol").
fn call(
    serial: u32,
    destination: &str,
    path: &str,
    interface: &str,
    member: &str,
    arguments: &[&str],
) -> Vec<u8> {
    let mut body = Wire::default();
    for argument in arguments {
        body.string(argument);
    }
    let mut fields = Wire::default();
    for (code, kind, value) in [
        (1, b'o', path),
        (2, b's', interface),
        (3, b's', member),
        (6, b's', destination),
    ] {
        fields.align(8);
        fields.0.extend([code, 1, kind, 0]);
        fields.string(value);
    }
    if !arguments.is_empty() {
        fields.align(8);
        fields.0.extend([8, 1, b'g', 0]);
        fields
            .0
            .push(u8::try_from(arguments.len()).unwrap_or(u8::MAX));
        fields.0.extend(arguments.iter().map(|_| b's'));
        fields.0.push(0);
    }
    let mut message = Wire(vec![ENDIAN, 1, 0, 1]);
    message.number(body.0.len());
    message.0.extend(serial.to_ne_bytes());
    message.number(fields.0.len());
    message.0.extend(fields.0);
    message.align(8);
    message.0.extend(body.0);
    message.0
}

#[cfg(target_endian = "little")]
const ENDIAN: u8 = b'l';
#[cfg(target_endian = "big")]
const ENDIAN: u8 = b'B';

/// What is sent.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: usize) {
        self.0
            .extend(u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes());
    }

    fn string(&mut self, text: &str) {
        self.align(4);
        self.number(text.len());
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }
}

/// Reads one message; the answer, if it is that.
fn answer(stream: &mut UnixStream) -> io::Result<Option<bool>> {
    let odd = || io::Error::other("the bus sends something that is no message of its kind");
    let mut head = [0; 16];
    stream.read_exact(&mut head)?;
    let number = |at: usize| {
        let bytes = head.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_ne_bytes(bytes)).ok()
    };
    if head[0] != ENDIAN {
        return Err(odd());
    }
    let (Some(body), Some(fields)) = (number(4), number(12)) else {
        return Err(odd());
    };
    let padded = fields.next_multiple_of(8);
    if padded > LONGEST || body > LONGEST {
        return Err(odd());
    }
    let mut rest = vec![0; padded + body];
    stream.read_exact(&mut rest)?;
    let (fields, body) = rest.split_at(padded);
    // What the reply belongs to: a field of its own, which begins on an eighth byte: 5, a number, its value.
    let mark = [
        5,
        1,
        b'u',
        0,
        2u32.to_ne_bytes()[0],
        2u32.to_ne_bytes()[1],
        2u32.to_ne_bytes()[2],
        2u32.to_ne_bytes()[3],
    ];
    if !fields.chunks_exact(8).any(|chunk| chunk == mark) {
        return Ok(None);
    }
    match (head[1], body) {
        // A variant that holds a truth value, which begins on a fourth byte.
        (2, [1, b'b', 0, _, value @ ..]) if value.len() >= 4 => {
            Ok(Some(value.iter().take(4).any(|byte| *byte != 0)))
        }
        (3, _) => Err(io::Error::other("systemd-timedated cannot be asked")),
        _ => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A bus that greets, then sends this.
    fn bus(messages: Vec<u8>) -> io::Result<bool> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bus");
        let listener = UnixListener::bind(&path).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut zero = [0];
            stream.read_exact(&mut zero).unwrap();
            let greeting = line(&mut stream).unwrap();
            stream.write_all(b"OK 1234\r\n").unwrap();
            let begin = line(&mut stream).unwrap();
            stream.write_all(&messages).unwrap();
            // Until the other side has gone.
            let _ = stream.read_to_end(&mut Vec::new());
            (greeting, begin)
        });
        let answer = ask(&path);
        let (greeting, begin) = served.join().unwrap();
        assert!(greeting.starts_with("AUTH EXTERNAL 3"), "{greeting}");
        assert_eq!(begin, "BEGIN\r\n");
        answer
    }

    fn reply(kind: u8, to: u32, body: &[u8]) -> Vec<u8> {
        let mut message = Wire(vec![ENDIAN, kind, 1, 1]);
        message.number(body.len());
        message.0.extend(9u32.to_ne_bytes());
        let mut fields = Wire::default();
        fields.0.extend([6, 1, b's', 0]);
        fields.string(":1.7");
        fields.align(8);
        fields.0.extend([5, 1, b'u', 0]);
        fields.0.extend(to.to_ne_bytes());
        message.number(fields.0.len());
        message.0.extend(fields.0);
        message.align(8);
        message.0.extend(body);
        message.0
    }

    fn truth(value: u32) -> Vec<u8> {
        let mut body = vec![1, b'b', 0, 0];
        body.extend(value.to_ne_bytes());
        body
    }

    #[test]
    fn the_answer_is_found_among_other_messages() {
        let hello = reply(2, 1, b"\x04\0\0\0:1.7\0");
        for (value, expected) in [(1, true), (0, false)] {
            let all = [hello.clone(), reply(2, 2, &truth(value))].concat();
            assert_eq!(bus(all).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error_at_once() {
        let refused = reply(3, 2, b"");
        let huge = {
            let mut message = reply(2, 2, &truth(1));
            message[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
            message
        };
        let others = reply(2, 1, b"").repeat(MOST_MESSAGES);
        for messages in [refused, huge, others, b"HTTP/1.1 400 no\r\n".to_vec()] {
            let began = std::time::Instant::now();
            assert!(bus(messages).is_err());
            assert!(began.elapsed() < Duration::from_secs(1));
        }
        assert!(ask(Path::new("/none")).is_err());
    }

    #[test]
    fn a_real_bus_understands_the_question() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bus");
        let daemon = std::process::Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nosyslog", "--nopidfile"])
            .arg(format!("--address=unix:path={}", path.display()))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        let Ok(mut daemon) = daemon else {
            return;
        };
        for _ in 0..100 {
            if path.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let answer = ask(&path);
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        // There is no such service on it. A question that it does not understand ends the connection.
        let error = answer.unwrap_err().to_string();
        assert_eq!(error, "systemd-timedated cannot be asked");
    }
}
