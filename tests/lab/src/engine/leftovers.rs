//! Looks for everything that a private engine could have left behind.

use super::cgroups;
use super::paths::Paths;
use super::state::State;
use crate::machine::{self, LoopDevice};
use crate::{Result, progress};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel takes down a namespace's mounts and their loop devices after its last process has ended, in its own
/// time and without an event that could be waited for.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// The loop devices that nodes of the engine have mounted; they must go with it.
pub(super) fn loop_devices_in_use(paths: &Paths) -> Vec<LoopDevice> {
    let group = format!("{}/", paths.cgroup);
    let inside = machine::processes().filter(|pid| {
        fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(&group))
    });
    let sources: Vec<_> = inside.flat_map(machine::mounts_of).map(|mount| mount.source).collect();
    machine::loop_devices().into_iter().filter(|device| sources.contains(&device.device)).collect()
}

/// Fails with the name of each thing that is still there. `used` are the loop devices that the engine's nodes had.
pub(super) fn check(paths: &Paths, state: Option<&State>, used: &[LoopDevice]) -> Result<()> {
    let deadline = Instant::now() + SETTLE_TIME;
    loop {
        let left = find(paths, state, used);
        if left.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("the private engine left behind: {}", left.join(", ")).into());
        }
        sleep(Duration::from_millis(50));
    }
    let lost: Vec<_> = state.into_iter().flat_map(|state| unknown_loop_devices(state, used)).collect();
    if !lost.is_empty() {
        progress::note(&format!(
            "appeared meanwhile, not mounted, perhaps of a node that was killed: {}",
            lost.join(", ")
        ));
    }
    Ok(())
}

fn find(paths: &Paths, state: Option<&State>, used: &[LoopDevice]) -> Vec<String> {
    let mut left: Vec<_> = state.map(processes).unwrap_or_default();
    left.extend(mounts(paths));
    left.extend(unmounted(|device| used.contains(device)));
    let groups = cgroups::directories(&paths.cgroup);
    left.extend(groups.iter().map(|directory| format!("control group {}", directory.display())));
    left.extend(paths.run.exists().then(|| format!("directory {}", paths.run.display())));
    left
}

fn processes(state: &State) -> Vec<String> {
    let known =
        [state.init, state.slirp].into_iter().filter(|process| process.is_alive()).map(|process| process.pid);
    let inside = machine::processes().filter(|pid| {
        fs::read_link(format!("/proc/{pid}/ns/net"))
            .is_ok_and(|netns| netns.as_os_str() == state.netns.as_str())
    });
    let mut pids: Vec<_> = known.chain(inside).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().map(|pid| format!("process {pid}")).collect()
}

/// Devices that came later, and whose file only the mounts of a node can show: of one of ours, or of another engine's.
fn unknown_loop_devices(state: &State, used: &[LoopDevice]) -> Vec<String> {
    unmounted(|device| {
        !state.loops.contains(&device.device) && !used.contains(device) && !device.file.exists()
    })
}

/// Attached devices that nobody has mounted, in whichever mount namespace: another engine's nodes have theirs.
fn unmounted(filter: impl Fn(&LoopDevice) -> bool) -> Vec<String> {
    let mut devices: Vec<_> = machine::loop_devices().into_iter().filter(filter).collect();
    if !devices.is_empty() {
        let mounts = machine::processes().flat_map(machine::mounts_of);
        mounts.for_each(|mount| devices.retain(|device| device.device != mount.source));
    }
    devices
        .iter()
        .map(|LoopDevice { device, file }| format!("loop device {device} of {}", file.display()))
        .collect()
}

fn mounts(paths: &Paths) -> Vec<String> {
    let left = machine::mounts().into_iter().map(|mount| mount.point);
    let left = left.filter(|point| point.starts_with(&paths.run) || point.starts_with(&paths.engine));
    left.map(|point| format!("mount {}", point.display())).collect()
}
