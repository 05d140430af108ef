//! The Docker Engine, asked over its unix socket: the few requests that a stop needs.
//!
//! No request names an API version (bollard drops it), so each engine answers in its own. What is sent and read here has
//! been the same since API 1.24; Docker 20.10 and all later engines speak it.

pub mod images;
mod listening;

use crate::container::{Container, Inspection, Listed};
use crate::fault;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, EventMessage};
use bollard::query_parameters::{
    EventsOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use bollard::{ClientVersion, Docker};
use dind_contract::Fault;
use futures_util::future::{join_all, ready};
use futures_util::{Stream, StreamExt, stream};
pub use listening::check_listening;
use listening::{not_listening, unavailable, url};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long an engine may take to answer a ping: a dead one is reported within a second.
const PING_TIMEOUT: Duration = Duration::from_millis(800);
/// bollard's own limit for a request, in seconds. Every wait here has a shorter one; this must only never be the first.
const REQUEST_TIMEOUT: u64 = 3600;
/// The newest API of Docker 20.10. bollard wants one, and does not send it.
const API: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// Why a request about a container failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The container no longer exists.
    NotFound,
    /// Anything else, in words.
    Other(String),
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("it no longer exists"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl From<Error> for RequestError {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code: 404, .. } => Self::NotFound,
            Error::DockerResponseServerError { message, .. } => Self::Other(message),
            other => Self::Other(with_sources(&other)),
        }
    }
}

/// What the engine reports while containers are being stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerEvent {
    /// A container has started.
    Started,
    /// A signal has been sent to the container with this id.
    Signaled(String),
}

impl ContainerEvent {
    fn from_message(message: EventMessage) -> Option<Self> {
        match message.action.as_deref()? {
            "start" => Some(Self::Started),
            "kill" => Some(Self::Signaled(message.actor?.id?)),
            _ => None,
        }
    }
}

/// An engine that has answered.
#[derive(Debug)]
pub struct Engine {
    docker: Docker,
    socket: PathBuf,
}

/// The runtime for asking an engine. It needs no second thread.
///
/// # Errors
/// The kernel refuses epoll.
pub fn runtime() -> Result<Runtime, Fault> {
    Builder::new_current_thread().enable_io().enable_time().build().map_err(|error| {
        let fault = fault::INIT_FAILED.failed("cannot set up epoll", error);
        fault.hint("allow epoll in the container's seccomp profile, and raise its limit of open files")
    })
}

impl Engine {
    /// Connects, and checks within a second that the engine answers.
    ///
    /// # Errors
    /// It does not answer, or its socket may not be opened.
    pub async fn connect(socket: &Path) -> Result<Self, Fault> {
        check_listening(socket).map_err(|errno| not_listening(socket, errno))?;
        let path = socket.to_str().ok_or_else(|| unavailable(socket, "its path is not UTF-8"))?;
        let docker = Docker::connect_with_unix(path, REQUEST_TIMEOUT, &API)
            .map_err(|error| unavailable(socket, &with_sources(&error)))?;
        let engine = Self { docker, socket: socket.to_owned() };
        match timeout(PING_TIMEOUT, engine.docker.ping()).await {
            Ok(Ok(_)) => Ok(engine),
            Ok(Err(error)) => Err(unavailable(socket, &with_sources(&error))),
            Err(_) => Err(unavailable(socket, "it accepts connections but does not answer")),
        }
    }

    /// Lists the containers that run, are paused, or wait to be restarted.
    ///
    /// # Errors
    /// The engine does not answer as it should.
    pub async fn list(&self) -> Result<Vec<Listed>, Fault> {
        let states = ["running", "paused", "restarting"].map(str::to_owned).to_vec();
        let filters = HashMap::from([("status".to_owned(), states)]);
        let options = ListContainersOptionsBuilder::new().filters(&filters).build();
        match self.docker.list_containers(Some(options)).await {
            Ok(list) => Ok(list.into_iter().filter_map(Listed::from_summary).collect()),
            Err(error) => Err(self.failed("list the containers of", &with_sources(&error))),
        }
    }

    /// Lists and inspects the containers that can be stopped, and sorts them by name.
    ///
    /// # Errors
    /// The engine does not answer as it should.
    pub async fn inspect_all(&self) -> Result<Vec<Container>, Fault> {
        let listed = self.list().await?;
        let mut containers = Vec::new();
        for inspection in join_all(listed.iter().map(|one| self.inspect(one))).await {
            match inspection {
                Ok(Inspection::Active(container)) => containers.push(container),
                Ok(Inspection::Ended(_)) | Err(RequestError::NotFound) => {}
                Err(RequestError::Other(reason)) => {
                    return Err(self.failed("inspect a container of", &reason));
                }
            }
        }
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// Inspects one container.
    ///
    /// # Errors
    /// It no longer exists, or the engine does not answer as it should.
    pub async fn inspect(&self, listed: &Listed) -> Result<Inspection, RequestError> {
        Ok(Inspection::from_answer(listed, self.docker.inspect_container(&listed.id, None).await?))
    }

    /// Sends a container its own stop signal, and lets the engine kill it after this many seconds. Also thaws a paused
    /// one, and keeps its restart policy from starting it again.
    ///
    /// # Errors
    /// It no longer exists, or the engine does not answer as it should.
    pub async fn stop(&self, id: &str, seconds: u64) -> Result<(), RequestError> {
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        Ok(self.docker.stop_container(id, Some(options)).await?)
    }

    /// Kills a container. One that does not run (409) needs no kill.
    ///
    /// # Errors
    /// It no longer exists, or the engine does not answer as it should.
    pub async fn kill(&self, id: &str) -> Result<(), RequestError> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        match self.docker.kill_container(id, Some(options)).await {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until a container has ended, and returns its exit status. Unlike a later inspection this also works for one
    /// that the engine removes when it ends (`--rm`).
    ///
    /// # Errors
    /// It no longer exists, or the engine does not answer as it should.
    pub async fn wait_until_ended(&self, id: &str) -> Result<i64, RequestError> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut answers = std::pin::pin!(self.docker.wait_container(id, Some(options)));
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            // To bollard a status other than 0 is an error.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(error.into()),
            None => Err(RequestError::Other("the engine closed the connection".to_owned())),
        }
    }

    /// Reports starts and signals. Never ends, even when the engine does: then there is only nothing more to report.
    pub fn events(&self) -> impl Stream<Item = ContainerEvent> {
        let only = [("type", "container"), ("event", "start"), ("event", "kill")];
        let mut filters: HashMap<String, Vec<String>> = HashMap::new();
        for (key, value) in only {
            filters.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        let messages = self.docker.events(Some(EventsOptionsBuilder::new().filters(&filters).build()));
        messages
            .filter_map(async |message| ContainerEvent::from_message(message.ok()?))
            .chain(stream::pending())
    }

    /// Reports what happens to containers, from a moment on that may have passed; ends with the engine's connection.
    ///
    /// `since` is the time since 1970. Without `actions`, all are reported.
    pub fn history(&self, since: Duration, actions: &[&str]) -> impl Stream<Item = EventMessage> + use<> {
        let mut filters = HashMap::from([("type", vec!["container"])]);
        if !actions.is_empty() {
            filters.insert("event", actions.to_vec());
        }
        let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
        let options = EventsOptionsBuilder::new().filters(&filters).since(&since).build();
        self.docker
            .events(Some(options))
            .take_while(|message| ready(message.is_ok()))
            .filter_map(|message| ready(message.ok()))
    }

    /// Describes a container, as the API does.
    ///
    /// # Errors
    /// It no longer exists, or the engine does not answer as it should.
    pub async fn describe(&self, id: &str) -> Result<ContainerInspectResponse, RequestError> {
        Ok(self.docker.inspect_container(id, None).await?)
    }

    /// A container's log since a moment (in whole seconds since 1970), each line with its time, as it comes; ends with the
    /// container's end.
    pub fn log(
        &self,
        id: &str,
        since: Duration,
    ) -> impl Stream<Item = Result<LogOutput, RequestError>> + use<> {
        let since = i32::try_from(since.as_secs()).unwrap_or_default();
        let options =
            LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).timestamps(true).since(since);
        self.docker.logs(id, Some(options.build())).map(|piece| Ok(piece?))
    }

    /// A request failed at an engine that had answered before. Where nothing listens any more, that is the error.
    #[must_use]
    pub fn failed(&self, verb: &str, reason: &str) -> Fault {
        match check_listening(&self.socket) {
            Err(errno) => not_listening(&self.socket, errno),
            Ok(()) => {
                let fault = fault::ENGINE_FAILED.cannot(verb, url(&self.socket), reason);
                fault.hint("look at the engine's log, then try again")
            }
        }
    }
}

/// An error and its sources, which is where hyper keeps the reason.
fn with_sources(error: &Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let text = error.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        source = error.source();
    }
    words
}
