//! A run of the suites, and what proves that something is its own: other people's things come and go meanwhile.

use super::trace::Trace;
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What tests make outside their own namespaces is named `dind-test-PID-…`: control groups, loop images, network
/// namespaces. The number is that of the test program; of one that still runs, nothing is left over. As in `tests/src/lib.rs`.
pub const PREFIX: &str = "dind-test-";

/// The same for network interfaces, `dtPIDn…`: their names have room for 15 characters (IFNAMSIZ).
pub const LINK_PREFIX: &str = "dt";

/// One run.
#[derive(Debug)]
pub struct Run {
    /// The static binaries under test.
    pub(super) binaries: PathBuf,
    /// Directories that nobody else uses.
    directories: Vec<PathBuf>,
    /// `TMPDIR` of the test programs, one of them.
    temporary: PathBuf,
}

impl Run {
    /// Begins a run, with a directory of its own for temporary files.
    pub fn begin(workspace: &Workspace, binaries: &Path) -> Result<Self> {
        let name = format!("{PREFIX}{}", std::process::id());
        let temporary = std::env::temp_dir().canonicalize()?.join(name);
        // A killed run may have had the same number.
        let _ = fs::remove_dir(&temporary);
        fs::create_dir(&temporary)
            .map_err(|error| format!("cannot make `{}`: {error}", temporary.display()))?;
        // As /tmp is: the unit tests may run as another user, and some tests give up root.
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o1777))?;
        let target = workspace.target.canonicalize().unwrap_or_else(|_| workspace.target.clone());
        let directories = vec![temporary.clone(), target, workspace.image(), workspace.run_dir()];
        Ok(Self { binaries: binaries.to_owned(), directories, temporary })
    }

    /// What test programs need in their environment to be known as this run's.
    #[must_use]
    pub fn environment(&self) -> (&'static str, String) {
        ("TMPDIR", self.temporary.display().to_string())
    }

    /// Whether this run provably made it.
    pub(super) fn owns(&self, trace: &Trace) -> bool {
        match trace {
            Trace::Process(_, program) => program.starts_with(&self.binaries),
            Trace::Loop(device) => self.has_place(&device.file),
            Trace::Mount(path) | Trace::Cgroup(path) => self.has_place(path),
            Trace::Netns(name) => is_of_an_ended_test(name, PREFIX, "-"),
            Trace::Link(name) => is_of_an_ended_test(name, LINK_PREFIX, "n"),
        }
    }

    fn has_place(&self, path: &Path) -> bool {
        self.directories.iter().any(|directory| path.starts_with(directory))
            || path.iter().any(|name| is_of_an_ended_test(&name.to_string_lossy(), PREFIX, "-"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Never a whole tree: something may be mounted in it.
        if fs::remove_dir(&self.temporary).is_err() && self.temporary.exists() {
            progress::note(&format!("temporary files are left in {}", self.temporary.display()));
        }
    }
}

/// Whether a test program gave the name, and has ended since.
fn is_of_an_ended_test(name: &str, prefix: &str, end: &str) -> bool {
    let number =
        name.strip_prefix(prefix).map(|rest| rest.split_once(end).map_or(rest, |(number, _)| number));
    number
        .and_then(|number| number.parse::<u32>().ok())
        .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::LoopDevice;

    /// Above every number that a process can have (`PID_MAX_LIMIT`, include/linux/threads.h).
    const ENDED: &str = "dind-test-4194305";

    fn run() -> Run {
        let path = PathBuf::from;
        Run {
            binaries: path("/src/target/image/bin"),
            directories: vec![path("/tmp/dind-test-1"), path("/src/target"), path("/run/dind-1234")],
            temporary: path("/tmp/dind-test-1"),
        }
    }

    fn loop_device(file: &str) -> Trace {
        Trace::Loop(LoopDevice { device: "/dev/loop7".to_owned(), file: file.into() })
    }

    #[test]
    fn what_this_run_made_is_its_own() {
        for trace in [
            Trace::Process(7, "/src/target/image/bin/dind-net".into()),
            loop_device("/tmp/dind-test-1/dind-loopback-a/image"),
            loop_device("/tmp/dind-test-1/image (deleted)"),
            loop_device("/src/target/bench/dind-storage/image"),
            loop_device(&format!("/data/{ENDED}-image-0")),
            Trace::Mount("/run/dind-1234/netns/default".into()),
            Trace::Mount(format!("/mnt/{ENDED}/root").into()),
            Trace::Netns(ENDED.to_owned()),
            Trace::Netns(format!("{ENDED}-host")),
            Trace::Link("dt4194305n0".to_owned()),
            Trace::Cgroup(format!("/sys/fs/cgroup/pids/{ENDED}").into()),
        ] {
            assert!(run().owns(&trace), "{trace}");
        }
    }

    #[test]
    fn what_others_make_meanwhile_is_not() {
        let alive = format!("dind-test-{}", std::process::id());
        for trace in [
            Trace::Process(7, "/other/target/image/bin/dind-net".into()),
            loop_device("/tmp/dind-loopback-a/image"),
            loop_device("/var/lib/snapd/snaps/core.snap"),
            loop_device("/data/docker"),
            loop_device(&format!("/data/{alive}-image-0")),
            Trace::Mount("/run/netns".into()),
            Trace::Mount("/run/netns/cni-1".into()),
            Trace::Mount("/run/dind-12345/netns/default".into()),
            Trace::Netns("cni-1".to_owned()),
            Trace::Netns("dind-test-".to_owned()),
            Trace::Netns(alive.clone()),
            Trace::Link("docker0".to_owned()),
            Trace::Link("dtap4194305n0".to_owned()),
            Trace::Mount("/var/tmp/dind-test-4a5b6c/root".into()),
            Trace::Link("veth0123".to_owned()),
            Trace::Cgroup("/sys/fs/cgroup/pids/machine.slice".into()),
            Trace::Cgroup(format!("/sys/fs/cgroup/pids/{alive}").into()),
        ] {
            assert!(!run().owns(&trace), "{trace}");
        }
    }
}
