//! What a program says: read all the time, kept and passed on up to a limit.

use std::fs::File;
use std::io::{self, Read as _};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Hears of each line while the program runs. The text is as the program wrote it: escape it before it is shown.
pub type OnLine<'a> = &'a mut (dyn FnMut(Stream, &str) + Send);

/// Read at a time.
const CHUNK: usize = 8 * 1024;
/// A longer line is passed on in pieces.
const LINE: usize = 1024;
/// So much can be in a pipe when the program ends (pipe(7), `pipe-max-size`); whoever writes on then is not listened to.
const PIPE: usize = 1024 * 1024;

/// One of its streams.
#[derive(Debug)]
pub(super) struct Reader {
    stream: Stream,
    from: Option<Receiver>,
    buffer: Vec<u8>,
}

impl Reader {
    pub(super) fn new(stream: Stream, from: Option<Receiver>) -> Self {
        Self {
            stream,
            from,
            buffer: vec![0; CHUNK],
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.from.is_some()
    }

    /// The next bytes; none where it is at its end.
    pub(super) async fn read(&mut self) -> Vec<u8> {
        let Some(from) = &mut self.from else {
            return Vec::new();
        };
        match AsyncReadExt::read(from, &mut self.buffer).await {
            Ok(0) => self.from = None,
            Ok(count) => return self.buffer.get(..count).unwrap_or_default().to_vec(),
            Err(error) => self.give_up(&error),
        }
        Vec::new()
    }

    /// What is there already, without waiting for more. Asked of the pipe itself: what tokio knows of it may be a moment old.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let Some(from) = self.from.take() else {
            return rest;
        };
        let mut from = match from.into_nonblocking_fd() {
            Ok(from) => File::from(from),
            Err(error) => {
                self.give_up(&error);
                return rest;
            }
        };
        while rest.len() < PIPE {
            match from.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => rest.extend_from_slice(self.buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.give_up(&error);
                    break;
                }
            }
        }
        rest
    }

    fn give_up(&mut self, error: &io::Error) {
        tracing::debug!(%error, "{:?} of a program could not be read to its end", self.stream);
        self.from = None;
    }
}

/// What is kept of it.
#[derive(Debug)]
pub(super) struct Kept {
    limit: usize,
    pub(super) output: Vec<u8>,
    pub(super) error: Vec<u8>,
    /// The beginnings of lines that are not at their ends.
    begun: [Vec<u8>; 2],
    is_cut: bool,
}

impl Kept {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            output: Vec::new(),
            error: Vec::new(),
            begun: [Vec::new(), Vec::new()],
            is_cut: false,
        }
    }

    pub(super) fn add(&mut self, stream: Stream, bytes: &[u8], on_line: OnLine<'_>) {
        let (kept, begun) = match stream {
            Stream::Output => (&mut self.output, 0),
            Stream::Error => (&mut self.error, 1),
        };
        let room = self.limit.saturating_sub(kept.len());
        self.is_cut |= bytes.len() > room;
        let taken = bytes.get(..room).unwrap_or(bytes);
        kept.extend_from_slice(taken);
        let Some(line) = self.begun.get_mut(begun) else {
            return;
        };
        for byte in taken {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() == LINE {
                pass_on(stream, line, on_line);
            }
        }
    }

    /// Passes on lines that have no end. Whether something was left out.
    pub(super) fn finish(&mut self, on_line: OnLine<'_>) -> bool {
        let [output, error] = &mut self.begun;
        for (stream, line) in [(Stream::Output, output), (Stream::Error, error)] {
            if !line.is_empty() {
                pass_on(stream, line, on_line);
            }
        }
        self.is_cut
    }
}

fn pass_on(stream: Stream, line: &mut Vec<u8>, on_line: OnLine<'_>) {
    on_line(stream, &String::from_utf8_lossy(line));
    line.clear();
}
