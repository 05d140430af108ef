//! The signs that a daemon is ready: its message to a socket for sd_notify(3), and the answer of the Docker API to `/_ping`.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, connect, recv, socket};
use std::borrow::Cow;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No answer to a ping is longer, in bytes.
const ANSWER_LIMIT: usize = 4096;
/// How many messages are read at once. A socket's queue holds ten (unix(7), `max_dgram_qlen`).
const MESSAGES_AT_ONCE: usize = 64;

/// A socket to which one service reports its readiness.
#[derive(Debug)]
pub struct Notify {
    socket: OwnedFd,
    path: PathBuf,
}

impl Notify {
    /// Creates the socket at a path of our own, for the service's `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// Those of socket and bind.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let _ = fs::remove_file(path);
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// What the service gets as `NOTIFY_SOCKET`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the messages that have come. Returns whether one of them is `READY=1`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut ready = false;
        let mut message = [0; 4096];
        for _ in 0..MESSAGES_AT_ONCE {
            let received = recv(self.socket.as_raw_fd(), &mut message, nix::sys::socket::MsgFlags::empty());
            let Ok(length) = received else { break };
            ready |= message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
        }
        ready
    }
}

impl AsFd for Notify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a process listens on a unix socket; the file that a killed daemon has left refuses connections.
#[must_use]
pub fn listens(socket: &Path) -> bool {
    match connect_now(socket) {
        Ok(_) => true,
        // Its queue of connections is full.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Whether the Docker API answers `/_ping` within `limit`.
#[must_use]
pub fn ping(socket: &Path, limit: Duration) -> bool {
    Ping::send(socket).is_ok_and(|mut ping| ping.wait(limit) && ping.succeeded())
}

/// A request for `/_ping`. Nothing here waits, but for [`Ping::wait`]: an event loop watches it, and calls [`Ping::advance`]
/// when it is ready.
#[derive(Debug)]
pub struct Ping {
    stream: UnixStream,
    answer: Vec<u8>,
}

impl Ping {
    /// Asks in HTTP/1.0, so that the answer ends with the connection.
    ///
    /// # Errors
    /// Nobody listens on the socket, or whoever does has no room for one more connection.
    pub fn send(socket: &Path) -> io::Result<Self> {
        let mut stream = connect_now(socket)?;
        stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// Reads what has come of the answer. Returns whether it is complete.
    pub fn advance(&mut self) -> bool {
        let mut chunk = [0; ANSWER_LIMIT];
        match self.stream.read(&mut chunk) {
            Ok(length) if length > 0 => {
                self.answer.extend_from_slice(&chunk[..length]);
                self.answer.len() >= ANSWER_LIMIT
            }
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
            Ok(_) => true,
        }
    }

    /// Waits for the answer. Returns whether it is complete.
    fn wait(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.advance() {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            if left.is_zero() || poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], timeout).is_err() {
                return false;
            }
        }
        true
    }

    /// Whether the answer is that all is well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.text().split(' ').nth(1) == Some("200")
    }

    /// The engine's version, from a header of the answer.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        parse_version(&self.text())
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.answer)
    }
}

impl AsFd for Ping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Reads `Server: Docker/20.10.24+dfsg1 (linux)`.
fn parse_version(answer: &str) -> Option<String> {
    let server = answer.lines().find_map(|line| line.strip_prefix("Server: Docker/"))?;
    server.split(' ').next().filter(|version| !version.is_empty()).map(str::to_owned)
}

/// Connects without waiting for room in the listener's queue.
fn connect_now(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let client = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(client.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(client.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_listener_that_accepts_nothing_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        assert!(!listens(&path));
        let listener = UnixListener::bind(&path).unwrap();
        // Until there is no room for another connection.
        let mut pings: Vec<Ping> = std::iter::from_fn(|| Ping::send(&path).ok()).collect();
        assert!(listens(&path));
        assert!(!ping(&path, Duration::from_secs(60)));
        // An answer that comes in two halves.
        let mut server = listener.accept().unwrap().0;
        assert!(!pings[0].advance());
        server.write_all(b"HTTP/1.0 200 OK\r\nServer: Docker/28").unwrap();
        assert!(!pings[0].wait(Duration::from_millis(50)));
        server.write_all(b".5.2 (linux)\r\n\r\nOK").unwrap();
        drop(server);
        assert!(pings[0].wait(Duration::from_secs(60)) && pings[0].succeeded());
        assert_eq!(pings[0].version().as_deref(), Some("28.5.2"));
    }

    #[test]
    fn the_version_is_in_a_header() {
        let answer =
            "HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24+dfsg1 (linux)\r\n\r\nOK";
        assert_eq!(parse_version(answer).as_deref(), Some("20.10.24+dfsg1"));
        assert_eq!(parse_version("HTTP/1.0 200 OK\r\nServer: other\r\n\r\nOK"), None);
    }
}
