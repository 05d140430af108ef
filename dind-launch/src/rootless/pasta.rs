//! The way out: pasta, a program that moves what the node sends and gets between its network namespace and sockets of the
//! container's (pasta(1), package `passt`). It needs no privilege there. The node's link has the container's own addresses.

use crate::fault;
use crate::paths;
use dind_contract::Fault;
use dind_system::Root;
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program.
pub(crate) const PROGRAM: &str = "pasta";

/// What it moves packets through (Documentation/networking/tuntap.rst: 10, 200).
const TUN: &str = "/dev/net/tun";

/// What it has to say.
const LOG: &str = "/.dind/pasta.log";

/// Its flags. The ports that the node listens on are the container's, found by looking once a second; versions of 2023 do so only if
/// they look in the other direction, too. The gateway's address stays the gateway's. It is ended together with the node, and not by looking
/// at the directory of the node's namespaces, which it may not read: versions of 2025 end at once then.
const FLAGS: [&str; 15] = [
    "--config-net",
    "--foreground",
    "--quiet",
    "--no-map-gw",
    "--no-netns-quit",
    "--tcp-ports",
    "auto",
    "--udp-ports",
    "auto",
    "--tcp-ns",
    "auto",
    "--udp-ns",
    "auto",
    "--runas",
    "0",
];

/// The program's path.
///
/// # Errors
/// [`fault::PASTA_MISSING`].
pub(super) fn find(root: &Root) -> Result<PathBuf, Fault> {
    paths::program(root, PROGRAM).ok_or_else(|| {
        let fault = fault::PASTA_MISSING.failed("no way out of the node's network", "pasta is not installed");
        fault.hint(
            "install the package passt in the image: Debian 12 and Ubuntu 23.04 have it, and newer ones",
        )
    })
}

/// How pasta is called.
#[derive(Debug)]
pub(super) struct Pasta {
    pub(super) program: PathBuf,
    more: Vec<String>,
}

impl Pasta {
    pub(super) fn new(program: PathBuf, more: Vec<String>) -> Self {
        Self { program, more }
    }

    /// The command for a node.
    pub(super) fn command(&self, node: Pid) -> Command {
        let mut command = Command::new(&self.program);
        command.args(FLAGS).args(&self.more).args(["--log-file", LOG]).arg(node.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        command
    }
}

/// Whether the node has a route: everything else is there before.
pub(super) fn is_up(node: Pid) -> bool {
    let lines = |file: &str| {
        let text = fs::read_to_string(format!("/proc/{node}/net/{file}")).unwrap_or_default();
        text.lines().count()
    };
    // The first line has the names of the columns. In IPv6, the loopback link has some routes of its own.
    lines("route") > 1 || default_ipv6(node)
}

fn default_ipv6(node: Pid) -> bool {
    let routes = fs::read_to_string(format!("/proc/{node}/net/ipv6_route")).unwrap_or_default();
    routes.lines().any(|line| line.starts_with(&format!("{:032} 00 ", 0)) && !line.ends_with(" lo"))
}

/// The end of what it has said.
pub(super) fn last_words() -> String {
    let log = fs::read_to_string(LOG).unwrap_or_default();
    log.lines().last().unwrap_or("it has said nothing").trim().to_owned()
}

/// Makes the device node unless there is one, which a container may do by itself (`CAP_MKNOD`), and opens it for a try.
///
/// # Errors
/// [`fault::PASTA_FAILED`].
pub(super) fn make_tun() -> Result<(), Fault> {
    let path = Path::new(TUN);
    let made = if path.exists() { Ok(()) } else { make(path) };
    let opened = made.and_then(|()| fs::File::options().read(true).write(true).open(path).map(drop));
    opened.map_err(|error| {
        let missing =
            [Errno::ENODEV, Errno::ENXIO].iter().any(|errno| error.raw_os_error() == Some(*errno as i32));
        let hint =
            if missing { "modprobe tun on the host" } else { "run the container with --device /dev/net/tun" };
        fault::PASTA_FAILED.cannot("open", TUN, error).hint(hint)
    })
}

fn make(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(10, 200))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))
}
