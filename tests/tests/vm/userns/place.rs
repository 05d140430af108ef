//! A container with a shell in it: one for all scripts, for starting one costs an emulated machine seconds.

use super::podman;
use dind_tests::outer::{Node, docker, host};
use dind_tests::rootless::ENTER;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Ends the output of a script.
const END: &str = "end-of-the-script";

/// What scripts may call: busybox, a way to write a file of a pseudo file system as it is mounted, made writable, and
/// mounted anew, and a process that stays.
const PRELUDE: &str = r#"
    b() { /tools/busybox "$@"; }
    set_kernel() { # TYPE FILE TEXT
        b mkdir -p /tmp/$1
        b mount -o remount,rw,bind /$1; b mount -o remount,rw,bind /proc/sys; b mount -o remount,rw,bind /$1/$2
        b mount -t $1 $1 /tmp/$1
        for tree in /$1 /tmp/$1; do echo $3 >$tree/$2; done
    }
    sleeper() {
        /tools/busybox sleep 47110815 >/dev/null &
        until b grep -q 47110815 /proc/$!/cmdline; do :; done
    }
"#;

/// A container with a shell in it.
pub(in super::super) struct Place {
    /// What it is called in the table.
    pub(super) name: &'static str,
    /// The group of the machine's that limits the container, or the node that it is in.
    group: PathBuf,
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Place {
    /// A container of the machine's engine.
    pub(super) fn of(name: &'static str, container: &str) -> Self {
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", container]).ok();
        Self::new(name, &Path::new("/proc").join(pid), client(&host()), &[container])
    }

    /// A container of podman's.
    pub(super) fn of_podman(name: &'static str, node: &podman::Node) -> Self {
        Self::new(name, &Path::new("/proc").join(node.state("{{.State.Pid}}")), podman::client(), &[&node.0])
    }

    /// A container of a node's engine. What limits the node is what counts.
    pub(super) fn inside(name: &'static str, node: &Node, id: &str) -> Self {
        Self::new(name, &node.process().expect("the node runs"), client(&node.inner_host()), &[id])
    }

    /// A node that makes its own user namespace: `docker exec` alone would stay outside of it.
    pub(in super::super) fn entered(name: &'static str, node: &Node) -> Self {
        let words = [&[node.name.as_str()], &ENTER[..]].concat();
        Self::new(name, &node.process().expect("the node runs"), client(&host()), &words)
    }

    fn new(name: &'static str, process: &Path, mut client: Command, container: &[&str]) -> Self {
        client.args(["exec", "--interactive"]).args(container).arg("sh");
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = client.spawn().unwrap();
        let (input, output) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        let mut place = Self { name, group: limiting(process), shell, input, output: BufReader::new(output) };
        place.input.write_all(PRELUDE.as_bytes()).unwrap();
        place
    }

    /// Runs a script to its end, and returns what it printed.
    pub(super) fn run(&mut self, script: &str) -> String {
        writeln!(self.input, "({script}\n) 2>/dev/null </dev/null; echo; echo {END}").unwrap();
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            let length = self.output.read_until(b'\n', &mut line).unwrap();
            assert_ne!(length, 0, "the shell has ended: {}", self.name);
            let line = String::from_utf8_lossy(&line);
            if line.trim() == END {
                return text;
            }
            text.push_str(&line);
        }
    }

    /// The container's limit, or the node's, as the machine has it.
    pub(super) fn limit(&self, file: &str) -> String {
        fs::read_to_string(self.group.join(file)).unwrap().trim().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn client(engine: &str) -> Command {
    let mut docker = Command::new("docker");
    docker.args(["--host", engine]);
    docker
}

/// The process's own group, or the next above it that has a limit.
fn limiting(process: &Path) -> PathBuf {
    let own = fs::read_to_string(process.join("cgroup")).unwrap();
    let own = format!("/sys/fs/cgroup{}", own.trim().strip_prefix("0::").unwrap());
    let limited =
        |group: &&Path| fs::read_to_string(group.join("memory.max")).is_ok_and(|limit| limit.trim() != "max");
    Path::new(&own).ancestors().find(limited).expect("the container is limited").to_owned()
}
