//! Thaws a paused container: until then it takes no signal, not even KILL under cgroup v1 (kernel, freezer-subsystem).

use dind_system::proc::{Cgroup, Mount, mounts, parse_cgroups};
use dind_system::{Process, Root};
use std::fs;
use std::path::PathBuf;

/// The freezers of this machine.
#[derive(Debug, Default)]
pub(super) struct Freezers(Vec<Mount>);

impl Freezers {
    /// Finds them.
    pub(super) fn find() -> Self {
        let mut mounts = mounts(&Root::default()).unwrap_or_default();
        mounts.retain(|mount| {
            mount.kind == "cgroup2"
                || mount.kind == "cgroup" && mount.options.iter().any(|option| option == "freezer")
        });
        Self(mounts)
    }

    /// Thaws the cgroup of a process. One that is not frozen stays as it is.
    pub(super) fn thaw(&self, process: &Process) {
        let text = fs::read_to_string(format!("/proc/{}/cgroup", process.pid())).unwrap_or_default();
        for cgroup in parse_cgroups(&text) {
            for (file, thawed) in self.0.iter().filter_map(|mount| switch(mount, &cgroup)) {
                if fs::read_to_string(&file).is_ok_and(|state| state.trim() != thawed) {
                    let _ = fs::write(file, thawed);
                }
            }
        }
    }
}

/// The file that freezes a cgroup, and what is written there to thaw it.
fn switch(mount: &Mount, cgroup: &Cgroup) -> Option<(PathBuf, &'static str)> {
    let (file, thawed) = match mount.kind.as_str() {
        "cgroup2" if cgroup.controllers.is_empty() => ("cgroup.freeze", "0"),
        "cgroup" if cgroup.controllers.split(',').any(|name| name == "freezer") => {
            ("freezer.state", "THAWED")
        }
        _ => return None,
    };
    // A mount may show only a part of the hierarchy.
    let below = std::path::Path::new(&cgroup.path).strip_prefix(&mount.root).ok()?;
    Some((mount.point.join(below).join(file), thawed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::parse_mounts;

    #[test]
    fn both_versions_have_a_file() {
        let mounts = parse_mounts(
            "1 0 0:1 /docker/n /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
             2 0 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        );
        let cgroup =
            |controllers: &str, path: &str| Cgroup { controllers: controllers.into(), path: path.into() };
        let inner = cgroup("freezer", "/docker/n/docker/abc");
        let file = switch(&mounts[0], &inner).unwrap();
        assert_eq!(file, ("/sys/fs/cgroup/freezer/docker/abc/freezer.state".into(), "THAWED"));
        assert_eq!(switch(&mounts[1], &inner), None);
        assert_eq!(switch(&mounts[0], &cgroup("freezer", "/elsewhere")), None);
        let file = switch(&mounts[1], &cgroup("", "/docker/abc")).unwrap();
        assert_eq!(file, ("/sys/fs/cgroup/unified/docker/abc/cgroup.freeze".into(), "0"));
    }
}
