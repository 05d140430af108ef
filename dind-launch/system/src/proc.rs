//! The one parser of what the kernel says of a process: `/proc/self/mountinfo`, `status`, `cgroup`, `ns/pid` (proc(5)).
//!
//! Each has a `parse` for text, and a reader below a [`Root`]. A line that cannot be parsed is left out: newer kernels add
//! fields and lines. Own code, for procfs-core refuses the whole file then, and leaves mount points escaped.

use crate::root::Root;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

const MOUNTINFO: &str = "/proc/self/mountinfo";
const STATUS: &str = "/proc/self/status";
const CGROUP: &str = "/proc/self/cgroup";
const PID_NAMESPACE: &str = "/proc/self/ns/pid";
const USER_NAMESPACE: &str = "/proc/self/ns/user";
/// Which users a process has (user_namespaces(7)).
pub const UID_MAP: &str = "/proc/self/uid_map";
/// Which groups.
pub const GID_MAP: &str = "/proc/self/gid_map";

/// The machine's first PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The machine's first user namespace (`PROC_USER_INIT_INO`, the same header).
const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";

/// The one line of `uid_map` where every user is itself (user_namespaces(7)).
const ALL_USERS: [&str; 3] = ["0", "0", "4294967295"];

/// The capability for mounts, cgroups and namespaces, for [`Status::can`] (linux/capability.h).
pub const CAP_SYS_ADMIN: u32 = 21;

/// A line of mountinfo (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number of the file system's device.
    pub device: (u64, u64),
    /// The directory of the file system that is mounted.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Whether this mount is read-only.
    pub read_only: bool,
    /// Options of this mount, such as `noexec`.
    pub flags: Vec<String>,
    /// Whether the file system is read-only in all of its mounts, as it is after errors.
    pub filesystem_read_only: bool,
    /// Whether mounts below it appear in its peer group (mount_namespaces(7)).
    pub shared: bool,
    /// File system type.
    pub kind: String,
    /// What was mounted.
    pub source: String,
    /// Options of the file system, such as the controllers of a cgroup v1 hierarchy.
    pub options: Vec<String>,
}

impl Mount {
    /// Whether it can be written to.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.read_only && !self.filesystem_read_only
    }
}

/// The mounts of this process' namespace, in mount order.
///
/// # Errors
/// Those of the read.
pub fn mounts(root: &Root) -> io::Result<Vec<Mount>> {
    Ok(parse_mounts(&root.read(MOUNTINFO)?))
}

/// Parses mountinfo.
#[must_use]
pub fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let (root, point, flags) = (fields.next()?, fields.next()?, fields.next()?);
    let shared = fields.any(|field| field.starts_with("shared:"));
    let mut filesystem = filesystem.split(' ');
    let (kind, source) = (filesystem.next()?, filesystem.next()?);
    let options = filesystem.next().unwrap_or_default();
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: unescape(root).into(),
        point: unescape(point).into(),
        read_only: flags.split(',').any(|flag| flag == "ro"),
        // After errors ext4 says `ro`; since Linux 6.15 `emergency_ro`, and `shutdown` after a forced one.
        flags: flags.split(',').map(str::to_owned).collect(),
        filesystem_read_only: options
            .split(',')
            .any(|option| matches!(option, "ro" | "emergency_ro" | "shutdown")),
        shared,
        kind: kind.to_owned(),
        source: unescape(source).to_string_lossy().into_owned(),
        options: options.split(',').map(str::to_owned).collect(),
    })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    OsString::from_vec(bytes)
}

/// The mount on top at exactly this point.
#[must_use]
pub fn mount_at(mounts: &[Mount], point: impl AsRef<Path>) -> Option<&Mount> {
    mounts.iter().rfind(|mount| mount.point == point.as_ref())
}

/// The mount that a path lies in: the deepest one, and of several at one point the one on top.
#[must_use]
pub fn mount_of(mounts: &[Mount], path: impl AsRef<Path>) -> Option<&Mount> {
    let above = mounts.iter().filter(|mount| path.as_ref().starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

/// The mount points strictly below a directory, in the order in which they can be unmounted: the deepest first.
#[must_use]
pub fn points_below(mounts: &[Mount], directory: &Path) -> Vec<PathBuf> {
    let below = mounts.iter().filter(|mount| mount.point.starts_with(directory) && mount.point != directory);
    let mut points: Vec<PathBuf> = below.map(|mount| mount.point.clone()).collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

/// What a process may do (proc_pid_status(5)). The default is a process without any privilege.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Effective user id.
    pub euid: Option<u32>,
    /// Effective capabilities, one bit each (linux/capability.h).
    pub effective: u64,
    /// The capability bounding set.
    pub bounding: u64,
    /// Whether execve grants no privileges.
    pub no_new_privs: bool,
    /// Whether a seccomp filter is in force.
    pub seccomp_filter: bool,
    /// Signals that are blocked, one bit each, the lowest for signal 1.
    pub blocked: u64,
    /// Signals that have a handler.
    pub caught: u64,
}

impl Status {
    /// Whether a capability is effective, by its number in linux/capability.h.
    #[must_use]
    pub fn can(&self, capability: u32) -> bool {
        is_set(self.effective, capability)
    }

    /// Whether a signal is blocked.
    #[must_use]
    pub fn blocks(&self, signal: i32) -> bool {
        u32::try_from(signal - 1).is_ok_and(|bit| is_set(self.blocked, bit))
    }

    /// Whether a signal has a handler.
    #[must_use]
    pub fn catches(&self, signal: i32) -> bool {
        u32::try_from(signal - 1).is_ok_and(|bit| is_set(self.caught, bit))
    }
}

fn is_set(mask: u64, bit: u32) -> bool {
    mask.checked_shr(bit).is_some_and(|bits| bits & 1 == 1)
}

/// The status of this process.
///
/// # Errors
/// Those of the read.
pub fn status(root: &Root) -> io::Result<Status> {
    Ok(parse_status(&root.read(STATUS)?))
}

/// The status of another process.
///
/// # Errors
/// Those of the read.
pub fn status_of(root: &Root, pid: i32) -> io::Result<Status> {
    Ok(parse_status(&root.read(format!("/proc/{pid}/status"))?))
}

/// Parses status.
#[must_use]
pub fn parse_status(text: &str) -> Status {
    let value =
        |name| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let mask = |name| value(name).and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    Status {
        euid: value("Uid").and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok()),
        effective: mask("CapEff"),
        bounding: mask("CapBnd"),
        no_new_privs: value("NoNewPrivs") == Some("1"),
        seccomp_filter: value("Seccomp") == Some("2"),
        blocked: mask("SigBlk"),
        caught: mask("SigCgt"),
    }
}

/// A hierarchy and this process' place in it: a line of `/proc/self/cgroup` (cgroups(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Such as `cpu,cpuacct` or `name=systemd`; empty for cgroup v2.
    pub controllers: String,
    /// The cgroup's path, as the cgroup namespace shows it.
    pub path: String,
}

/// The cgroups of this process.
///
/// # Errors
/// Those of the read.
pub fn cgroups(root: &Root) -> io::Result<Vec<Cgroup>> {
    Ok(parse_cgroups(&root.read(CGROUP)?))
}

/// Parses cgroup.
#[must_use]
pub fn parse_cgroups(text: &str) -> Vec<Cgroup> {
    let parse = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1).map(str::to_owned);
        Some(Cgroup { controllers: fields.next()?, path: fields.next()? })
    };
    text.lines().filter_map(parse).collect()
}

/// The directories of a controller, from our own cgroup up to the mount. A v1 hierarchy goes before the unified one beside it, and a mount
/// whose root lies above our cgroup namespace, such as the machine's /sys at another place, after all others.
#[must_use]
pub fn cgroup_directories(groups: &[Cgroup], mounts: &[Mount], controller: &str) -> Vec<PathBuf> {
    let last = |is_wanted: &dyn Fn(&Mount) -> bool| {
        let all = mounts.iter().filter(|mount| is_wanted(mount));
        all.max_by_key(|mount| !mount.root.starts_with("/.."))
    };
    let has = |mount: &Mount| mount.options.iter().any(|option| option == controller);
    let v1 = last(&|mount| mount.kind == "cgroup" && has(mount));
    let Some(mount) = v1.or_else(|| last(&|mount| mount.kind == "cgroup2")) else {
        return Vec::new();
    };
    let is_ours = |group: &&Cgroup| match v1 {
        Some(_) => group.controllers.split(',').any(|name| name == controller),
        None => group.controllers.is_empty(),
    };
    let own = groups.iter().find(is_ours).map(|group| Path::new(&group.path));
    // Docker mounts the container's own part of a v1 hierarchy, so that the mount's root is our path.
    let below = own.and_then(|path| path.strip_prefix(&mount.root).ok()).unwrap_or(Path::new(""));
    below.ancestors().map(|part| mount.point.join(part)).collect()
}

/// Whether this process is in the machine's first PID namespace: on the machine itself, in no container.
#[must_use]
pub fn on_the_machine(root: &Root) -> bool {
    root.read_link(PID_NAMESPACE).is_ok_and(|name| name == Path::new(FIRST_PID_NAMESPACE))
}
/// Whether this process is in a user namespace that is not the machine's: root here is another user there, and may do less
/// (user_namespaces(7)). The map decides where the namespace has no name, as on a captured machine.
#[must_use]
pub fn in_user_namespace(root: &Root) -> bool {
    match root.read_link(USER_NAMESPACE) {
        Ok(name) => name != Path::new(FIRST_USER_NAMESPACE),
        Err(_) => root.read(UID_MAP).is_ok_and(|map| outer_root(&map).is_some()),
    }
}

/// The user that root is outside, by the text of `uid_map`; none where every user is itself, or nothing is mapped.
#[must_use]
pub fn outer_root(uid_map: &str) -> Option<u32> {
    let lines = uid_map.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let root = lines.filter(|line| line.first() == Some(&"0")).find(|line| *line != ALL_USERS)?;
    root.get(1)?.parse().ok()
}
