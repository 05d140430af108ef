//! The signs that a daemon is ready: its message to a socket for sd_notify(3), the answer of the Docker API to `/_ping`, and the
//! first frame of containerd's API.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Shutdown, SockFlag, SockType, UnixAddr, bind, connect, recv, shutdown, socket,
};
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

    /// Takes no more messages: the service gets an error, which it ignores. In a queue that nobody reads there is room for ten of them, and
    /// a service waits with the next: dockerd, since 29, reports the begin and the end of each reload (moby, `notifyReloading`).
    pub fn close(&self) {
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Read);
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

/// The beginning of an HTTP/2 connection, with empty settings (RFC 9113, 3.4 and 6.5).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The length of a frame's header, where its type is in it, and the type of settings (RFC 9113, 4.1 and 6.5).
const FRAME_HEADER: usize = 9;
const FRAME_TYPE: usize = 3;
const SETTINGS: u8 = 4;

/// Whether a gRPC server such as containerd answers within `limit`. Its socket alone shows nothing: the kernel accepts connections
/// for a process that is stopped, too. But the settings that every HTTP/2 server begins with come from the process itself.
#[must_use]
pub fn grpc_answers(socket: &Path, limit: Duration) -> bool {
    let first_frame = || -> io::Result<u8> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        stream.write_all(HTTP2_PREFACE)?;
        let mut header = [0; FRAME_HEADER];
        stream.read_exact(&mut header)?;
        Ok(header[FRAME_TYPE])
    };
    first_frame().is_ok_and(|kind| kind == SETTINGS)
}

/// Whether the Docker API answers `/_ping` within `limit`.
#[must_use]
pub fn ping(socket: &Path, limit: Duration) -> bool {
    Ping::send(socket).is_ok_and(|mut ping| ping.wait(limit) && ping.succeeded())
}

/// The version of the engine that answers there within `limit`; nothing where none does.
#[must_use]
pub fn version(socket: &Path, limit: Duration) -> Option<String> {
    let mut ping = Ping::send(socket).ok()?;
    if ping.wait(limit) { ping.version() } else { None }
}

/// A request for `/_ping`. Nothing here waits, but for `wait`: an event loop watches it, and calls [`Ping::advance`]
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
        Self::ask(socket, "/_ping")
    }

    /// Asks for another path.
    ///
    /// # Errors
    /// Those of [`Ping::send`].
    pub fn ask(socket: &Path, path: &str) -> io::Result<Self> {
        let mut stream = connect_now(socket)?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").as_bytes())?;
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
    pub fn wait(&mut self, limit: Duration) -> bool {
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

    /// What has come of the answer.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
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

/// Connects without waiting for room in the listener's queue. Reads and writes do not wait either.
///
/// # Errors
/// Nobody listens there, or whoever does has no room.
pub fn connect_now(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let client = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(client.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(client.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread;

    #[test]
    fn a_grpc_server_answers_with_its_settings_and_one_that_is_stopped_with_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let limit = Duration::from_millis(20);
        assert!(!grpc_answers(&path, limit), "nobody listens");
        let listener = UnixListener::bind(&path).unwrap();
        assert!(!grpc_answers(&path, limit), "nobody accepts");
        let _ = listener.accept().unwrap();
        for (answer, right) in
            [(&b"\0\0\0\x04\0\0\0\0\0"[..], true), (b"HTTP/1.1 400 Bad Request\r\n", false)]
        {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut client, _) = listener.accept().unwrap();
                    let mut asked = vec![0; HTTP2_PREFACE.len()];
                    client.read_exact(&mut asked).unwrap();
                    assert_eq!(asked, HTTP2_PREFACE);
                    client.write_all(answer).unwrap();
                });
                assert_eq!(grpc_answers(&path, Duration::from_secs(20)), right);
            });
        }
    }

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
