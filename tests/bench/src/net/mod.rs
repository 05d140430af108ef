//! Bridged mode against the same by hand, in network namespaces of its own; and in `hairpin`, what its rules cost who sends through it.

mod hairpin;

use crate::in_directory;
use crate::series::{Series, Task, in_turns, timed};
use crate::table::{Row, print};
use dind_lab::{Result, Workspace};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// As `wrapdocker` of the predecessor did it, without its two runs of ipcalc, and the way back.
const BY_HAND: [&str; 2] = [
    "ip link add docker0 type bridge && ip addr del 10.77.0.3/16 dev eth0 && ip link set eth0 master docker0 &&
     ip addr add 10.77.0.3/16 dev docker0 && ip link set docker0 up && ip route add default via 10.77.0.1",
    "ip link del docker0 && ip addr add 10.77.0.3/16 dev eth0 && ip route add default via 10.77.0.1",
];

/// Bridged mode without the probe, which waits for answers.
const BRIDGED: [(&str, &str); 2] = [("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DIND_NET_PROBE", "false")];

/// The network namespace of the thread that asks.
const HERE: &str = "/proc/thread-self/ns/net";

/// Measures and prints.
pub(super) fn run(workspace: &Workspace, rounds: usize) -> Result<()> {
    in_directory(workspace, "dind-net", rounds, |tool, state| {
        // The thread alone leaves the machine's network, and its namespaces end with it.
        let measured = std::thread::scope(|scope| {
            let thread = scope.spawn(|| measure(tool, state, rounds).map_err(|error| error.to_string()));
            thread.join().unwrap_or_else(|_| Err("the thread that measures has panicked".to_owned()))
        });
        Ok(measured?)
    })
}

fn measure(tool: &Path, state: &Path, rounds: usize) -> Result<()> {
    let node = Node::new(tool, state)?;
    let probed = [BRIDGED[0]];
    node.no_children(&BRIDGED)?;
    let apply = |variables: &[(&str, &str)]| {
        let took = node.net("apply", variables)?;
        node.net("release", &[])?;
        Ok(took)
    };
    let series = in_turns(
        rounds,
        &mut [
            Task::new("by hand: sh, six times ip", || {
                let took = node.run(Command::new("sh").args(["-c", BY_HAND[0]]))?;
                node.run(Command::new("sh").args(["-c", BY_HAND[1]]))?;
                Ok(took)
            }),
            Task::new("apply bridged, without probing the range", || apply(&BRIDGED)),
            Task::new("apply bridged, with probing (3 times 100 ms)", || apply(&probed)),
            Task::new("apply bridged when nothing is to do", || {
                node.net("apply", &BRIDGED)?;
                apply(&BRIDGED)
            }),
            Task::new("apply in default mode", || apply(&[])),
            Task::new("plan bridged", || node.net("plan", &BRIDGED)),
        ],
    )?;
    let [by_hand, apply, probed, nothing, default, plan]: &[Series; 6] = series.as_slice().try_into()?;
    let rows = [
        Row::against(by_hand, by_hand),
        Row::against(apply, by_hand).at_most(10.0),
        Row::against(probed, by_hand),
        Row::against(nothing, by_hand).at_most(3.0),
        Row::against(default, by_hand).at_most(10.0),
        Row::against(plan, by_hand).at_most(3.0),
    ];
    print("network, no child process", by_hand.name, &rows);
    hairpin::measure(&node, rounds)
}

/// A container on an outer network: the thread is the host, and its commands run in the container.
struct Node<'a> {
    tool: &'a Path,
    state: &'a Path,
    host: File,
    inside: File,
}

impl<'a> Node<'a> {
    fn new(tool: &'a Path, state: &'a Path) -> Result<Self> {
        let here = || File::open(HERE);
        unshare(CloneFlags::CLONE_NEWNET)?;
        let host = here()?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let node = Self { tool, state, host, inside: here()? };
        setns(&node.host, CloneFlags::CLONE_NEWNET)?;
        let there = path(&node.inside);
        let outer = format!(
            "ip link add obr type bridge && ip addr add 10.77.0.1/16 dev obr && ip link set obr up &&
             ip link add port type veth peer name eth0 netns {there} && ip link set port master obr up"
        );
        timed(Command::new("sh").args(["-c", &outer]))?;
        let inner = "ip link set lo up && ip addr add 10.77.0.3/16 dev eth0 && ip link set eth0 up &&
                     ip route add default via 10.77.0.1";
        node.run(Command::new("sh").args(["-c", inner]))?;
        Ok(node)
    }

    /// Does something in a namespace. The thread comes back to the host's.
    fn at<T>(&self, namespace: &File, work: impl FnOnce() -> Result<T>) -> Result<T> {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        let done = work();
        setns(&self.host, CloneFlags::CLONE_NEWNET)?;
        done
    }

    fn run(&self, command: &mut Command) -> Result<Duration> {
        self.at(&self.inside, || timed(command))
    }

    fn command(&self, program: &Path, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DIND_NET_STATE", self.state);
        command.envs(variables.iter().copied());
        command
    }

    /// Time of a run of `dind-net`, from fork to exit.
    fn net(&self, verb: &str, variables: &[(&str, &str)]) -> Result<Duration> {
        self.run(self.command(self.tool, variables).arg(verb))
    }

    /// Checks that it does the work itself: a program that leaves it to helpers is not as fast as it looks.
    fn no_children(&self, variables: &[(&str, &str)]) -> Result<()> {
        let log: PathBuf = self.state.join("strace");
        let mut strace = self.command(Path::new("strace"), variables);
        strace.args(["-f", "-qq", "-e", "trace=execve,fork,vfork,clone,clone3", "-o"]).arg(&log);
        self.run(strace.arg(self.tool).arg("apply"))?;
        self.net("release", &[])?;
        let calls = fs::read_to_string(log)?;
        match calls.lines().count() {
            // Its own start.
            1 => Ok(()),
            _ => Err(format!("`dind-net apply` starts processes:\n{calls}").into()),
        }
    }
}

/// A path of a namespace for other processes.
fn path(namespace: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd())
}
