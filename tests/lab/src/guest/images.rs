//! The disk with the guest engine's data root: the node image under test and the inner image are in it already.

use super::Suite;
use super::disk;
use super::system::{self, System};
use crate::arch::Arch;
use crate::engine::Engine;
use crate::product::image;
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::path::PathBuf;
use xshell::cmd;

/// Room for the nodes' volumes; sparse, and thrown away after each run.
const SIZE: &str = "12G";

/// Who uses the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Users {
    /// The guest's engine.
    Engine,
    /// And engines of other makes: podman, in a store beside the engine's data, and containerd, of an archive there.
    Others,
    /// All of them, and the engine maps users: then it has a data root of its own for them.
    Mapped,
}

/// Makes the disk anew when one of the images is another one than last time. Each kind of users has a disk of its own. The engine that
/// fills it is of this machine's processor: to it, images of any are files.
pub(super) fn ensure(
    workspace: &Workspace,
    engine: &Engine,
    system: &System,
    suite: &Suite,
    users: Users,
) -> Result<PathBuf> {
    let (node, inner) = (suite.node, image::inner_name(suite.arch));
    let name = match users {
        Users::Engine => "data",
        Users::Others => "data-others",
        Users::Mapped => "data-userns",
    };
    let disk = system.disk.with_file_name(format!("{name}.img"));
    let key = disk.with_extension("key");
    let ids = engine.ask(workspace, &["image", "inspect", "--format", "{{.Id}}", node, &inner])?;
    let wanted = format!("{node} {ids}");
    if disk.exists() && fs::read_to_string(&key).is_ok_and(|have| have == wanted) {
        return Ok(disk);
    }
    progress::step("load the images into the guest's engine", || {
        let _ = fs::remove_file(&key);
        let system = &system::ensure(workspace, suite.release, Arch::HOST)?;
        let archive = system.directory.join("images.tar");
        let path = archive.display().to_string();
        engine.ask(workspace, &["save", "--output", &path, node, &inner])?;
        let filled = load(workspace, system, users);
        let data_root = system.directory.join("var/lib/docker");
        if users == Users::Engine {
            fs::remove_file(archive)?;
        } else {
            fs::rename(archive, data_root.join("images.tar"))?;
        }
        filled?;
        disk::make(workspace, &data_root, &disk, SIZE)?;
        fs::remove_dir_all(&data_root)?;
        Ok(fs::write(&key, &wanted)?)
    })?;
    Ok(disk)
}

/// Namespaces of its own keep the engine's mounts and sockets away from the machine, and end with it.
fn load(workspace: &Workspace, system: &System, users: Users) -> Result<()> {
    let data_root = system.directory.join("var/lib/docker");
    if data_root.exists() {
        fs::remove_dir_all(&data_root)?;
    }
    fs::create_dir_all(&data_root)?;
    fs::copy(workspace.root.join("tests/vm/load"), system.directory.join("sbin/vm-load"))?;
    // The engine's unpacker remounts its root, which must be a mount for that.
    let enter = "mount --bind \"$1\" \"$1\" && cd \"$1\" && mount --rbind /sys sys && mount --rbind /dev dev && mount -t proc proc proc \
                 && mount -t tmpfs run run && mount -t tmpfs tmp tmp && shift && exec chroot . /sbin/vm-load \"$@\"";
    let (shell, directory) = (&workspace.shell, &system.directory);
    let mapped = if users == Users::Mapped { &["--userns-remap", "default"][..] } else { &[] };
    let inside =
        cmd!(shell, "unshare --mount --pid --net --fork --kill-child sh -c {enter} vm-load {directory}");
    let load = inside.args(mapped).env("VM_OTHERS", if users == Users::Engine { "" } else { "yes" });
    progress::logged(workspace, "vm-load", load)
}
