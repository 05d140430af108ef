//! `reload`: asks the running launcher to read the user's `daemon.json` anew. It listens on a socket that only root may use, and
//! what it answers is the verb's document.

use crate::fault::{self, CODES};
use crate::paths::RUN_DIR;
use crate::process::listen_at;
use dind_contract::{Draft, Failed, Failure, Fault, Outcome, Report, Steps};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the launcher may take: it waits for dockerd itself.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// How long the launcher waits for a reader of its answer.
const WRITE_LIMIT: Duration = Duration::from_secs(1);

/// What has become of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Keys of daemon.json whose new values are in force.
    pub changed: Vec<String>,
    /// Keys whose new values come into force when the node is started again.
    pub needs_restart: Vec<String>,
}

fn path() -> PathBuf {
    Path::new(RUN_DIR).join("launch.sock")
}

/// Asks the running launcher.
///
/// # Errors
/// [`fault::NOT_RUNNING`], [`fault::NOT_ROOT`], and what the launcher answers.
pub fn ask() -> Outcome<Reloaded> {
    let text = answer().map_err(|error| unanswered(&error))?;
    let broken =
        |error: serde_json::Error| fault::NOT_RUNNING.cannot("read the answer at", path().display(), error);
    let value: Value = serde_json::from_str(&text).map_err(broken)?;
    if value.get("ok") == Some(&Value::Bool(true)) {
        let report: Report<Reloaded> = serde_json::from_value(value).map_err(broken)?;
        let Report { result, engine, steps, warnings, .. } = report;
        return Ok(Draft { result, engine, steps: Steps(steps), warnings });
    }
    let Failure { error, steps, .. } = serde_json::from_value(value).map_err(broken)?;
    let code = CODES.iter().find(|code| code.name == error.code).copied().unwrap_or(fault::RELOAD_REFUSED);
    let (message, causes, hint, details) = (error.message, error.causes, error.hint, error.details);
    Err(Failed { fault: Box::new(Fault { code, message, causes, hint, details }), steps: Steps(steps) })
}

fn answer() -> io::Result<String> {
    let mut stream = UnixStream::connect(path())?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn unanswered(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::PermissionDenied => fault::NOT_ROOT
            .cannot("use", path().display(), "the caller is not root")
            .hint("docker exec --user 0 NODE dind-launch reload"),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => fault::NOT_RUNNING
            .failed("no launcher answers", "it is not up, or not there")
            .hint("see `dind-launch status`; without a launcher, send dockerd a HUP"),
        _ => fault::NOT_RUNNING
            .cannot("ask the launcher at", path().display(), error)
            .hint("see `dind-launch status`"),
    }
}

/// The launcher's socket, for as long as the node is up.
#[derive(Debug)]
pub struct Listener(UnixListener);

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// [`fault::INIT_FAILED`].
    pub fn bind() -> Result<Self, Fault> {
        let listening = |path: &Path| {
            let listener = UnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        listen_at(&path(), listening).map(Self)
    }

    /// Somebody who asks, and is root.
    #[must_use]
    pub fn accept(&self) -> Option<UnixStream> {
        let (stream, _) = self.0.accept().ok()?;
        let is_root = getsockopt(&stream, PeerCredentials).is_ok_and(|peer| peer.uid() == 0);
        is_root.then_some(stream)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(path());
    }
}

/// Answers. Who does not read it is not waited for.
pub fn reply(mut stream: &UnixStream, document: &impl Serialize) {
    let text = serde_json::to_vec(document).unwrap_or_default();
    let _ = stream.set_write_timeout(Some(WRITE_LIMIT));
    let _ = stream.write_all(&text);
}
