//! A container with a shell in it: one for all scripts, for starting one costs an emulated machine seconds.

use dind_tests::outer::{Node, docker, host};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Ends the output of a script.
const END: &str = "end-of-the-script";

/// What scripts may call: busybox, and a way to write a file of a pseudo file system as it is mounted, made writable, and
/// mounted anew.
const PRELUDE: &str = r#"
    b() { /tools/busybox "$@"; }
    set_kernel() { # TYPE FILE TEXT
        b mkdir -p /tmp/$1
        b mount -o remount,rw,bind /$1; b mount -o remount,rw,bind /proc/sys; b mount -o remount,rw,bind /$1/$2
        b mount -t $1 $1 /tmp/$1
        for tree in /$1 /tmp/$1; do echo $3 >$tree/$2; done
    }
"#;

/// A container with a shell in it.
pub(super) struct Place {
    /// What it is called in the table.
    pub(super) name: &'static str,
    /// The first process of the machine's container, by its directory in the machine's /proc.
    process: PathBuf,
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Place {
    /// A container of the machine's engine.
    pub(super) fn of(name: &'static str, container: &str) -> Self {
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", container]).ok();
        Self::new(name, format!("/proc/{pid}").into(), &host(), container)
    }

    /// A container of a node's engine. What limits the node is what counts.
    pub(super) fn inside(name: &'static str, node: &Node, id: &str) -> Self {
        Self::new(name, node.process().expect("the node runs"), &node.inner_host(), id)
    }

    fn new(name: &'static str, process: PathBuf, engine: &str, container: &str) -> Self {
        let mut docker = Command::new("docker");
        docker.args(["--host", engine, "exec", "--interactive", container, "sh"]);
        docker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = docker.spawn().unwrap();
        let (input, output) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        let mut place = Self { name, process, shell, input, output: BufReader::new(output) };
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

    /// The text of a file of that container's cgroup, as the machine has it.
    pub(super) fn group(&self, file: &str) -> String {
        let own = fs::read_to_string(self.process.join("cgroup")).unwrap();
        let own = own.trim().strip_prefix("0::").unwrap().trim_end_matches("/init").to_owned();
        fs::read_to_string(format!("/sys/fs/cgroup{own}/{file}")).unwrap().trim().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
