//! Running another program within bounds: of time, of output, and of what is left of it afterwards.
//!
//! The program gets a process group, an environment and standard streams of its own, and `/` to work in. When it ends, when its
//! time is over or when whoever waits is asked to stop, the whole group is ended. What it says is read all the time, so that
//! it never waits for a reader, and kept up to a limit; a process that left the group and holds a pipe open is not waited for.

mod output;
mod process;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::wait::stopped;
use output::{Kept, Reader};
pub use output::{OnLine, Stream};
use process::{Running, spawn};

/// As much is kept of each stream where nothing else is said.
const OUTPUT_LIMIT: usize = 64 * 1024;

/// How long a program that was asked to end may take to clean up.
const GRACE: Duration = Duration::from_secs(3);
/// How long the kernel may take to end one that is killed; one that waits for a dead disk is not waited for.
const KILLING: Duration = Duration::from_secs(5);

/// Between two looks whether it has ended: short at first.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// A program to be run.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Vec<u8>,
    time: Duration,
    output_limit: usize,
    has_capabilities: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// By itself, or by the signal of another process.
    Ended(ExitStatus),
    /// It was ended because its time was over.
    OutOfTime,
    /// It was ended because whoever waited was asked to stop.
    Stopped,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub manner: Manner,
    /// What it wrote to standard output, up to the limit.
    pub output: Vec<u8>,
    /// The same of standard error.
    pub error: Vec<u8>,
    /// Whether it wrote more than the limit to one of them.
    pub is_cut: bool,
    /// How long it ran.
    pub after: Duration,
}

impl Ended {
    /// Whether it ended by itself and says that all is well.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.manner, Manner::Ended(status) if status.success())
    }
}

impl Program {
    /// The program at this path, never looked for in `PATH`, with an empty environment and an empty standard input, which may
    /// run for so long.
    #[must_use]
    pub fn new(path: &Path, time: Duration) -> Self {
        Self {
            path: path.to_path_buf(),
            arguments: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
            time,
            output_limit: OUTPUT_LIMIT,
            has_capabilities: true,
        }
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// With one more variable in its environment, which has nothing else.
    #[must_use]
    pub fn variable(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let variable = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.push(variable);
        self
    }

    /// With these bytes on its standard input, and the end of it after them.
    #[must_use]
    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Keeps and passes on so many bytes of each stream; the rest is read and thrown away.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Takes all of root's capabilities from it, and every way to gain new ones. It is no sandbox: the program still owns root's
    /// files, so that it may read, write and remove them, and may signal root's processes.
    #[must_use]
    pub fn without_capabilities(mut self) -> Self {
        self.has_capabilities = false;
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir("/")
            .process_group(0)
            .stdin(if self.input.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it. `stop`: what ends it early, if anything does.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run(
        &self,
        stop: Option<&watch::Receiver<bool>>,
        on_line: OnLine<'_>,
    ) -> io::Result<Ended> {
        let begun = Instant::now();
        let mut running = spawn(&mut self.command(), self.has_capabilities).await?;
        let mut kept = Kept::new(self.output_limit);
        let mut output = Reader::new(Stream::Output, running.output.take());
        let mut error = Reader::new(Stream::Error, running.error.take());
        let manner = {
            let input = feed(running.input.take(), &self.input);
            let reading = async {
                tokio::pin!(input);
                let mut is_fed = false;
                loop {
                    tokio::select! {
                        () = &mut input, if !is_fed => is_fed = true,
                        bytes = output.read(), if output.is_open() => kept.add(Stream::Output, &bytes, on_line),
                        bytes = error.read(), if error.is_open() => kept.add(Stream::Error, &bytes, on_line),
                        else => std::future::pending::<()>().await,
                    }
                }
            };
            tokio::select! {
                manner = end(&mut running, stop, begun + self.time) => manner,
                // Never ends.
                () = reading => Manner::OutOfTime,
            }
        };
        let status = running.reap();
        kept.add(Stream::Output, &output.rest(), on_line);
        kept.add(Stream::Error, &error.rest(), on_line);
        let is_cut = kept.finish(on_line);
        Ok(Ended {
            manner: match (manner, status) {
                (Manner::Ended(_), Some(status)) => Manner::Ended(status),
                // Never a success by default.
                (Manner::Ended(_), None) => {
                    return Err(io::Error::other("how it ended is not known"));
                }
                (manner, _) => manner,
            },
            output: kept.output,
            error: kept.error,
            is_cut,
            after: begun.elapsed(),
        })
    }
}

/// Waits until the program ends, or ends it. Nothing of its group is left then.
async fn end(
    running: &mut Running,
    stop: Option<&watch::Receiver<bool>>,
    deadline: Instant,
) -> Manner {
    let asked_to_stop = async {
        match stop {
            Some(stop) => stopped(stop).await,
            None => std::future::pending().await,
        }
    };
    let early = tokio::select! {
        biased;
        () = exited(running) => None,
        () = asked_to_stop => Some(Manner::Stopped),
        () = tokio::time::sleep_until(deadline) => Some(Manner::OutOfTime),
    };
    if early.is_some() {
        running.ask_to_end();
        // Its end is looked for below.
        let _ = timeout_at(Instant::now() + GRACE, exited(running)).await;
    }
    running.kill();
    let _ = timeout_at(Instant::now() + KILLING, exited(running)).await;
    early.unwrap_or(Manner::Ended(ExitStatus::default()))
}

/// Waits until the program itself has ended. It stays in the table of processes, so that the number of its group is no other's.
async fn exited(running: &Running) {
    let mut pause = FIRST_PAUSE;
    while !running.has_exited() {
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// Writes what the program is to read; one that reads less of it is content with less.
async fn feed(to: Option<tokio::net::unix::pipe::Sender>, input: &[u8]) {
    if let Some(mut to) = to {
        let _ = to.write_all(input).await;
    }
}

#[cfg(test)]
mod tests;
