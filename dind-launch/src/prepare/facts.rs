//! What `prepare` reads before it plans anything.

use super::error::failed;
use crate::apparmor;
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{self, Cgroup, Mount, mount_at};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where all container runtimes mount cgroups.
pub(super) const CGROUPS: &str = "/sys/fs/cgroup";

/// Where the processes of a nested cgroup are: the name that systemd, moby's hack/dind and kind have made usual.
pub(super) const LEAF: &str = "init";

/// Where securityfs is mounted.
pub(super) const SECURITY: &str = "/sys/kernel/security";

/// What [`Facts::oom_score`] is read from.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Who starts the engine afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// This process, whose namespaces its children inherit.
    Launcher,
    /// Another one, such as a shell script.
    Shell,
}

/// The container before anything is prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The mounts, with their roots as our cgroup namespace shows them.
    pub mounts: Vec<Mount>,
    /// Our cgroups, as the caller's cgroup namespace shows them.
    pub cgroups: Vec<Cgroup>,
    /// Whether we have left the caller's cgroup namespace for one of our own.
    pub own_namespace: bool,
    /// Whether this is the machine itself, and not a container on it.
    pub on_the_machine: bool,
    /// What lies in [`CGROUPS`].
    pub names: Vec<String>,
    /// The cgroup at [`CGROUPS`]; nothing where cgroup v2 is not mounted there.
    pub unified: Option<Unified>,
    /// Whether securityfs can be mounted, and an engine that sees it can confine its containers.
    pub has_security: bool,
    /// Whether the image has no /tmp.
    pub tmp_is_missing: bool,
    /// Whether /tmp is a directory without files.
    pub tmp_is_empty: bool,
    /// How much more willingly the kernel ends our processes than others when memory is short: -1000 to 1000
    /// (proc_pid_oom_score_adj(5)).
    pub oom_score: i32,
}

/// A cgroup of v2, by its files (the kernel's cgroup-v2.rst).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unified {
    /// `cgroup.type`; nothing in the kernel's root cgroup, which has no such file.
    pub kind: Option<String>,
    /// The controllers that it could hand to its children.
    pub controllers: Vec<String>,
    /// Those that it does.
    pub delegated: Vec<String>,
    /// Its processes that we can see.
    pub processes: Vec<String>,
}

impl Facts {
    /// Reads the container.
    pub(super) fn read(root: &Root) -> Result<Self, Fault> {
        let unreadable =
            |path: &'static str| move |error: io::Error| failed("read", path, &error).hint("mount /proc");
        let mounts = proc::mounts(root).map_err(unreadable("/proc/self/mountinfo"))?;
        let is_unified = mount_at(&mounts, CGROUPS).is_some_and(|mount| mount.kind == "cgroup2");
        Ok(Self {
            mounts,
            cgroups: proc::cgroups(root).map_err(unreadable("/proc/self/cgroup"))?,
            own_namespace: false,
            on_the_machine: proc::on_the_machine(root),
            names: root.list(CGROUPS).unwrap_or_default(),
            unified: is_unified.then(|| Unified::read(root)),
            has_security: root.path(SECURITY).is_dir() && apparmor::engine_may_confine(root),
            tmp_is_missing: fs::symlink_metadata(root.path("/tmp")).is_err(),
            tmp_is_empty: is_without_files(&root.path("/tmp")),
            oom_score: root
                .read(OOM_SCORE)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or_default(),
        })
    }

    /// Reads the container again, after a cgroup namespace of our own was taken: the roots of cgroup mounts have changed.
    pub(super) fn after_unshare(self, root: &Root) -> Result<Self, Fault> {
        Ok(Self { cgroups: self.cgroups, own_namespace: true, ..Self::read(root)? })
    }

    /// What [`Facts::after_unshare`] would read, as far as anything here depends on it: the roots of mounts that lie outside of our
    /// cgroup begin with `/..` then (cgroup_namespaces(7)).
    pub(super) fn predict_unshare(mut self) -> Self {
        for mount in self.mounts.iter_mut().filter(|mount| mount.kind.starts_with("cgroup")) {
            let own = self.cgroups.iter().find(|cgroup| is_of(mount, &cgroup.controllers));
            let Some(own) = own else { continue };
            mount.root = match mount.root.strip_prefix(&own.path) {
                Ok(below) => Path::new("/").join(below),
                Err(_) => PathBuf::from("/.."),
            };
        }
        Self { own_namespace: true, ..self }
    }
}

impl Unified {
    /// Reads the one at [`CGROUPS`]. Files that cannot be read count as empty; then it is not nested, and the step that nests it
    /// reports the error.
    fn read(root: &Root) -> Self {
        let text = |file| root.read(Path::new(CGROUPS).join(file));
        let list = |file| words(&text(file).unwrap_or_default());
        Self {
            kind: text("cgroup.type").ok().map(|kind| kind.trim().to_owned()),
            controllers: list("cgroup.controllers"),
            delegated: list("cgroup.subtree_control"),
            processes: list("cgroup.procs"),
        }
    }

    /// Whether its processes are in a leaf, and every controller is delegated.
    pub(super) fn is_nested(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| kind != "domain threaded")
            && self.processes.is_empty()
            && self.controllers.iter().all(|name| self.delegated.contains(name))
    }
}

/// Whether there is nothing in a directory but empty directories. systemd's packages make some in /tmp for sockets (tmpfiles.d,
/// x11.conf), in an image, too.
fn is_without_files(directory: &Path) -> bool {
    let is_empty = |path: PathBuf| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    let is_empty_directory =
        |entry: fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_empty(entry.path());
    fs::read_dir(directory).is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(is_empty_directory)))
}

/// Whether a mount is of the hierarchy with these controllers, such as `cpu,cpuacct`; of cgroup v2 where there are none.
pub(super) fn is_of(mount: &Mount, controllers: &str) -> bool {
    if controllers.is_empty() {
        return mount.kind == "cgroup2";
    }
    mount.kind == "cgroup"
        && controllers.split(',').all(|option| mount.options.iter().any(|have| have == option))
}

/// Whether a mount shows what lies outside of our cgroup namespace: its root is above ours.
pub(super) fn is_above(mount: &Mount) -> bool {
    mount.root.starts_with("/..")
}

/// The words of a cgroup file. Pid 0 is a process of another namespace: not ours to move.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().filter(|word| *word != "0").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::{parse_cgroups, parse_mounts};

    #[test]
    fn a_mount_is_known_by_all_its_controllers() {
        let mounts = parse_mounts(
            "1 0 0:1 / /x rw - cgroup cgroup rw,cpuacct,cpu\n2 0 0:2 / /y rw - cgroup cgroup rw,cpu\n\
             3 0 0:3 / /z rw - cgroup2 cgroup rw\n",
        );
        let of = |controllers| mounts.iter().map(|mount| is_of(mount, controllers)).collect::<Vec<_>>();
        assert_eq!(of("cpu,cpuacct"), [true, false, false]);
        assert_eq!(of(""), [false, false, true]);
    }

    #[test]
    fn a_namespace_of_our_own_shows_our_cgroup_as_the_root() {
        let facts = Facts {
            mounts: parse_mounts(
                "1 0 0:1 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n\
                 2 0 0:2 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n\
                 3 0 0:3 /docker/abc/leaf /sys/fs/cgroup/unified ro - cgroup2 cgroup rw\n\
                 4 0 0:4 / / rw - overlay overlay rw\n",
            ),
            cgroups: parse_cgroups("2:pids:/docker/abc\n1:cpu:/docker/abc\n0::/docker/abc\n"),
            ..Facts::default()
        };
        let found = facts.predict_unshare();
        let roots: Vec<_> = found.mounts.iter().map(|mount| mount.root.to_str().unwrap()).collect();
        assert_eq!(roots, ["/", "/..", "/leaf", "/"]);
        assert!(found.own_namespace && is_above(&found.mounts[1]) && !is_above(&found.mounts[2]));
    }

    #[test]
    fn a_nested_cgroup() {
        let list = |text: &str| words(text);
        let nested = Unified {
            kind: Some("domain".to_owned()),
            controllers: list("cpu memory"),
            delegated: list("memory cpu"),
            processes: list("0\n"),
        };
        assert!(nested.is_nested());
        for other in [
            Unified { kind: None, ..nested.clone() },
            Unified { kind: Some("domain threaded".to_owned()), ..nested.clone() },
            Unified { delegated: list("cpu"), ..nested.clone() },
            Unified { processes: list("7"), ..nested.clone() },
        ] {
            assert!(!other.is_nested(), "{other:?}");
        }
    }

    #[test]
    fn empty_directories_are_no_files() {
        let tmp = tempfile::tempdir().unwrap();
        assert!(is_without_files(tmp.path()));
        fs::create_dir(tmp.path().join(".X11-unix")).unwrap();
        assert!(is_without_files(tmp.path()));
        fs::write(tmp.path().join(".X11-unix/X0"), "").unwrap();
        assert!(!is_without_files(tmp.path()));
        fs::remove_dir_all(tmp.path().join(".X11-unix")).unwrap();
        std::os::unix::fs::symlink("/", tmp.path().join("link")).unwrap();
        assert!(!is_without_files(tmp.path()));
        assert!(!is_without_files(Path::new("/nonexistent")));
    }
}
