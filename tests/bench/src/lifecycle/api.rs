//! A Docker API client of one call: the `docker` command would take as much processor time as what is measured.

use dind_lab::Result;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long an engine may take to come up, and to answer. A bare dockerd with a crowd starts all of it before it answers.
const LIMIT: Duration = Duration::from_secs(180);

/// Pause between two attempts on a socket that is not there yet.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// An engine's API on a unix socket.
#[derive(Clone, Debug)]
pub(crate) struct Api(PathBuf);

impl Api {
    /// The engine that listens on this path, now or later.
    pub(crate) fn at(socket: &Path) -> Self {
        Self(socket.to_owned())
    }

    /// The engine of a `DOCKER_HOST`.
    pub(crate) fn of(host: &str) -> Result<Self> {
        let path = host.strip_prefix("unix://").ok_or_else(|| format!("`{host}` is not a unix socket"))?;
        Ok(Self(path.into()))
    }

    /// A call without a body. Gives the answer's body.
    pub(crate) fn call(&self, method: &str, path: &str) -> Result<String> {
        let answer = self.ask(method, path)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the engine broke off its answer")?;
        match head.split(' ').nth(1) {
            Some(status) if status.starts_with('2') => Ok(body.to_owned()),
            status => {
                Err(format!("`{method} {path}` answered {}: {body}", status.unwrap_or_default()).into())
            }
        }
    }

    /// `start`, `kill`, `stop?t=10`, `wait`.
    pub(crate) fn container(&self, name: &str, verb: &str) -> Result<()> {
        self.call("POST", &format!("/containers/{name}/{verb}")).map(drop)
    }

    /// Waits for the first answer to `/_ping` that is 200. dockerd listens long before it answers, so this mostly waits
    /// in one read.
    pub(crate) fn until_ping(&self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.call("GET", "/_ping").is_err() {
            if Instant::now() > deadline {
                return Err(format!("no engine answers on `{}`", self.0.display()).into());
            }
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// HTTP/1.0: the answer ends with the connection.
    fn ask(&self, method: &str, path: &str) -> Result<String> {
        let mut stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
