//! Asks the kernel whether calls and devices are allowed, in ways that change nothing: each call carries an argument
//! that the kernel itself refuses, but only after seccomp and the security modules were asked. The error shows who refused.

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;

/// The security modules' own refusal of mounts.
pub(crate) const MOUNT_BY_POLICY: &str = "mount-by-policy";
/// Opening `/dev/loop-control`.
pub(crate) const LOOP_CONTROL: &str = "loop-control";
/// Making and opening a loop device.
pub(crate) const LOOP_DEVICE: &str = "loop-device";
/// Opening `/dev/net/tun`, where it has to be made first.
pub(crate) const TUN: &str = "tun";
/// Making groups in the container's own cgroup.
pub(crate) const CGROUP: &str = "cgroup";

/// A null pointer: the kernel answers EFAULT before it does anything.
const NOWHERE: c_long = 0;
const NOTHING: c_long = -1;

/// Calls that a node makes, with such arguments.
const CALLS: &[(&str, c_long, [c_long; 5])] = &[
    ("mount", libc::SYS_mount, [NOWHERE; 5]),
    ("umount2", libc::SYS_umount2, [NOWHERE, NOTHING, 0, 0, 0]),
    ("pivot_root", libc::SYS_pivot_root, [NOWHERE; 5]),
    ("unshare", libc::SYS_unshare, [NOTHING, 0, 0, 0, 0]),
    ("setns", libc::SYS_setns, [NOTHING, 0, 0, 0, 0]),
    ("keyctl", libc::SYS_keyctl, [NOTHING, 0, 0, 0, 0]),
    ("add_key", libc::SYS_add_key, [NOWHERE; 5]),
    ("request_key", libc::SYS_request_key, [NOWHERE; 5]),
];

/// The names of all that is refused. `filtered`: a seccomp filter is in force. `may_make`: device nodes
/// can be made in `/dev`, which is our own.
pub(super) fn refused(filtered: bool, may_make: bool) -> BTreeSet<String> {
    let mut refused = BTreeSet::new();
    if filtered {
        let blocked = CALLS.iter().filter(|(_, number, arguments)| is_blocked(*number, *arguments));
        refused.extend(blocked.map(|(name, ..)| (*name).to_owned()));
    }
    let devices = [
        (MOUNT_BY_POLICY, policy_refuses_mounts()),
        (LOOP_CONTROL, is_denied("/dev/loop-control")),
        ("fuse", is_denied("/dev/fuse")),
        (LOOP_DEVICE, may_make && made_is_denied(SFlag::S_IFBLK, makedev(7, 0))),
        (TUN, tun_is_denied(may_make)),
    ];
    refused.extend(devices.into_iter().filter(|(_, denied)| *denied).map(|(name, _)| name.to_owned()));
    refused
}

/// A filter answers EPERM, or ENOSYS as for a call that does not exist. A kernel without keyrings answers ENOSYS, too, which
/// does not matter: runc runs without a keyring then.
fn is_blocked(number: c_long, arguments: [c_long; 5]) -> bool {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the pointers among the arguments are null, which the kernel checks; flags and descriptors are invalid.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    let keys = [libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key].contains(&number);
    match Errno::result(result) {
        Err(Errno::EPERM) => true,
        Err(Errno::ENOSYS) => !keys,
        _ => false,
    }
}

/// Asks for two propagation types at once: that is EINVAL, but only after the security modules were asked, whose own
/// refusal is EACCES.
fn policy_refuses_mounts() -> bool {
    use nix::mount::{MsFlags, mount};
    let both = MsFlags::MS_SHARED | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, both, None::<&str>) == Err(Errno::EACCES)
}

/// The device cgroup answers EPERM; a node of another user, or on a `nodev` mount, EACCES. A device that is busy or has no driver
/// answers something else.
fn is_denied(path: impl AsRef<Path>) -> bool {
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    opened.is_err_and(|error| matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)))
}

/// Where nothing is at its place and no node can be made, nobody has it.
fn tun_is_denied(may_make: bool) -> bool {
    let path = Path::new("/dev/net/tun");
    if path.exists() {
        is_denied(path)
    } else {
        !may_make || made_is_denied(SFlag::S_IFCHR, makedev(10, 200))
    }
}

/// Makes a node for a device, opens it, and removes it. On the machine's own `/dev` nobody does this: no device
/// cgroup is in the way there, and others watch what appears.
fn made_is_denied(kind: SFlag, device: u64) -> bool {
    let name = format!(".dind-doctor-{}-{device}", process::id());
    let node = Path::new("/dev").join(name);
    let made = mknod(&node, kind, Mode::S_IRUSR | Mode::S_IWUSR, device);
    let denied = made == Err(Errno::EPERM) || (made.is_ok() && is_denied(&node));
    let _ = std::fs::remove_file(&node);
    denied
}
