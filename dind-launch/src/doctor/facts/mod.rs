//! What `doctor` sees: files below the root; what the kernel refuses (`probe`), and which network features it has (`links`).
//!
//! In a captured machine `/.dind/refused` holds what no file of a real one says: the names of the probes that the
//! kernel refused, one to a line.

mod block_devices;
mod links;
mod outer_engine;
pub(crate) mod probe;

pub(crate) use links::{KINDS, NF_TABLES};
pub(crate) use outer_engine::OuterEngine;

use crate::doctor::capabilities::MKNOD;

use crate::fault;
use crate::paths::DATA_ROOT;
use crate::prepare::delegation;
use crate::usage::Limits;
use dind_contract::Fault;
use dind_system::Root;
use dind_system::proc::{self, Cgroup, Mount, Status};
use std::collections::{BTreeMap, BTreeSet};

/// The refused probes of a captured machine.
const CAPTURED: &str = "/.dind/refused";

/// The settings that decide what a node needs: those of `dind-storage`, and one of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeArgs {
    /// `DIND_DATA_ROOT`; empty for the usual place.
    pub data_root: String,
    /// `DIND_STORAGE_DRIVER`; empty for `auto`.
    pub driver: String,
    /// `DIND_STORAGE_BACKING`; empty for `auto`.
    pub backing: String,
    /// `DIND_STORAGE_SEED`; empty for none.
    pub seeds: String,
    /// `DIND_STORAGE_RECLAIM`; empty where nothing is reclaimed.
    pub reclaim: String,
    /// `DIND_ALLOW_HOST_DEVICES`: a node in a user namespace may have block devices of the machine.
    pub allow_host_devices: bool,
    /// `DIND_USERNS=unshare`: the launcher makes the node's namespaces.
    pub makes_namespaces: bool,
}

impl NodeArgs {
    /// Reads the variables. `dind-storage` reports what is wrong with them.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let of = |name| variable(name).unwrap_or_default().trim().to_owned();
        Self {
            data_root: of("DIND_DATA_ROOT"),
            driver: of("DIND_STORAGE_DRIVER"),
            backing: of("DIND_STORAGE_BACKING"),
            seeds: of("DIND_STORAGE_SEED"),
            reclaim: of("DIND_STORAGE_RECLAIM"),
            allow_host_devices: false,
            makes_namespaces: of("DIND_USERNS") == "unshare",
        }
    }

    /// Where the engine's data lies.
    #[must_use]
    pub fn data_root(&self) -> &str {
        if self.data_root.is_empty() { DATA_ROOT } else { &self.data_root }
    }
}

/// What was seen. Text is as the kernel writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// `/proc/self/status`.
    pub status: Status,
    /// `/proc/self/limits`.
    pub limits: String,
    /// `/proc/self/uid_map`.
    pub uid_map: String,
    /// Whether this is a user namespace that is not the machine's.
    pub in_user_namespace: bool,
    /// In such a namespace: the machine's block devices that can be opened.
    pub block_devices: Vec<String>,
    /// `/proc/self/attr/current`: how a security module confines us; empty without one.
    pub confinement: String,
    /// `/proc/self/mountinfo`.
    pub mounts: Vec<Mount>,
    /// `/proc/self/cgroup`.
    pub cgroups: Vec<Cgroup>,
    /// How many processes and threads the container may have; nothing where there is no limit.
    pub pids: Option<u64>,
    /// How much memory it may use, in bytes; nothing where there is no limit.
    pub memory: Option<u64>,
    /// The controllers of the unified hierarchy, where it is mounted at `/sys/fs/cgroup`.
    pub controllers: Option<String>,
    /// `/proc/filesystems`.
    pub filesystems: String,
    /// The kinds of namespaces that the kernel has.
    pub namespaces: Vec<String>,
    /// Small files that hold one value, by path: sysctls, and the switches of security modules.
    pub values: BTreeMap<&'static str, String>,
    /// Files that exist, of those whose existence says something.
    pub files: BTreeSet<&'static str>,
    /// Whether this is the machine itself, and not a container on it.
    pub on_the_machine: bool,
    /// The engine that `docker run` talks to; only asked on the machine itself.
    pub outer_engine: Option<OuterEngine>,
    /// `/etc/subuid`.
    pub subuid: String,
    /// `/etc/subgid`.
    pub subgid: String,
    /// The probes that the kernel refused, by name.
    pub refused: BTreeSet<String>,
}

/// Files whose existence says something.
const FILES: &[&str] =
    &["/dev/loop-control", "/dev/fuse", "/proc/net/ip_tables_names", "/run/systemd/system"];

/// Files that hold one value.
const VALUES: &[&str] = &[
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/fs/inotify/max_user_instances",
    "/proc/sys/fs/inotify/max_user_watches",
    "/proc/sys/kernel/keys/maxkeys",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/sys/module/apparmor/parameters/enabled",
    "/sys/fs/selinux/enforce",
];

impl Observed {
    /// Looks at what the container was given: a few files, and a few calls that fail in any case.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn of_container(root: &Root) -> Result<Self, Fault> {
        let text = |path: &str| root.read(path).unwrap_or_default();
        let mut observed = Self {
            status: proc::status(root).map_err(|error| {
                fault::INIT_FAILED.cannot("read", "/proc/self/status", error).hint("mount /proc")
            })?,
            limits: text("/proc/self/limits"),
            uid_map: text("/proc/self/uid_map"),
            in_user_namespace: proc::in_user_namespace(root),
            // Without a security module that uses it, the kernel refuses to read it: EINVAL.
            confinement: text("/proc/self/attr/current").trim_matches(['\0', '\n']).to_owned(),
            mounts: proc::mounts(root).unwrap_or_default(),
            cgroups: proc::cgroups(root).unwrap_or_default(),
            controllers: root.read("/sys/fs/cgroup/cgroup.controllers").ok(),
            namespaces: root.list("/proc/self/ns").unwrap_or_default(),
            on_the_machine: proc::on_the_machine(root),
            files: FILES.iter().copied().filter(|path| root.exists(path)).collect(),
            ..Self::default()
        };
        let (groups, mounts) = (&observed.cgroups, &observed.mounts);
        observed.memory = Limits::read(root, groups, mounts).memory_bytes;
        let pids = proc::cgroup_directories(groups, mounts, "pids").into_iter();
        // `max` is no number: no limit.
        observed.pids =
            pids.filter_map(|group| root.read(group.join("pids.max")).ok()?.trim().parse().ok()).min();
        let value = |path: &&'static str| Some((*path, root.read(path).ok()?.trim().to_owned()));
        observed.values = VALUES.iter().filter_map(value).collect();
        if observed.in_user_namespace {
            observed.block_devices = block_devices::openable(root);
        }
        if !root.is_host() {
            observed.refused = text(CAPTURED).lines().map(str::to_owned).collect();
            return Ok(observed);
        }
        let own_dev = proc::mount_at(&observed.mounts, "/dev").is_some_and(|mount| mount.kind == "tmpfs");
        // Making a node needs CAP_MKNOD, whatever the device cgroup says; root of a user namespace makes none.
        let may_make = own_dev && observed.status.can(MKNOD) && !observed.in_user_namespace;
        observed.refused = probe::refused(observed.status.seccomp_filter, may_make);
        if delegation::denied(root, &observed.cgroups, &observed.mounts).is_some() {
            observed.refused.insert(probe::CGROUP.to_owned());
        }
        Ok(observed)
    }

    /// Also looks at what the kernel can do, with links in a temporary network namespace.
    #[must_use]
    pub fn and_kernel(mut self, root: &Root) -> Self {
        self.filesystems = root.read("/proc/filesystems").unwrap_or_default();
        if root.is_host() {
            self.refused.extend(links::refused());
        }
        self
    }

    /// Also looks at what the machine has for containers in user namespaces. Inside a container nothing of it is to be seen: the
    /// engine that answers there is the node's own.
    #[must_use]
    pub fn and_engine(mut self, root: &Root, asked: bool) -> Self {
        self.subuid = root.read("/etc/subuid").unwrap_or_default();
        self.subgid = root.read("/etc/subgid").unwrap_or_default();
        self.outer_engine = (asked && self.on_the_machine).then(|| outer_engine::ask(root)).flatten();
        self
    }

    /// Whether the caller is root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.status.euid == Some(0)
    }

    /// The capabilities that no process here can go beyond (capabilities(7)).
    #[must_use]
    pub fn bounding(&self) -> u64 {
        self.status.bounding
    }

    /// Whether root here holds a capability, even where the caller is another user: then only that is wrong.
    #[must_use]
    pub fn may_hold(&self, capability: u32) -> bool {
        let held = if self.is_root() { self.status.effective } else { self.status.bounding };
        held >> capability & 1 == 1
    }

    /// Whether it is SELinux that confines us: its labels have fields (`user:role:type:level`), a profile of AppArmor a mode
    /// (`name (enforce)`).
    #[must_use]
    pub fn has_selinux_label(&self) -> bool {
        self.confinement.split(':').count() >= 4
    }

    /// Whether the kernel refused a probe.
    #[must_use]
    pub fn refuses(&self, probe: &str) -> bool {
        self.refused.contains(probe)
    }

    /// One of the values that are read.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(String::as_str)
    }

    /// The mount that a path lies on.
    #[must_use]
    pub fn mount_of(&self, path: &str) -> Option<&Mount> {
        proc::mount_of(&self.mounts, path)
    }
}
