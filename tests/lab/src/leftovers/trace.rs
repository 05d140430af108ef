//! The kinds of things that tests could leave on the machine, and those that are there now.

use crate::machine::{self, LoopDevice};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One thing on the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trace {
    /// A process, and its program.
    Process(i32, PathBuf),
    /// An attached loop device.
    Loop(LoopDevice),
    /// A mount, by its point.
    Mount(PathBuf),
    /// A named network namespace.
    Netns(String),
    /// A network interface.
    Link(String),
    /// A control group, by its directory.
    Cgroup(PathBuf),
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid, program) => write!(f, "process {pid} of {}", program.display()),
            Self::Loop(LoopDevice { device, file }) => {
                write!(f, "loop device {device} of {}", file.display())
            }
            Self::Mount(point) => write!(f, "mount {}", point.display()),
            Self::Netns(name) => write!(f, "network namespace {name}"),
            Self::Link(name) => write!(f, "network interface {name}"),
            Self::Cgroup(directory) => write!(f, "control group {}", directory.display()),
        }
    }
}

/// What there is. Of processes only those whose program is in `binaries`; of control groups those right below a root.
pub(super) fn all(binaries: &Path) -> BTreeSet<Trace> {
    let tools = machine::processes().filter_map(|pid| {
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        program.starts_with(binaries).then_some(Trace::Process(pid, program))
    });
    let mounts = machine::mounts();
    let cgroups = machine::cgroup_roots(&mounts).into_iter().flat_map(|root| {
        machine::names(&root).into_iter().map(move |name| root.join(name)).filter(|path| path.is_dir())
    });
    tools
        .chain(machine::loop_devices().into_iter().map(Trace::Loop))
        .chain(machine::names("/run/netns").into_iter().map(Trace::Netns))
        .chain(machine::names("/sys/class/net").into_iter().map(Trace::Link))
        .chain(cgroups.map(Trace::Cgroup))
        .chain(mounts.into_iter().map(|mount| Trace::Mount(mount.point)))
        .collect()
}
