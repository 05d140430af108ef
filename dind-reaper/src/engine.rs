//! The Docker Engine, as far as we need it: a handful of calls over its unix socket.
//!
//! Requests name no API version, so each engine answers in its own. What we read and write has been the same since
//! API 1.24, and is what 20.10 and all later engines speak.

use crate::container::{Container, Found, Listed, inspected, listed};
use crate::fault;
use bollard::errors::Error;
use bollard::models::EventMessage;
use bollard::query_parameters::{
    EventsOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use bollard::{ClientVersion, Docker};
use dind_contract::Fault;
use futures_util::{Stream, StreamExt, stream};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long a living engine may take to say so.
const ANSWER: Duration = Duration::from_millis(800);
/// Seconds for one request. Every wait of ours has a shorter limit of its own; this one only bounds bollard's.
const REQUEST: u64 = 3600;
/// The newest API that Docker 20.10 speaks.
const API: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// What stands between us and an engine's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The container is not there any more.
    Gone,
    /// Anything else, in words.
    Other(String),
}

/// What becomes of containers, as far as a stop of all is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// One has started.
    Started,
    /// A signal has been sent to the one with this id.
    Signaled(String),
}

fn news(event: EventMessage) -> Option<News> {
    match event.action.as_deref()? {
        "start" => Some(News::Started),
        "kill" => Some(News::Signaled(event.actor?.id?)),
        _ => None,
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code: 404, .. } => Self::Gone,
            Error::DockerResponseServerError { message, .. } => Self::Other(message),
            other => Self::Other(in_words(&other)),
        }
    }
}

/// An engine that has answered.
#[derive(Debug)]
pub struct Engine {
    docker: Docker,
    socket: PathBuf,
}

/// The runtime for talking to an engine: in this thread, and made only when there is something to say.
///
/// # Errors
/// The kernel gives us no epoll.
pub fn runtime() -> Result<Runtime, Fault> {
    Builder::new_current_thread().enable_io().enable_time().build().map_err(|error| {
        let fault = fault::INIT_FAILED.cannot("set up", "epoll", error);
        fault.hint("allow epoll in the container's seccomp profile, and more open files")
    })
}

/// Whether somebody listens at the socket. Never blocks, not even on an engine that has stopped accepting: that one
/// gives EAGAIN, and is there.
///
/// # Errors
/// Those of connect(2).
pub fn listens(path: &Path) -> Result<(), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Engine {
    /// Finds out that the engine answers, within a second.
    ///
    /// # Errors
    /// It does not, or its socket may not be opened.
    pub async fn connect(socket: &Path) -> Result<Self, Fault> {
        listens(socket).map_err(|errno| silent(socket, errno.desc(), errno))?;
        let path = socket.to_str().ok_or_else(|| silent(socket, "its path is not UTF-8", Errno::EINVAL))?;
        let docker = Docker::connect_with_unix(path, REQUEST, &API)
            .map_err(|error| silent(socket, &in_words(&error), Errno::UnknownErrno))?;
        let engine = Self { docker, socket: socket.to_owned() };
        match timeout(ANSWER, engine.docker.ping()).await {
            Ok(Ok(_)) => Ok(engine),
            Ok(Err(error)) => Err(silent(socket, &in_words(&error), Errno::UnknownErrno)),
            Err(_) => Err(silent(socket, "it accepts, but does not answer", Errno::ETIMEDOUT)),
        }
    }

    /// Everything that runs, is paused or is between two runs.
    ///
    /// # Errors
    /// The engine does not answer as it should.
    pub async fn running(&self) -> Result<Vec<Listed>, Fault> {
        let states = ["running", "paused", "restarting"].map(str::to_owned).to_vec();
        let filters = HashMap::from([("status".to_owned(), states)]);
        let options = ListContainersOptionsBuilder::new().filters(&filters).build();
        match self.docker.list_containers(Some(options)).await {
            Ok(list) => Ok(list.into_iter().filter_map(listed).collect()),
            Err(error) => Err(self.failed("list the containers of", in_words(&error))),
        }
    }

    /// One container, closely.
    ///
    /// # Errors
    /// It is gone, or the engine does not answer as it should.
    pub async fn inspect(&self, one: &Listed) -> Result<Found, Refusal> {
        Ok(inspected(one, self.docker.inspect_container(&one.id, None).await?))
    }

    /// Asks a container to stop, by its own stop signal, and lets the engine kill it after so many seconds. Takes it
    /// out of the hands of its restart policy, and of the freezer.
    ///
    /// # Errors
    /// It is gone, or the engine does not answer as it should.
    pub async fn stop(&self, container: &Container, seconds: u64) -> Result<(), Refusal> {
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        Ok(self.docker.stop_container(&container.id, Some(options)).await?)
    }

    /// Kills a container. One that does not run is as dead as can be.
    ///
    /// # Errors
    /// It is gone, or the engine does not answer as it should.
    pub async fn kill(&self, id: &str) -> Result<(), Refusal> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        match self.docker.kill_container(id, Some(options)).await {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until a container does not run, and gives its exit status. Unlike an inspection afterwards this works for
    /// one that the engine removes at its end (`--rm`).
    ///
    /// # Errors
    /// It is gone, or the engine does not answer as it should.
    pub async fn ended(&self, id: &str) -> Result<i64, Refusal> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut answers = std::pin::pin!(self.docker.wait_container(id, Some(options)));
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            // To bollard a status other than 0 is an error.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(error.into()),
            None => Err(Refusal::Other("the engine hung up".to_owned())),
        }
    }

    /// Yields what becomes of containers; never ends, even when the engine does.
    pub fn news(&self) -> impl Stream<Item = News> {
        let only = [("type", "container"), ("event", "start"), ("event", "kill")];
        let mut filters: HashMap<String, Vec<String>> = HashMap::new();
        for (key, value) in only {
            filters.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        let events = self.docker.events(Some(EventsOptionsBuilder::new().filters(&filters).build()));
        events.filter_map(async |event| news(event.ok()?)).chain(stream::pending())
    }

    /// Something went wrong with an engine that did answer before: it may be gone, or confused.
    #[must_use]
    pub fn failed(&self, verb: &str, reason: String) -> Fault {
        match listens(&self.socket) {
            Err(errno) => silent(&self.socket, errno.desc(), errno),
            Ok(()) => {
                let fault = fault::ENGINE_FAILED.cannot(verb, url(&self.socket), reason);
                fault.hint("look at the engine's log, then try again")
            }
        }
    }
}

fn silent(socket: &Path, cause: &str, errno: Errno) -> Fault {
    if matches!(errno, Errno::EACCES | Errno::EPERM) {
        let fault = fault::ENGINE_DENIED.cannot("open", url(socket), cause);
        return fault.hint("run as root, or as a member of the socket's group");
    }
    let fault = fault::ENGINE_UNAVAILABLE.cannot("reach the engine at", url(socket), cause);
    fault.hint("start dockerd first, or name its socket: --host unix:///run/docker.sock")
}

fn url(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

/// An error with what lies behind it: hyper keeps the reason in the source.
fn in_words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(behind) = source {
        let text = behind.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        source = behind.source();
    }
    words
}
