//! The guest's kernel: Debian's for clouds, its modules as a disk, and the little that reaches the disks.

use super::disk;
use crate::arch::Arch;
use crate::base::{self, Release};
use crate::workspace::Workspace;
use crate::{Result, progress};
use clap::ValueEnum;
use std::fmt;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use xshell::cmd;

/// Without the drivers of hardware that no virtual machine has; the processor's name follows.
const PACKAGE: &str = "linux-image-cloud";

/// A kernel to run the suite on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kernel {
    /// Debian 12's.
    #[value(name = "6.1")]
    Linux61,
    /// Debian 13's.
    #[value(name = "6.12")]
    Linux612,
}

impl Kernel {
    fn release(self) -> Release {
        match self {
            Self::Linux61 => Release::Bookworm,
            Self::Linux612 => Release::Trixie,
        }
    }
}

/// As in the option.
impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linux61 => "6.1",
            Self::Linux612 => "6.12",
        })
    }
}

/// What QEMU boots.
#[derive(Debug)]
pub(super) struct Boot {
    /// The kernel.
    pub(super) kernel: PathBuf,
    /// The first root file system.
    pub(super) initramfs: PathBuf,
    /// The disk with its modules.
    pub(super) modules: PathBuf,
}

/// Fetches the kernel where it is not there yet, and packs the first root file system anew.
pub(super) fn ensure(workspace: &Workspace, kernel: Kernel, arch: Arch) -> Result<Boot> {
    let place = workspace.guests().join(format!("kernel-{}{}", kernel.release().suite(), arch.suffix()));
    let (unpacked, modules) = (place.join("unpacked"), place.join("modules.img"));
    if !modules.exists() {
        progress::step(&format!("fetch the kernel of {} for {arch}", kernel.release().suite()), || {
            fs::create_dir_all(&place)?;
            if unpacked.exists() {
                fs::remove_dir_all(&unpacked)?;
            }
            let package = format!("--include={PACKAGE}-{arch}");
            let args = ["--variant=extract", &package];
            let fetch = kernel.release().mmdebstrap(workspace, arch, &unpacked, &args)?;
            progress::logged(workspace, "vm-kernel", fetch)?;
            // From Debian 13 on, packages hold no links of the merged /usr; those come with the base system.
            if !unpacked.join("lib").exists() {
                symlink("usr/lib", unpacked.join("lib"))?;
            }
            let (shell, version) = (&workspace.shell, only(&unpacked.join("lib/modules"))?);
            cmd!(shell, "depmod --basedir {unpacked} {version}").quiet().run()?;
            disk::make(workspace, &unpacked.join("lib/modules"), &modules, "512M")
        })?;
    }
    let version = only(&unpacked.join("lib/modules"))?;
    let initramfs = place.join("initramfs");
    pack(workspace, arch, &unpacked, &version, &initramfs)?;
    Ok(Boot { kernel: unpacked.join(format!("boot/vmlinuz-{version}")), initramfs, modules })
}

fn only(directory: &Path) -> Result<String> {
    let entry =
        fs::read_dir(directory)?.next().ok_or_else(|| format!("`{}` is empty", directory.display()))?;
    Ok(entry?.file_name().to_string_lossy().into_owned())
}

/// Busybox, the drivers of virtual disks, and both first programs. Not compressed: unpacking costs an emulated
/// processor more than reading.
fn pack(workspace: &Workspace, arch: Arch, unpacked: &Path, version: &str, target: &Path) -> Result<()> {
    let shell = &workspace.shell;
    let busybox = base::static_busybox(workspace, arch)?;
    let root = target.with_extension("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for directory in ["bin", "dev", "modules", "root"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::copy(busybox, root.join("bin/busybox"))?;
    symlink("busybox", root.join("bin/sh"))?;
    let scripts = workspace.root.join("tests/vm");
    fs::copy(scripts.join("initramfs"), root.join("init"))?;
    fs::copy(scripts.join("init"), root.join("guest-init"))?;
    for unit in ["vm.target", "vm.service"] {
        fs::copy(scripts.join(unit), root.join(unit))?;
    }
    let mut order = String::new();
    for driver in ["virtio_pci", "virtio_blk"] {
        let listed = cmd!(
            shell,
            "modprobe --dirname {unpacked} --set-version {version} --show-depends --ignore-install {driver}"
        );
        // `insmod PATH`, in the order in which they need each other.
        for path in listed.quiet().read()?.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let path = Path::new(path.trim());
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let plain = name.trim_end_matches(".xz");
            if plain == name {
                fs::copy(path, root.join("modules").join(plain))?;
            } else {
                let bytes = cmd!(shell, "xz --decompress --stdout {path}").quiet().output()?.stdout;
                fs::write(root.join("modules").join(plain), bytes)?;
            }
            if !order.lines().any(|known| known == plain) {
                order.push_str(&format!("{plain}\n"));
            }
        }
    }
    fs::write(root.join("modules/order"), order)?;
    let archive = format!("cd '{}' && find . | cpio --quiet --create --format=newc", root.display());
    let bytes = cmd!(shell, "sh -c {archive}").quiet().output()?.stdout;
    Ok(fs::write(target, bytes)?)
}
