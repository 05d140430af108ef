//! The engine's own log, where it is piped to us on stdin.

use super::place::{Log, Place};
use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::time::timeout;

/// How long the pipe of an engine that has ended is read: a shim may hold it open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The log, and the pipe that it comes from.
#[derive(Debug)]
pub(super) struct EngineLog {
    log: Log,
    stdin: Option<pipe::Receiver>,
    piped: bool,
}

impl EngineLog {
    /// Nothing is read yet. The log may have so many bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { log: Log::new("engine.log", limit), stdin: None, piped: false }
    }

    /// Takes stdin over. What is no pipe, such as /dev/null, has no engine's log.
    pub(super) fn open(&mut self) {
        self.stdin = io::stdin().as_fd().try_clone_to_owned().and_then(pipe::Receiver::from_owned_fd).ok();
        self.piped = self.stdin.is_some();
    }

    /// Whether there is a log, or was one.
    pub(super) fn is_piped(&self) -> bool {
        self.piped
    }

    /// Whether more of it may come.
    pub(super) fn is_open(&self) -> bool {
        self.stdin.is_some()
    }

    /// Whether it has come to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.piped && self.stdin.is_none()
    }

    /// Bytes that are not there.
    pub(super) fn cut(&self) -> u64 {
        self.log.cut
    }

    /// Some of it; nothing at its end. Without a pipe it never returns.
    pub(super) async fn read(&mut self) -> Option<Vec<u8>> {
        let Some(pipe) = &mut self.stdin else { return pending().await };
        let mut bytes = vec![0; 1 << 16];
        loop {
            if pipe.readable().await.is_err() {
                return None;
            }
            match pipe.try_read(&mut bytes) {
                Ok(0) => return None,
                Ok(length) => {
                    bytes.truncate(length);
                    return Some(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
    }

    /// Writes down what has been read.
    pub(super) fn write(&mut self, place: &Place, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => self.log.write(place, &bytes),
            None => self.stdin = None,
        }
    }

    /// Reads, and writes down, what comes within this time.
    pub(super) async fn pass_on(&mut self, place: &Place, limit: Duration) -> bool {
        let Ok(bytes) = timeout(limit, self.read()).await else { return false };
        self.write(place, bytes);
        true
    }

    /// The same to its end, or to a silence.
    pub(super) async fn finish(&mut self, place: &Place) {
        while self.is_open() && self.pass_on(place, LAST_WORDS).await {}
    }
}
