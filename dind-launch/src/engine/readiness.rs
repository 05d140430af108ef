//! The signs that a daemon is ready: its message to a socket for sd_notify(3), and the answer of the Docker API to `/_ping`.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, recv, socket};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

    /// Reads all messages that have come. Returns whether one of them is `READY=1`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut ready = false;
        let mut message = [0; 4096];
        while let Ok(length) =
            recv(self.socket.as_raw_fd(), &mut message, nix::sys::socket::MsgFlags::empty())
        {
            ready |= message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
            if length == 0 {
                break;
            }
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
    UnixStream::connect(socket).is_ok()
}

/// Whether the Docker API answers `/_ping` within `limit`.
#[must_use]
pub fn ping(socket: &Path, limit: Duration) -> bool {
    request_ping(socket, limit).is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

/// The engine's version, from the header of its answer to `/_ping`. `limit` bounds each read and write.
#[must_use]
pub fn version(socket: &Path, limit: Duration) -> Option<String> {
    parse_version(&request_ping(socket, limit).ok()?)
}

/// Reads `Server: Docker/20.10.24+dfsg1 (linux)`.
fn parse_version(answer: &str) -> Option<String> {
    let server = answer.lines().find_map(|line| line.strip_prefix("Server: Docker/"))?;
    server.split(' ').next().filter(|version| !version.is_empty()).map(str::to_owned)
}

/// Asks in HTTP/1.0, so that the answer ends with the connection.
fn request_ping(socket: &Path, limit: Duration) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    // No answer to a ping is longer.
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_a_header() {
        let answer =
            "HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24+dfsg1 (linux)\r\n\r\nOK";
        assert_eq!(parse_version(answer).as_deref(), Some("20.10.24+dfsg1"));
        assert_eq!(parse_version("HTTP/1.0 200 OK\r\nServer: other\r\n\r\nOK"), None);
    }
}
