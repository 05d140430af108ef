//! Programs of another processor, run here by QEMU as if they were this machine's own: bootstraps and image builds need that.
//!
//! The kernel hands such programs to an interpreter that is registered with it (Documentation/admin-guide/binfmt-misc.rst). A
//! machine that has one registered, as `qemu-user-static` does with systemd, keeps it. Otherwise one is registered here for as long as
//! the work takes. From Linux 6.7 on it also goes with the last mount of that file system, so a killed program leaves none.

use super::{EMULATION, install};
use crate::Result;
use crate::arch::Arch;
use crate::workspace::Workspace;
use rustix::fs::{Mode, OFlags, RawDir, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Of names that are registered here: others belong to the machine.
const OURS: &str = "dind-";

/// Counts those of this process.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// As long as this lives, programs of the processor run.
#[derive(Debug)]
pub struct Emulation {
    /// The file system, which is mounted nowhere, and the name in it.
    registered: Option<(OwnedFd, String)>,
}

/// Makes programs of a processor run here; does nothing where they do already.
///
/// # Errors
/// The kernel cannot do it, or does not let this user; QEMU cannot be installed.
pub fn begin(workspace: &Workspace, arch: Arch) -> Result<Emulation> {
    if arch.is_host() {
        return Ok(Emulation { registered: None });
    }
    install(workspace, &[EMULATION])?;
    let cannot = |what: &str, error: Errno| {
        format!(
            "cannot run programs for {arch} on this machine: {what}: {error}\nhint: the kernel needs binfmt_misc (`modprobe binfmt_misc`), \
             and this needs to be the machine's root; or use a machine with this processor"
        )
    };
    let handlers = mount().map_err(|error| cannot("the kernel's binfmt_misc cannot be used", error))?;
    if has_machines_own(&handlers, arch)? {
        return Ok(Emulation { registered: None });
    }
    let name = format!("{OURS}{arch}-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let line = registration(&name, arch);
    write(&handlers, "register", line.as_bytes())
        .map_err(|error| cannot("no interpreter can be registered", error))?;
    Ok(Emulation { registered: Some((handlers, name)) })
}

impl Drop for Emulation {
    fn drop(&mut self) {
        if let Some((handlers, name)) = &self.registered {
            // It is gone by itself where it cannot be removed.
            let _ = write(handlers, name, b"-1");
        }
    }
}

fn mount() -> std::result::Result<OwnedFd, Errno> {
    let context = fsopen("binfmt_misc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

fn write(handlers: &OwnedFd, name: &str, bytes: &[u8]) -> std::result::Result<(), Errno> {
    let file = openat(handlers, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, bytes).map(drop)
}

/// Whether an interpreter is registered that containers can use: the kernel has opened its program (flag F).
fn has_machines_own(handlers: &OwnedFd, arch: Arch) -> Result<bool> {
    let listing = openat(handlers, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(listing, &mut buffer);
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let own = [".", "..", "register", "status"].contains(&name.as_str()) || name.starts_with(OURS);
        let opened = openat(handlers, &name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let (false, Ok(file)) = (own, opened) else { continue };
        let mut text = String::new();
        File::from(file).read_to_string(&mut text)?;
        if is_for(&text, arch) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_for(entry: &str, arch: Arch) -> bool {
    let value = |key: &str| entry.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let magic: String = header(arch).iter().map(|byte| format!("{byte:02x}")).collect();
    entry.starts_with("enabled") && value("flags: ").contains('F') && value("magic ") == magic
}

/// How programs of the processor begin: 64-bit, little-endian, executable (elf(5)).
fn header(arch: Arch) -> [u8; 20] {
    let mut header = [0; 20];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    header[16] = 2;
    header[18..].copy_from_slice(&arch.elf().to_le_bytes());
    header
}

/// With the interpreter opened now (F), the arguments kept as they are (P), and the rights of the program (O). As QEMU's own
/// `qemu-binfmt-conf.sh` has it: the system's field of the header counts for nothing, and a shared object is a program, too.
fn registration(name: &str, arch: Arch) -> String {
    let escaped = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let mut mask = [0xff; 20];
    (mask[7], mask[16]) = (0, 0xfe);
    let (magic, mask, machine) = (escaped(&header(arch)), escaped(&mask), arch.machine());
    format!(":{name}:M::{magic}:{mask}:/usr/bin/qemu-{machine}-static:OPF")
}

#[cfg(test)]
mod tests {
    use super::{is_for, registration};
    use crate::arch::Arch;

    /// Of Debian 12 with systemd.
    const ENTRY: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

    #[test]
    fn a_machines_own_interpreter_is_known() {
        assert!(is_for(ENTRY, Arch::Aarch64) && !is_for(ENTRY, Arch::X86_64));
        assert!(!is_for(&ENTRY.replace("POF", "PO"), Arch::Aarch64));
        assert!(!is_for(&ENTRY.replace("enabled", "disabled"), Arch::Aarch64));
    }

    #[test]
    fn ours_is_registered_as_qemu_s_own_list_has_it() {
        let line = registration("dind-arm64-7-0", Arch::Aarch64);
        let header = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
        let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
        assert_eq!(line, format!(":dind-arm64-7-0:M::{header}:{mask}:/usr/bin/qemu-aarch64-static:OPF"));
    }
}
