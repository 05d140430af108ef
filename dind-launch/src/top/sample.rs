//! One look at everything that is measured. Two of them show what was used in between.

use crate::usage::disk::Disk;
use crate::usage::engine::{ContainerUsage, Engine, Listed};
use crate::usage::node::NodeUsage;
use dind_system::Root;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How many containers are asked for at once. The engine asks containerd for each, and that the container's shim: with more at once
/// they wait for each other, and the node does less of its own work.
const AT_ONCE: usize = 8;

/// How long the engine may take to answer for all containers together.
const LIMIT: Duration = Duration::from_secs(5);

/// How long the engine may take to measure all writable layers.
const SIZES_LIMIT: Duration = Duration::from_secs(600);

/// Where to look.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The engine's socket.
    pub(super) socket: PathBuf,
    /// The data root.
    pub(super) data_root: PathBuf,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// The node, and when.
    pub(super) node: Option<(Instant, NodeUsage)>,
    /// The file system of the data root.
    pub(super) disk: Option<Disk>,
    /// The containers that run. Each was asked for at a moment of its own; nothing where it has not answered.
    pub(super) containers: Vec<(Listed, Option<(Instant, ContainerUsage)>)>,
    /// Why the engine could not be asked.
    pub(super) error: Option<String>,
}

impl Sample {
    /// Looks.
    pub(super) fn take(source: &Source) -> Self {
        let engine = Engine::at(&source.socket, Instant::now() + LIMIT);
        let (containers, error) = match engine.containers(false) {
            Ok(listed) => (usages(&engine, listed), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let node = Some((Instant::now(), NodeUsage::read(&Root::default())));
        Self { node, disk: Disk::of(&source.data_root).ok(), containers, error }
    }
}

/// Asks for several at once.
fn usages(engine: &Engine, listed: Vec<Listed>) -> Vec<(Listed, Option<(Instant, ContainerUsage)>)> {
    let next = AtomicUsize::new(0);
    let found: Vec<_> = listed.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(listed.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(container), Some(place)) = (listed.get(index), found.get(index)) else { break };
                    let usage = engine.usage(&container.id).ok().map(|usage| (Instant::now(), usage));
                    if let Ok(mut place) = place.lock() {
                        *place = usage;
                    }
                }
            });
        }
    });
    let found = found.into_iter().map(|place| place.into_inner().unwrap_or_default());
    listed.into_iter().zip(found).collect()
}

/// Bytes of the writable layers, by the containers' ids.
///
/// # Errors
/// The engine does not answer in time.
pub(super) fn sizes(socket: &Path) -> io::Result<BTreeMap<String, u64>> {
    let engine = Engine::at(socket, Instant::now() + SIZES_LIMIT);
    let listed = engine.sizes()?;
    Ok(listed.into_iter().filter_map(|container| Some((container.id, container.size_rw?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    const CONTAINERS: usize = 203;

    /// An engine that answers for usage only when as many ask as may, or all that are left.
    fn engine(listener: &UnixListener) {
        let mut asked = listener.accept().unwrap().0;
        let listed: Vec<_> =
            (0..CONTAINERS).map(|id| format!(r#"{{"Id":"{id}","State":"running"}}"#)).collect();
        answer(&mut asked, &format!("[{}]", listed.join(",")));
        let mut left = CONTAINERS;
        while left > 0 {
            let mut asking: Vec<_> = (0..left.min(AT_ONCE)).map(|_| listener.accept().unwrap().0).collect();
            let ready =
                poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::from(2_u8));
            assert_eq!(ready, Ok(0), "more than {AT_ONCE} ask at once");
            for stream in &mut asking {
                answer(stream, r#"{"memory_stats":{"usage":5,"limit":9}}"#);
            }
            left -= asking.len();
        }
    }

    fn answer(stream: &mut UnixStream, body: &str) {
        let mut request = [0; 512];
        assert!(stream.read(&mut request).unwrap() > 0);
        write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    #[test]
    fn a_crowd_is_asked_for_a_few_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let source =
            Source { socket: directory.path().join("socket"), data_root: directory.path().to_owned() };
        let listener = UnixListener::bind(&source.socket).unwrap();
        let sample = thread::scope(|scope| {
            scope.spawn(|| engine(&listener));
            Sample::take(&source)
        });
        assert_eq!(sample.error, None);
        assert_eq!(sample.containers.len(), CONTAINERS);
        for (index, (listed, seen)) in sample.containers.iter().enumerate() {
            assert_eq!(listed.id, index.to_string());
            assert_eq!(seen.unwrap().1.memory_bytes, Some(5));
        }
    }

    #[test]
    fn without_an_engine_the_node_is_seen_and_the_reason_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let source =
            Source { socket: directory.path().join("socket"), data_root: directory.path().to_owned() };
        let sample = Sample::take(&source);
        assert!(
            sample.error.unwrap().contains("No such file") && sample.node.is_some() && sample.disk.is_some()
        );
    }
}
