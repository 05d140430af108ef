//! Running containers, found without the engine: it may hang, or have died, and its containers run on.
//!
//! containerd runs a shim for each container (runtime v2, README "Shim"): its arguments name the container, its working
//! directory is the bundle, where `init.pid` holds the container's first process, a child of the shim.

use dind_system::Process;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A running container.
#[derive(Debug)]
pub struct Task {
    /// The full id.
    pub id: String,
    /// Its first process: when that ends, the container has ended.
    pub init: Process,
    /// Where the containerd that runs it listens.
    pub containerd: PathBuf,
}

/// The running containers of the engine with this data root, by id. Other engines' containers, and those of containerd's
/// other clients, have no directory there.
#[must_use]
pub fn running(data_root: &Path) -> BTreeMap<String, Task> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let found = pids.filter_map(|pid| task_of(Pid::from_raw(pid)));
    let ours = found.filter(|task| data_root.join("containers").join(&task.id).is_dir());
    ours.map(|task| (task.id.clone(), task)).collect()
}

fn task_of(pid: Pid) -> Option<Task> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let shim = Shim::parse(&fs::read(directory.join("cmdline")).ok()?)?;
    let init = fs::read_to_string(directory.join("cwd/init.pid")).ok()?;
    let init = Process::open(Pid::from_raw(init.trim().parse().ok()?)).ok()?;
    // A bundle that its shim has not cleaned up may name a process of before.
    (parent(init.pid()) == Some(pid)).then_some(Task { id: shim.id, init, containerd: shim.containerd })
}

/// Field 4 of proc_pid_stat(5).
fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(") ")?.1;
    Some(Pid::from_raw(fields.split(' ').nth(1)?.parse().ok()?))
}

/// What a shim's command line says.
#[derive(Debug, PartialEq, Eq)]
struct Shim {
    id: String,
    containerd: PathBuf,
}

impl Shim {
    /// `containerd-shim-runc-v2 -namespace moby -id ID -address /run/containerd/containerd.sock`.
    fn parse(cmdline: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(cmdline).ok()?;
        let mut words = text.split('\0');
        let program = Path::new(words.next()?).file_name()?.to_str()?;
        if !program.starts_with("containerd-shim") {
            return None;
        }
        let words: Vec<_> = words.collect();
        let value = |flag| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1));
        // `start` and `delete` are short-lived helpers that do not have a container of their own.
        let is_helper = words.iter().any(|word| matches!(*word, "start" | "delete"));
        let (id, containerd) = (value("-id")?, value("-address")?);
        (!is_helper).then_some(Self { id: (*id).to_owned(), containerd: (*containerd).into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_names_its_container() {
        let line = |text: &str| Shim::parse(text.replace(' ', "\0").as_bytes());
        let shim = "/usr/bin/containerd-shim-runc-v2 -namespace moby -id abc -address /run/c.sock";
        assert_eq!(line(shim), Some(Shim { id: "abc".to_owned(), containerd: "/run/c.sock".into() }));
        for other in [
            "",
            "/usr/bin/containerd -address /run/c.sock",
            "/usr/bin/containerd-shim-runc-v2 -namespace moby -address /run/c.sock",
            "/usr/bin/containerd-shim-runc-v2 -namespace moby -id",
            "/usr/bin/containerd-shim-runc-v2 -namespace moby -id abc -address /run/c.sock delete",
            "sh -c containerd-shim -id abc -address /run/c.sock",
        ] {
            assert_eq!(line(other), None, "{other}");
        }
    }

    #[test]
    fn no_process_here_is_a_container_of_an_empty_data_root() {
        let directory = tempfile::tempdir().unwrap();
        assert!(running(directory.path()).is_empty());
    }
}
