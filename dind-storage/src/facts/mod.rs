//! What the machine is like. Everything is read below a root, so that a captured machine can stand in for a real one;
//! `/.dind/overlay-probe` and `/.dind/available-bytes` there hold what no file of a real machine says.

use crate::document::{Health, ProbeSource, Space};
use crate::image::{self, Found};
use crate::mounts::{self, Mount};
use crate::options::Options;
use crate::probe::{self, Verdict};
use crate::{device, fault, health, paths};
use dind_contract::{Fault, Root};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the probe of a captured machine said: `holds`, or why overlay does not work.
const CAPTURED_PROBE: &str = "/.dind/overlay-probe";
/// What could be written on a captured machine, in bytes.
const CAPTURED_SPACE: &str = "/.dind/available-bytes";

/// CAP_SYS_ADMIN (linux/capability.h).
const SYS_ADMIN: u32 = 21;
/// CAP_SYS_RESOURCE (linux/capability.h).
const SYS_RESOURCE: u32 = 24;

/// What the machine is like.
#[derive(Clone, Debug)]
pub struct Facts {
    /// File systems that the kernel knows by now.
    pub kernel: BTreeSet<String>,
    /// The data root, with links resolved once.
    pub data_root: Folder,
    /// Whether overlay works in the data root's file system.
    pub overlay: Verdict,
    /// Where that verdict comes from.
    pub probe: ProbeSource,
    /// Whether there is /dev/fuse.
    pub fuse: bool,
    /// How the file system that carries the data root fares.
    pub health: Health,
    /// The image on the data root, if it is mounted there.
    pub mounted: Option<Mounted>,
    /// Whether the kernel lets us grow an ext4 that is mounted.
    pub grows_mounted_ext4: bool,
    /// What lies under the image's name; the fault is why it cannot be used.
    pub image: Option<Result<Found, Fault>>,
    /// Where the image lies or would lie.
    pub image_folder: Folder,
}

/// A folder that may not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// The mount that carries it, or would.
    pub mount: Mount,
    /// Whether nothing is in it (a fresh file system's `lost+found` is nothing).
    pub empty: bool,
    /// Room in its file system, where that is known.
    pub space: Option<Space>,
}

impl Folder {
    /// Whether a loop device is mounted at exactly this point.
    #[must_use]
    pub fn is_on_other_loop(&self) -> bool {
        self.mount.point == self.path && self.mount.device.0 == device::MAJOR
    }
}

/// Our image, mounted on the data root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The loop device's number.
    pub number: i32,
    /// The mount.
    pub mount: Mount,
    /// What the device is attached to, where it could be asked.
    pub backing: Option<device::Backing>,
}

impl Mounted {
    /// `/dev/loopN`.
    #[must_use]
    pub fn device(&self) -> PathBuf {
        PathBuf::from(format!("/dev/loop{}", self.number))
    }
}

/// Looks at the machine. The overlay probe mounts in a namespace of its own and leaves nothing.
///
/// # Errors
/// What every machine has cannot be read.
pub fn observe(root: &Root, options: &Options) -> Result<Facts, Fault> {
    let path = resolved(root, &options.data_root);
    let mounts = mounts(root)?;
    let data_root = folder(root, &mounts, path)?;
    let image_folder = folder(root, &mounts, options.image.parent().unwrap_or(Path::new("/")).to_owned())?;
    let mounted = mounted(root, &mounts, &data_root.path, &options.image);
    let (overlay, probe) = if mounted.is_some() || !options.may_be_native_overlay() {
        (Verdict::NotRun("the data root is not used by itself".to_owned()), ProbeSource::NotNeeded)
    } else {
        overlay(root, &data_root)?
    };
    Ok(Facts {
        // After the probe: its mount makes the kernel load overlay, where that is a module.
        kernel: filesystems(&read(root, "/proc/filesystems")?),
        overlay,
        probe,
        fuse: root.exists("/dev/fuse"),
        health: health::of(root, &data_root.mount),
        mounted,
        grows_mounted_ext4: has_capability(root, SYS_RESOURCE)?,
        image: existing_image(root, &options.image),
        data_root,
        image_folder,
    })
}

/// The mounts of this process' namespace.
///
/// # Errors
/// They cannot be read.
pub fn mounts(root: &Root) -> Result<Vec<Mount>, Fault> {
    Ok(mounts::parse(&read(root, "/proc/self/mountinfo")?))
}

/// The image on the data root, known by device and inode of the file behind the loop device: paths are as they were
/// seen elsewhere. Only where the device may not be asked, or the file has lost its name, does the path decide.
#[must_use]
pub fn mounted(root: &Root, mounts: &[Mount], data_root: &Path, image: &Path) -> Option<Mounted> {
    let mount = mounts::at(mounts, data_root).filter(|mount| mount.device.0 == device::MAJOR)?;
    let number = mount.source.strip_prefix("/dev/loop")?.parse().ok()?;
    let backing = if root.is_host() { device::backing(number).ok().flatten() } else { None };
    let ours = match (backing, fs::symlink_metadata(root.path(image))) {
        (Some(backing), Ok(file)) => (backing.device, backing.inode) == (file.dev(), file.ino()),
        _ => {
            let behind = root.read(device::backing_file(number)).ok()?;
            let behind = behind.trim_end_matches('\n');
            Path::new(behind.strip_suffix(" (deleted)").unwrap_or(behind)) == image
        }
    };
    ours.then(|| Mounted { number, mount: mount.clone(), backing })
}

/// Links are followed once, here; what comes after goes by this path and follows none.
#[must_use]
pub fn resolved(root: &Root, path: &Path) -> PathBuf {
    if !root.is_host() {
        return path.to_owned();
    }
    let existing = existing(root, path);
    let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
    existing.canonicalize().map_or_else(|_| path.to_owned(), |real| real.join(rest).components().collect())
}

fn existing<'a>(root: &Root, path: &'a Path) -> &'a Path {
    path.ancestors().find(|path| root.exists(path)).unwrap_or(Path::new("/"))
}

fn folder(root: &Root, mounts: &[Mount], path: PathBuf) -> Result<Folder, Fault> {
    let mount = mounts::carrying(mounts, &path).cloned().ok_or_else(|| {
        let fault = fault::FACTS_UNREADABLE.cannot("find", path.display(), "no mount carries it");
        fault.hint("mount /proc in the container")
    })?;
    let inside = root.list(&path).unwrap_or_default();
    Ok(Folder {
        empty: inside.iter().all(|name| name == "lost+found"),
        space: space(root, &path),
        mount,
        path,
    })
}

fn space(root: &Root, path: &Path) -> Option<Space> {
    if root.is_host() {
        let stat = statvfs(existing(root, path)).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
        return Some(Space {
            total_bytes: bytes(stat.blocks()),
            used_bytes: bytes(stat.blocks().saturating_sub(stat.blocks_free())),
            available_bytes: bytes(stat.blocks_available()),
            needed_bytes: 0,
        });
    }
    let bytes = root.read(CAPTURED_SPACE).ok()?.trim().parse().ok()?;
    Some(Space { total_bytes: bytes, used_bytes: 0, available_bytes: bytes, needed_bytes: 0 })
}

fn overlay(root: &Root, data_root: &Folder) -> Result<(Verdict, ProbeSource), Fault> {
    if !root.is_host() {
        let Some(text) = root.read_opt(CAPTURED_PROBE).map_err(|error| unreadable(CAPTURED_PROBE, error))?
        else {
            return Ok((Verdict::NotRun("the machine is a captured one".to_owned()), ProbeSource::NotRun));
        };
        let verdict = match text.trim() {
            "holds" => Verdict::Holds,
            reason => Verdict::Fails(reason.to_owned()),
        };
        return Ok((verdict, ProbeSource::Captured));
    }
    if !nix::unistd::geteuid().is_root() || !has_sys_admin(root)? {
        return Ok((Verdict::NotRun("it takes root and CAP_SYS_ADMIN".to_owned()), ProbeSource::NotRun));
    }
    let verdict = probe::run(existing(root, &data_root.path));
    let source = if matches!(verdict, Verdict::NotRun(_)) { ProbeSource::NotRun } else { ProbeSource::Run };
    Ok((verdict, source))
}

/// Whether the caller may mount.
///
/// # Errors
/// /proc/self/status cannot be read.
pub fn has_sys_admin(root: &Root) -> Result<bool, Fault> {
    has_capability(root, SYS_ADMIN)
}

fn has_capability(root: &Root, number: u32) -> Result<bool, Fault> {
    let status = read(root, "/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    Ok(mask
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> number & 1 == 1))
}

/// What lies under the image's name; the fault is why it cannot be used.
pub(crate) fn existing_image(root: &Root, path: &Path) -> Option<Result<Found, Fault>> {
    let opened = if root.is_host() { opened_image(path) } else { captured_image(root, path) };
    opened.transpose().map(|opened| opened.and_then(|file| image::examine(&file, path)))
}

/// As an apply opens it: whatever it would refuse, a plan refuses too.
fn opened_image(path: &Path) -> Result<Option<File>, Fault> {
    let (folder, _) = paths::split(path)?;
    match paths::open_folder(folder) {
        Ok(folder) => image::open(&folder, path, OFlag::O_RDONLY),
        Err(error @ (Errno::ELOOP | Errno::ENOTDIR)) => Err(paths::unusable(folder, error)),
        // It is not there, or this caller may not look.
        Err(_) => Ok(None),
    }
}

/// The owner of a captured machine's files is whoever captured it.
fn captured_image(root: &Root, path: &Path) -> Result<Option<File>, Fault> {
    let real = root.path(path);
    if !fs::symlink_metadata(&real).is_ok_and(|file| file.is_file()) {
        return Ok(None);
    }
    File::open(&real).map(Some).map_err(|error| {
        fault::IMAGE_UNREADABLE
            .cannot("read", path.display(), error)
            .hint("look at the captured machine's files")
    })
}

fn filesystems(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

fn read(root: &Root, path: &str) -> Result<String, Fault> {
    root.read(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &str, error: std::io::Error) -> Fault {
    fault::FACTS_UNREADABLE.cannot("read", path, error).hint("mount /proc in the container")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_the_kernel() {
        let found = filesystems("nodev\tsysfs\n\text4\nnodev\toverlay\n\n");
        assert!(found.contains("ext4") && found.contains("overlay") && found.contains("sysfs"));
        assert_eq!(found.len(), 3);
    }
}
