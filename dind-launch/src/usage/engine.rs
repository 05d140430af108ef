//! The inner containers, by the engine's API: what `dind-launch` asks is small, so a GET over the socket does, and no client library.

use crate::engine::readiness::connect_now;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// No answer is longer, in bytes: a list of ten thousand containers has a tenth of it.
const LONGEST: usize = 256 << 20;

/// An engine, and until when it has to answer.
#[derive(Clone, Debug)]
pub struct Engine {
    socket: PathBuf,
    deadline: Instant,
}

/// A container as the engine lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Listed {
    /// The full id.
    pub id: String,
    /// Its names, each with a slash before it.
    pub names: Vec<String>,
    /// The image as it was named.
    pub image: String,
    /// `running`, `exited` and others.
    pub state: String,
    /// Bytes of its writable layer, where that was asked for.
    pub size_rw: Option<u64>,
}

impl Listed {
    /// Its name; the id where it has none. A name with a slash in it is of another container's link.
    #[must_use]
    pub fn name(&self) -> &str {
        let own = self.names.iter().filter_map(|name| name.strip_prefix('/'));
        own.clone().find(|name| !name.contains('/')).unwrap_or(&self.id)
    }
}

/// How many containers an engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// That run.
    #[serde(rename = "ContainersRunning")]
    pub running: u64,
    /// Of any state.
    #[serde(rename = "Containers")]
    pub all: u64,
}

/// What a container has used by now. Nothing where the engine does not count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Nanoseconds of processor time.
    pub cpu_ns: Option<u64>,
    /// Bytes of memory, without files that the kernel could drop at once.
    pub memory_bytes: Option<u64>,
    /// Bytes of memory that it may use; the machine's, where it has no limit.
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

impl Engine {
    /// The engine that listens on a socket.
    #[must_use]
    pub fn at(socket: &Path, deadline: Instant) -> Self {
        Self { socket: socket.to_owned(), deadline }
    }

    /// How many containers there are.
    ///
    /// # Errors
    /// As [`Engine::containers`].
    pub fn counts(&self) -> io::Result<Counts> {
        self.get("/info")
    }

    /// All containers, or those that run.
    ///
    /// # Errors
    /// It does not answer in time, or with something else.
    pub fn containers(&self, all: bool) -> io::Result<Vec<Listed>> {
        self.get(&format!("/containers/json?all={}", u8::from(all)))
    }

    /// Those that run, with the sizes of their writable layers. The engine goes through all their files for that.
    ///
    /// # Errors
    /// As [`Engine::containers`].
    pub fn sizes(&self) -> io::Result<Vec<Listed>> {
        self.get("/containers/json?size=1")
    }

    /// What one has used.
    ///
    /// # Errors
    /// As [`Engine::containers`]; it has ended.
    pub fn usage(&self, id: &str) -> io::Result<ContainerUsage> {
        // `one-shot`: the engine would otherwise take a second sample a second later.
        let stats: Stats = self.get(&format!("/containers/{id}/stats?stream=false&one-shot=true"))?;
        Ok(stats.usage())
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> io::Result<T> {
        let answer = self.ask(path)?;
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
        let body = head.and_then(|length| answer.get(length + 4..)).ok_or(ErrorKind::UnexpectedEof)?;
        if answer.split(|byte| *byte == b' ').nth(1) != Some(b"200") {
            return Err(io::Error::other(String::from_utf8_lossy(body).trim().to_owned()));
        }
        Ok(serde_json::from_slice(body)?)
    }

    /// HTTP/1.0: the answer ends with the connection.
    fn ask(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut stream = connect_now(&self.socket)?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").as_bytes())?;
        let (mut answer, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(answer),
                Ok(length) => answer.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(&stream)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if answer.len() > LONGEST {
                return Err(ErrorKind::OutOfMemory.into());
            }
        }
    }

    fn wait(&self, stream: &UnixStream) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // Rounded up: a poll that ends a part of a millisecond early would be repeated.
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The part of the answer about usage that counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stats {
    cpu_stats: CpuStats,
    memory_stats: MemoryStats,
    pids_stats: PidsStats,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CpuStats {
    cpu_usage: CpuUsage,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    total_usage: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MemoryStats {
    usage: Option<u64>,
    limit: Option<u64>,
    stats: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PidsStats {
    current: Option<u64>,
}

impl Stats {
    fn usage(&self) -> ContainerUsage {
        // The name in cgroup v1, and that in v2.
        let names = ["total_inactive_file", "inactive_file"];
        let droppable = names.iter().find_map(|name| self.memory_stats.stats.get(*name)?.as_u64());
        let memory = self.memory_stats.usage;
        // One that has just ended has no limit, and zeros for all else.
        let runs = self.memory_stats.limit.is_some();
        ContainerUsage {
            cpu_ns: self.cpu_stats.cpu_usage.total_usage.filter(|_| runs),
            memory_bytes: memory.map(|used| used.saturating_sub(droppable.unwrap_or(0))),
            memory_limit_bytes: self.memory_stats.limit,
            pids: self.pids_stats.current,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread;
    use std::time::Duration;

    fn answering(answer: &str, deadline: Duration) -> io::Result<Vec<Listed>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = Engine::at(&path, Instant::now() + deadline);
        thread::scope(|scope| {
            let asking = scope.spawn(move || engine.containers(true));
            let (mut client, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = client.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /containers/json?all=1 HTTP/1.0\r\n"));
            // On a busy machine, whoever has a short deadline is gone by now.
            let _ = client.write_all(answer.as_bytes());
            // The connection stays open for one that is to run into its deadline.
            let kept = (!answer.ends_with('\n')).then_some(client);
            let outcome = asking.join().unwrap();
            drop(kept);
            outcome
        })
    }

    #[test]
    fn an_engine_s_answer_is_read_to_its_end() {
        let body =
            r#"[{"Id":"abc","Names":["/other/alias","/own"],"State":"running","New":{}},{"Id":"def"}]"#;
        let limit = Duration::from_secs(60);
        let listed = answering(&format!("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{body}\n"), limit).unwrap();
        assert_eq!(listed.iter().map(Listed::name).collect::<Vec<_>>(), ["own", "def"]);
        let refused = answering("HTTP/1.0 500 Oh\r\n\r\n{\"message\":\"no\"}\n", limit).unwrap_err();
        assert_eq!(refused.to_string(), r#"{"message":"no"}"#);
        assert!(answering("HTTP/1.0 200 OK\r\n\r\n[{\n", limit).is_err());
        assert!(answering("\n", limit).is_err());
        let late = answering("HTTP/1.0 200 OK\r\n\r\n[", Duration::from_millis(20)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn an_engine_counts_its_containers() {
        let info = r#"{"ID":"x","Containers":3,"ContainersRunning":2,"ContainersPaused":0}"#;
        assert_eq!(serde_json::from_str::<Counts>(info).unwrap(), Counts { running: 2, all: 3 });
    }

    #[test]
    fn usage_is_that_of_either_cgroup_version() {
        let usage = |text: &str| serde_json::from_str::<Stats>(text).unwrap().usage();
        let expected = ContainerUsage {
            cpu_ns: Some(7),
            memory_bytes: Some(60),
            memory_limit_bytes: Some(1000),
            pids: Some(2),
        };
        for file in [r#""total_inactive_file":40,"inactive_file":1"#, r#""inactive_file":40"#] {
            let text = format!(
                r#"{{"cpu_stats":{{"cpu_usage":{{"total_usage":7}}}},"pids_stats":{{"current":2}},
                "memory_stats":{{"usage":100,"limit":1000,"stats":{{{file}}}}}}}"#
            );
            assert_eq!(usage(&text), expected);
        }
        let ended = r#"{"cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{},"pids_stats":{}}"#;
        assert_eq!(usage(ended), ContainerUsage::default());
    }
}
