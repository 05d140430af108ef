//! The engine's log: passed on, with its last lines kept for the error of an engine that dies.
//!
//! PID 1 must never block on a reader that does not read. What cannot be written at once is kept up to a bound. What exceeds
//! it is dropped, and a line in the log reports how much.

use crate::paths::LOG_FILE;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// How many bytes are kept for a slow reader.
const BACKLOG: usize = 256 * 1024;
/// A pipe that polls as writable takes this many bytes without blocking (pipe(7), `PIPE_BUF`).
const CHUNK: usize = 4096;
/// What a pipe holds at most, unless root has changed that (pipe(7), `pipe-max-size`).
const PIPE: usize = 1024 * 1024;
/// How many lines are kept for error messages.
const TAIL: usize = 8;

/// The log of the engine's processes.
#[derive(Debug)]
pub struct EngineLog {
    sources: Vec<File>,
    sink: Sink,
    /// Whoever gets the same.
    copy: Option<Sink>,
    tail: VecDeque<String>,
    /// How many lines have come.
    lines: usize,
    partial: String,
}

impl EngineLog {
    /// A log that goes to our stderr, or to [`LOG_FILE`], which root alone can read unless it is there already.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(to_file: bool) -> io::Result<Self> {
        let sink = if to_file {
            OpenOptions::new().append(true).create(true).mode(0o600).open(LOG_FILE)?
        } else {
            io::stderr().as_fd().try_clone_to_owned()?.into()
        };
        Ok(Self {
            sources: Vec::new(),
            sink: Sink::new(sink),
            copy: None,
            tail: VecDeque::new(),
            lines: 0,
            partial: String::new(),
        })
    }

    /// Copies what comes from now on into a pipe, until its reader is gone.
    pub fn copy_to(&mut self, pipe: impl Into<OwnedFd>) {
        self.copy = Some(Sink::new(pipe.into().into()));
    }

    /// Closes that pipe. Its reader has what it has read in time.
    pub fn end_copy(&mut self) {
        if let Some(mut copy) = self.copy.take() {
            copy.flush();
        }
    }

    /// Adds a pipe that one of the engine's processes writes into.
    pub fn add(&mut self, pipe: impl Into<OwnedFd>) {
        self.sources.push(File::from(pipe.into()));
    }

    /// The descriptors to watch; [`EngineLog::relay`] takes their index.
    #[must_use]
    pub fn sources(&self) -> Vec<BorrowedFd<'_>> {
        self.sources.iter().map(AsFd::as_fd).collect()
    }

    /// Passes on what one source holds, at most `CHUNK` bytes, and removes a source that is closed. Returns how many bytes it
    /// were.
    pub fn relay(&mut self, index: usize) -> usize {
        let mut chunk = [0; CHUNK];
        match self.sources[index].read(&mut chunk) {
            Ok(length) if length > 0 => {
                self.keep(&chunk[..length]);
                self.sink.push(&chunk[..length]);
                if self.copy.as_mut().is_some_and(|copy| !copy.push(&chunk[..length])) {
                    self.copy = None;
                }
                length
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            _ => {
                self.sources.remove(index);
                0
            }
        }
    }

    /// Passes on what is left in all pipes, without waiting. Meant for the moment after a process has exited: whatever it has
    /// written is among the bytes that a pipe can hold, and a process that goes on writing does not keep us.
    pub fn drain(&mut self) {
        // From the last: `relay` may remove the one that it reads.
        for index in (0..self.sources.len()).rev() {
            let mut left = capacity(self.sources[index].as_fd());
            while left > 0 && readable(self.sources[index].as_fd()) {
                match self.relay(index) {
                    0 => break,
                    length => left = left.saturating_sub(length),
                }
            }
        }
    }

    /// The last lines, oldest first.
    #[must_use]
    pub fn tail(&self) -> Vec<String> {
        let last = Some(self.partial.clone()).filter(|line| !line.is_empty());
        self.tail.iter().cloned().chain(last).collect()
    }

    /// How many lines have come by now, for [`EngineLog::tail_since`].
    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Those of the last lines that have come since there were so many.
    #[must_use]
    pub fn tail_since(&self, lines: usize) -> Vec<String> {
        let new = self.lines.saturating_sub(lines).min(self.tail.len());
        self.tail.iter().skip(self.tail.len() - new).cloned().collect()
    }

    fn keep(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for piece in text.split_inclusive('\n') {
            self.partial.push_str(piece);
            if self.partial.ends_with('\n') {
                self.partial.pop();
                self.keep_line();
            }
        }
        // A line that never ends must not grow for ever.
        if self.partial.len() > BACKLOG {
            self.partial.clear();
        }
    }

    fn keep_line(&mut self) {
        let line = std::mem::take(&mut self.partial);
        // Indented lines would push the line that they belong to out: newer engines print the two hundred lines of all their
        // flags after the name of an unknown one.
        if !line.is_empty() && !line.starts_with([' ', '\t']) {
            self.tail.push_back(line);
            self.lines += 1;
        }
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }
}

/// Where the log goes, with what has not been taken yet.
#[derive(Debug)]
struct Sink {
    file: File,
    backlog: VecDeque<u8>,
    dropped: usize,
}

impl Sink {
    fn new(file: File) -> Self {
        Self { file, backlog: VecDeque::new(), dropped: 0 }
    }

    /// Writes what can be written at once. False: nobody reads it any more.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.backlog.extend(bytes);
        self.flush()
    }

    fn flush(&mut self) -> bool {
        let mut is_read = true;
        while !self.backlog.is_empty() && writable(self.file.as_fd()) {
            let contiguous = self.backlog.as_slices().0;
            match self.file.write(&contiguous[..contiguous.len().min(CHUNK)]) {
                Ok(written) => drop(self.backlog.drain(..written)),
                Err(error) => {
                    is_read = error.kind() != io::ErrorKind::BrokenPipe;
                    break;
                }
            }
        }
        let excess = self.backlog.len().saturating_sub(BACKLOG);
        if excess > 0 {
            self.backlog.drain(..excess);
            self.dropped += excess;
        } else if self.dropped > 0 && self.backlog.is_empty() {
            let line = format!(
                "dind-launch: warning: {} bytes of the engine's log were dropped: they were not read in time\n",
                self.dropped
            );
            self.dropped = 0;
            self.backlog.extend(line.bytes());
        }
        is_read
    }
}

/// How many bytes a pipe can hold: who writes into it may have enlarged it.
fn capacity(pipe: BorrowedFd<'_>) -> usize {
    let size = fcntl(pipe, FcntlArg::F_GETPIPE_SZ).ok().and_then(|size| usize::try_from(size).ok());
    size.unwrap_or(PIPE).min(PIPE)
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    ready(fd, PollFlags::POLLIN)
}

fn writable(fd: BorrowedFd<'_>) -> bool {
    ready(fd, PollFlags::POLLOUT)
}

fn ready(fd: BorrowedFd<'_>, flags: PollFlags) -> bool {
    let mut fds = [PollFd::new(fd, flags)];
    loop {
        match poll(&mut fds, PollTimeout::ZERO) {
            Err(Errno::EINTR) => {}
            answer => return answer == Ok(1) && fds[0].any() == Some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_sleeps_blocks_nobody_and_the_tail_is_kept() {
        let (source, mut engine) = std::io::pipe().unwrap();
        let (reader, sink) = std::io::pipe().unwrap();
        let mut log =
            EngineLog { sink: Sink::new(OwnedFd::from(sink).into()), ..EngineLog::open(false).unwrap() };
        log.add(source);
        for n in 0..20_000 {
            writeln!(engine, "line {n:06} {}", "x".repeat(20)).unwrap();
            log.relay(0);
        }
        assert_eq!(log.tail().last().map(|line| line[..11].to_owned()), Some("line 019999".to_owned()));
        assert!(log.sink.backlog.len() <= BACKLOG && log.sink.dropped > 0);
        drop(reader);
    }

    #[test]
    fn a_process_that_goes_on_writing_does_not_keep_a_drain() {
        let mut log = EngineLog {
            sink: Sink::new(File::create("/dev/null").unwrap()),
            ..EngineLog::open(false).unwrap()
        };
        let (ended, mut writer) = std::io::pipe().unwrap();
        log.add(ended);
        // A device that never ends stands for a daemon that writes as fast as it is read.
        log.add(File::open("/dev/zero").unwrap());
        writer.write_all(b"its last words").unwrap();
        drop(writer);
        log.drain();
        assert!(log.tail().concat().contains("its last words"));
        assert_eq!(log.sources.len(), 1, "the pipe of what has ended is closed");
    }

    #[test]
    fn a_long_list_of_flags_does_not_hide_the_wrong_one() {
        let mut log = EngineLog::open(false).unwrap();
        log.keep(b"Status: unknown flag: --no-such-flag\n\nOptions:\n");
        (0..200).for_each(|_| log.keep(b"      --flag string   A flag\n"));
        log.keep(b", Code: 125\n");
        assert_eq!(log.tail(), ["Status: unknown flag: --no-such-flag", "Options:", ", Code: 125"]);
    }
}
