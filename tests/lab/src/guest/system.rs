//! The guest's system: a minimal Debian with the distribution's engine, as a directory and as a disk.

use super::disk;
use crate::base::Release;
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::path::PathBuf;

/// Beside the engine: what a node's host has, and what the suites call on it.
const PACKAGES: &str = "iptables,iproute2,kmod,procps,busybox-static,apparmor";

/// Room for what a run writes; the disk is sparse, and what is written is thrown away.
const SIZE: &str = "4G";

/// The guest's system.
#[derive(Debug)]
pub(super) struct System {
    /// Unpacked, for programs that run natively in it.
    pub(super) directory: PathBuf,
    /// Its disk.
    pub(super) disk: PathBuf,
}

/// Bootstraps the system where it is not there yet.
pub(super) fn ensure(workspace: &Workspace, release: Release) -> Result<System> {
    let place = workspace.guests().join(release.suite());
    let system = System { directory: place.join("system"), disk: place.join("system.img") };
    if system.disk.exists() {
        return Ok(system);
    }
    progress::step(&format!("bootstrap the guest's {}", release.suite()), || {
        fs::create_dir_all(&place)?;
        // An interrupted one is incomplete.
        if system.directory.exists() {
            fs::remove_dir_all(&system.directory)?;
        }
        let packages = format!("--include={},{PACKAGES}", release.engine_packages());
        let bootstrap =
            release.mmdebstrap(workspace, &system.directory, &["--variant=minbase", &packages])?;
        progress::logged(workspace, "vm-system", bootstrap)?;
        for directory in ["lib/modules", "var/lib/docker"] {
            fs::create_dir_all(system.directory.join(directory))?;
        }
        disk::make(workspace, &system.directory, &system.disk, SIZE)
    })?;
    Ok(system)
}
