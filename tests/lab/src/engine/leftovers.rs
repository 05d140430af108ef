//! Looks for everything that a private engine could have left behind.

use super::state::State;
use super::{Places, cgroups};
use crate::Result;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel takes down a namespace's mounts and their loop devices after its last process has ended, in its own
/// time and without an event that could be waited for.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// Fails with the name of each thing that is still there.
pub(super) fn check(places: &Places, state: Option<&State>) -> Result<()> {
    let deadline = Instant::now() + SETTLE_TIME;
    loop {
        let left = find(places, state);
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("the private engine left behind: {}", left.join(", ")).into());
        }
        sleep(Duration::from_millis(50));
    }
}

fn find(places: &Places, state: Option<&State>) -> Vec<String> {
    let mut left: Vec<_> = state.map(processes).unwrap_or_default();
    left.extend(mounts(places));
    left.extend(state.into_iter().flat_map(loop_devices));
    left.extend(
        cgroups::folders(&places.cgroup).iter().map(|folder| format!("control group {}", folder.display())),
    );
    left.extend(places.run.exists().then(|| format!("folder {}", places.run.display())));
    left
}

fn processes(state: &State) -> Vec<String> {
    let known =
        [state.init, state.slirp].into_iter().filter(|process| process.is_alive()).map(|process| process.pid);
    let inside = crate::leftovers::processes().filter(|pid| {
        fs::read_link(format!("/proc/{pid}/ns/net"))
            .is_ok_and(|netns| netns.as_os_str() == state.netns.as_str())
    });
    let mut pids: Vec<_> = known.chain(inside).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().map(|pid| format!("process {pid}")).collect()
}

/// Devices that came later, that nobody has mounted, and whose file only the mounts of a node can show.
fn loop_devices(state: &State) -> Vec<String> {
    let later =
        crate::leftovers::loop_devices().into_iter().filter(|(device, _)| !state.loops.contains(device));
    let lost = later.filter(|(device, file)| !Path::new(file).exists() && !is_mounted(device));
    lost.map(|(device, file)| format!("loop device {device} of {file}")).collect()
}

/// Whether it is mounted in the mount namespace of any process: another engine's nodes have theirs.
fn is_mounted(device: &str) -> bool {
    let source = format!(" {device} ");
    crate::leftovers::processes().any(|pid| {
        fs::read_to_string(format!("/proc/{pid}/mountinfo")).is_ok_and(|mounts| mounts.contains(&source))
    })
}

fn mounts(places: &Places) -> Vec<String> {
    let ours = [places.run.display().to_string(), places.engine.display().to_string()];
    let targets = crate::leftovers::mounts();
    let left = targets.into_iter().filter(|target| ours.iter().any(|place| target.starts_with(place)));
    left.map(|target| format!("mount {target}")).collect()
}
