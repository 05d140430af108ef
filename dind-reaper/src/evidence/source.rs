//! Where evidence comes from: the engine's streams, and the end of its socket.

use crate::engine::{Engine, RequestError};
use bollard::models::EventMessage;
use futures_util::stream::{LocalBoxStream, StreamExt, iter, once, unfold};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::OsString;
use std::future::{pending, ready};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// What comes from the engine.
pub(super) enum Message {
    Event(EventMessage),
    Log(String, Result<Vec<u8>, RequestError>),
    /// The engine's file with the log of a container has appeared.
    LogFile(PathBuf, String),
    /// A log has ended.
    LogEnd(String),
    /// It closes its socket, or its connection.
    Gone,
}

/// Sees the engine's log files appear: the API does not know the log of a container that is removed within milliseconds of its
/// start, but a file that is open stays.
#[derive(Debug)]
pub(super) struct LogFiles {
    events: Inotify,
}

/// The end of their names, behind the container's id.
const LOG_FILE: &str = "-json.log";

impl LogFiles {
    /// # Errors
    /// The kernel has no inotify instance left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { events: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)? })
    }

    /// Watches the directory of a container that has been created. The kernel ends the watch with the directory.
    pub(super) fn watch(&self, data_root: &Path, id: &str) {
        let directory = data_root.join("containers").join(id);
        let _ = self.events.add_watch(&directory, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ONLYDIR);
    }

    /// Messages of those that appear.
    pub(super) fn appear(self: Rc<Self>, data_root: PathBuf) -> LocalBoxStream<'static, Message> {
        let batches = unfold(self, async |files| Some((wait(&files.events).await.ok()?, files)));
        let names = batches.flat_map(iter).filter_map(|name| ready(name.into_string().ok()));
        let message = move |name: String| {
            let id = name.strip_suffix(LOG_FILE)?.to_owned();
            Some(Message::LogFile(data_root.join("containers").join(&id).join(name), id))
        };
        names.filter_map(move |name| ready(message(name))).boxed_local()
    }
}

/// Waits for events, and gives the names in them.
async fn wait(events: &Inotify) -> io::Result<Vec<OsString>> {
    let fd: OwnedFd = events.as_fd().try_clone_to_owned()?;
    // SAFETY: the AsyncFd owns the descriptor, which is therefore open for as long as it is registered.
    #[allow(unsafe_code)]
    let readable = unsafe { AsyncFd::register(fd) }?;
    loop {
        let mut guard = readable.readable().await?;
        match events.read_events() {
            Ok(seen) => return Ok(seen.into_iter().filter_map(|event| event.name).collect()),
            Err(Errno::EAGAIN) => guard.clear_ready(),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A container's log, as messages.
pub(super) fn log_of(engine: &Engine, id: &str, since: Duration) -> LocalBoxStream<'static, Message> {
    let (id, end) = (id.to_owned(), Message::LogEnd(id.to_owned()));
    engine
        .log(&id, since)
        .map(move |piece| Message::Log(id.clone(), piece.map(|piece| piece.into_bytes().to_vec())))
        .chain(once(ready(end)))
        .boxed_local()
}

/// Returns when the socket's file is removed: an engine does that first when it shuts down (moby, cmd/dockerd). Where the kernel
/// has no inotify instance left, never: the end of the engine's connection is seen all the same.
pub(super) async fn closed(socket: PathBuf) {
    if watch_for_removal(&socket).await.is_err() {
        pending::<()>().await;
    }
}

async fn watch_for_removal(socket: &Path) -> io::Result<()> {
    let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    events.add_watch(&directory.canonicalize()?, AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM)?;
    while !wait(&events).await?.iter().any(|seen| seen == name) {}
    Ok(())
}
