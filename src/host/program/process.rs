//! The program's process and its group.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::signal::unix::{SignalKind, signal};

/// A file that was written a moment ago may still be open in a process that is just being started by another thread.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// A program that runs. Dropped, it is killed with its group.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    group: Pid,
    is_reaped: bool,
    pub(super) input: Option<Sender>,
    pub(super) output: Option<Receiver>,
    pub(super) error: Option<Receiver>,
}

/// Starts what has a process group of its own.
///
/// # Errors
/// What the system says.
pub(super) async fn spawn(command: &mut Command, has_capabilities: bool) -> io::Result<Running> {
    // Who started this process may have it ignore the end of children; then the kernel would keep nothing of how they ended.
    drop(signal(SignalKind::child())?);
    let mut attempts = 0;
    let mut child = loop {
        attempts += 1;
        match start(command, has_capabilities) {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && attempts < ATTEMPTS =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            started => break started?,
        }
    };
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let (input, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut running = Running {
        child,
        group: Pid::from_raw(pid),
        is_reaped: false,
        input: None,
        output: None,
        error: None,
    };
    running.input = input
        .map(|one| Sender::from_owned_fd(OwnedFd::from(one)))
        .transpose()?;
    running.output = output
        .map(|one| Receiver::from_owned_fd(OwnedFd::from(one)))
        .transpose()?;
    running.error = error
        .map(|one| Receiver::from_owned_fd(OwnedFd::from(one)))
        .transpose()?;
    Ok(running)
}

fn start(command: &mut Command, has_capabilities: bool) -> io::Result<Child> {
    if has_capabilities {
        return command.spawn();
    }
    // Both belong to a thread, and a new process has those of the thread that starts it.
    std::thread::scope(|scope| {
        let started = scope.spawn(|| {
            set_no_new_privs(true)?;
            set_capabilities(
                None,
                CapabilitySets {
                    effective: CapabilitySet::empty(),
                    permitted: CapabilitySet::empty(),
                    inheritable: CapabilitySet::empty(),
                },
            )?;
            command.spawn()
        });
        started
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that was to start it panicked")))
    })
}

impl Running {
    /// Whether the program itself has ended. It is not taken out of the table of processes yet: until then no other group can have
    /// its number.
    pub(super) fn has_exited(&self) -> bool {
        let looked = waitid(
            Id::Pid(self.group),
            WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT,
        );
        !matches!(looked, Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
    }

    /// Asks all of its group to end.
    pub(super) fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
        // One that is held up by SIGSTOP hears of it only then.
        self.signal(Signal::SIGCONT);
    }

    /// Ends all of its group.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        if self.is_reaped {
            return;
        }
        match killpg(self.group, signal) {
            // No process of it is left.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => {
                let group = self.group.as_raw();
                tracing::debug!(%error, "the process group {group} could not be sent {signal}");
            }
        }
    }

    /// Takes it out of the table of processes, if it has ended.
    pub(super) fn reap(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        self.is_reaped |= status.is_some();
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
            self.reap();
        }
    }
}
