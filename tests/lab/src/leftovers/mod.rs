//! What tests and nodes could leave on the machine: processes, loop devices, mounts, links, network namespaces.

use crate::Result;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel detaches a loop device in its own time after the last unmount.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// What is on the machine at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks around. Of processes only those count whose program is in `binaries`.
    pub(crate) fn take(binaries: &Path) -> Self {
        let tools = processes().filter_map(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            program.starts_with(binaries).then(|| format!("process {pid} of {}", program.display()))
        });
        let loops =
            loop_devices().into_iter().map(|(device, file)| format!("loop device {device} of {file}"));
        let netns = names("/run/netns").into_iter().map(|name| format!("network namespace {name}"));
        let mounts = mounts().into_iter().map(|target| format!("mount {target}"));
        let links = names("/sys/class/net").into_iter().map(|name| format!("network interface {name}"));
        Self(tools.chain(loops).chain(netns).chain(mounts).chain(links).collect())
    }

    /// Fails with the name of each thing that was not there before and still is.
    pub(crate) fn check(&self, binaries: &Path) -> Result<()> {
        let deadline = Instant::now() + SETTLE_TIME;
        loop {
            let now = Self::take(binaries).0;
            let left: Vec<_> = now.difference(&self.0).map(String::as_str).collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("left behind: {}", left.join(", ")).into());
            }
            sleep(Duration::from_millis(50));
        }
    }
}

/// Attached loop devices, each with its backing file as the kernel names it.
pub(crate) fn loop_devices() -> Vec<(String, String)> {
    let attached = names("/sys/block").into_iter().filter_map(|name| {
        let file = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).ok()?;
        Some((format!("/dev/{name}"), file.trim().to_owned()))
    });
    attached.collect()
}

/// All mount points of this namespace.
pub(crate) fn mounts() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
}

/// The numbers of all processes.
pub(crate) fn processes() -> impl Iterator<Item = i32> {
    names("/proc").into_iter().filter_map(|name| name.parse().ok())
}

fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(std::io::Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
