//! The guest's system: a minimal Debian with the distribution's engine, as a directory and as a disk.

use super::disk;
use crate::arch::Arch;
use crate::base::Release;
use crate::setup::emulation;
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::path::PathBuf;

/// Beside the engine: what a node's host has, and what the suites call on it. systemd and podman are for guests that map users.
const PACKAGES: &str = "iptables,iproute2,kmod,procps,busybox-static,nftables,strace,apparmor,systemd-sysv,dbus,podman,crun,netavark,aardvark-dns,containernetworking-plugins";

/// The user that the engine maps others to, as dockerd itself would make it, so that its number is known (dockerd(8)); and the one
/// that podman does, which podman 5 does not find unless it exists.
const MAPPED: [(&str, &str); 4] = [
    (
        "passwd",
        "dockremap:x:990:990::/nonexistent:/usr/sbin/nologin\ncontainers:x:991:991::/nonexistent:/usr/sbin/nologin\n",
    ),
    ("group", "dockremap:x:990:\ncontainers:x:991:\n"),
    ("subuid", "dockremap:165536:65536\ncontainers:2147483647:2147483648\n"),
    ("subgid", "dockremap:165536:65536\ncontainers:2147483647:2147483648\n"),
];

/// Room for what a run writes; the disk is sparse, and what is written is thrown away.
const SIZE: &str = "4G";

/// The guest's system.
#[derive(Debug)]
pub(super) struct System {
    /// Unpacked, for programs that run in it.
    pub(super) directory: PathBuf,
    /// Its disk.
    pub(super) disk: PathBuf,
}

/// Bootstraps the system where it is not there yet.
pub(super) fn ensure(workspace: &Workspace, release: Release, arch: Arch) -> Result<System> {
    let place = workspace.guests().join(format!("{}{}", release.suite(), arch.suffix()));
    let system = System { directory: place.join("system"), disk: place.join("system.img") };
    let key = system.disk.with_extension("key");
    let wanted = format!("{PACKAGES} {MAPPED:?}");
    if system.disk.exists() && fs::read_to_string(&key).is_ok_and(|have| have == wanted) {
        return Ok(system);
    }
    progress::step(&format!("bootstrap the guest's {}{}", release.suite(), arch.suffix()), || {
        // The packages' scripts run in it.
        let _emulation = emulation::begin(workspace, arch)?;
        fs::create_dir_all(&place)?;
        // An interrupted one is incomplete.
        if system.directory.exists() {
            fs::remove_dir_all(&system.directory)?;
        }
        let packages = format!("--include={},{PACKAGES}", release.engine_packages());
        let bootstrap =
            release.mmdebstrap(workspace, arch, &system.directory, &["--variant=minbase", &packages])?;
        progress::logged(workspace, "vm-system", bootstrap)?;
        for directory in ["lib/modules", "var/lib/docker"] {
            fs::create_dir_all(system.directory.join(directory))?;
        }
        for (file, lines) in MAPPED {
            let path = system.directory.join("etc").join(file);
            let have = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, have + lines)?;
        }
        disk::make(workspace, &system.directory, &system.disk, SIZE)?;
        Ok(fs::write(&key, &wanted)?)
    })?;
    Ok(system)
}
