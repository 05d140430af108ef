//! The engine of a container that no launcher runs, such as one that a shell script has started.

use super::lock::unreadable;
use super::record::{NodeState, Record};
use crate::engine::readiness;
use crate::paths::SOCKET;
use dind_contract::Fault;
use dind_system::process::Process;
use nix::unistd::Pid;
use serde_json::{Map, Value};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// containerd's socket where it is a service of its own; dockerd uses it if it is there, and else starts a containerd of its own
/// (moby, cmd/dockerd/daemon.go).
const CONTAINERD_SERVICE: &str = "/run/containerd/containerd.sock";

/// A record of the engine that listens where every Docker client looks for one; nothing where there is none, or where it runs in
/// another PID namespace, as behind a socket of the host.
///
/// # Errors
/// [`crate::fault::NOT_ROOT`]: the caller may not ask it.
pub(super) fn find(limit: Duration) -> Result<Option<Record>, Fault> {
    let dockerd = match Process::that_listens_at(Path::new(SOCKET)) {
        Ok(dockerd) => dockerd,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(unreadable(Path::new(SOCKET), &error));
        }
        Err(_) => return Ok(None),
    };
    let settings = Settings::of(dockerd.pid());
    let containerd_socket = settings.containerd_socket();
    let containerd = Process::that_listens_at(&containerd_socket).ok();
    let data_root = settings.get("data-root").unwrap_or_else(|| "/var/lib/docker".to_owned());
    Ok(Some(Record {
        state: NodeState::External,
        engine_pid: Some(dockerd.pid().as_raw()),
        containerd_pid: containerd.map(|process| process.pid().as_raw()),
        socket: SOCKET.into(),
        containerd_socket,
        engine_version: readiness::version(Path::new(SOCKET), limit),
        daemon_json: Map::from_iter([("data-root".to_owned(), Value::String(data_root))]),
        ..Record::default()
    }))
}

/// What a dockerd was started with: its flags, and behind them its `daemon.json`.
struct Settings {
    words: Vec<String>,
    file: Map<String, Value>,
}

impl Settings {
    fn of(dockerd: Pid) -> Self {
        let line = fs::read(format!("/proc/{dockerd}/cmdline")).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        let words: Vec<_> = words.collect();
        let file = flag(&words, "config-file").unwrap_or("/etc/docker/daemon.json");
        let file = fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { file: file.unwrap_or_default(), words }
    }

    fn get(&self, key: &str) -> Option<String> {
        let in_file = || self.file.get(key).and_then(Value::as_str);
        flag(&self.words, key).or_else(in_file).map(str::to_owned)
    }

    fn containerd_socket(&self) -> PathBuf {
        if let Some(named) = self.get("containerd") {
            return named.into();
        }
        if Path::new(CONTAINERD_SERVICE).exists() {
            return CONTAINERD_SERVICE.into();
        }
        let exec_root = self.get("exec-root").unwrap_or_else(|| "/var/run/docker".to_owned());
        Path::new(&exec_root).join("containerd/containerd.sock")
    }
}

/// The value of a flag: `--KEY=VALUE` or `--KEY VALUE`.
fn flag<'a>(words: &'a [String], key: &str) -> Option<&'a str> {
    let dashed = format!("--{key}");
    words.iter().enumerate().find_map(|(index, word)| match word.strip_prefix(&dashed)? {
        "" => words.get(index + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(words: &[&str], file: Value) -> Settings {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Settings { words, file: file.as_object().cloned().unwrap_or_default() }
    }

    #[test]
    fn settings_are_flags_or_in_the_file() {
        let words = ["dockerd", "--data-root-of-others=x", "--data-root=/a", "--exec-root", "/b"];
        let found = settings(&words, json!({"data-root": "/c", "containerd": "/d", "mtu": 1400}));
        assert_eq!(found.get("data-root").as_deref(), Some("/a"));
        assert_eq!(found.get("exec-root").as_deref(), Some("/b"));
        assert_eq!(found.get("mtu"), None);
        assert_eq!(found.containerd_socket(), Path::new("/d"));
    }
}
