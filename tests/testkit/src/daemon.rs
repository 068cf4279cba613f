//! `kubecertd run` as systemd runs it.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Node, text};

/// Far more than anything here takes; a wait that reaches it has failed.
pub const BOUND: Duration = Duration::from_secs(30);

/// `kubecertd run`, and a socket for what it tells systemd.
pub struct Daemon {
    child: Child,
    notifications: Receiver<String>,
    received: Vec<String>,
    _directory: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A test that failed must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    pub fn start(node: &Node) -> Self {
        Self::start_with(node, Duration::from_secs(2))
    }

    pub fn start_with(node: &Node, watchdog: Duration) -> Self {
        Self::start_as(node, watchdog, &[])
    }

    pub fn start_as(node: &Node, watchdog: Duration, arguments: &[&str]) -> Self {
        let mut command = node.command();
        command.arg("run").args(arguments);
        Self::spawn(command, watchdog)
    }

    /// Any command that becomes `kubecertd run`.
    pub fn spawn(mut command: Command, watchdog: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("notify");
        let listener = UnixDatagram::bind(&socket).unwrap();
        let (sender, notifications) = channel();
        // As systemd does, all is read at once: a sender waits when nobody reads.
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(length) = listener.recv(&mut buffer) {
                if sender.send(text(&buffer[..length])).is_err() {
                    break;
                }
            }
        });
        let child = command
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            notifications,
            received: Vec::new(),
            _directory: directory,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    /// Waits for a notification that contains `part`, among those not yet seen.
    pub fn expect(&mut self, part: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < BOUND {
            let Ok(message) = self.notifications.recv_timeout(Duration::from_millis(200)) else {
                continue;
            };
            self.received.push(message.clone());
            if message.contains(part) {
                return message;
            }
        }
        panic!("no {part:?} among {:?}", self.received);
    }

    /// Everything that was notified so far.
    pub fn notified(&mut self) -> &[String] {
        self.received.extend(self.notifications.try_iter());
        &self.received
    }

    /// Waits for its end, which something else brings about.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        self.expect("STOPPING=1");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status:?}");
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        log
    }
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < BOUND, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
