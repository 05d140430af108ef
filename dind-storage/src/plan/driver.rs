//! Which storage driver, on what: candidates in order, and why each before the first that works does not work.

use crate::facts::Facts;
use crate::facts::overlay_probe::Verdict;
use crate::fault;
use crate::options::Options;
use crate::plan::mount_flags;
use crate::report::{Backing, Driver, PassedOver};
use dind_contract::Fault;

/// File systems that overlay is known not to work on as its upper layer, for when it cannot be tried: layered ones, and
/// those without the attributes or file types that it needs
/// (Documentation/filesystems/overlayfs.rst, "Upper and lower").
const NO_UPPER: &[&str] = &[
    "overlay", "aufs", "ecryptfs", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse", "vfat", "exfat",
    "zfs",
];

/// The first combination that works here.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The driver.
    pub driver: Driver,
    /// What lies beneath it.
    pub backing: Backing,
    /// Those before it, each with the reason against it.
    pub passed_over: Vec<PassedOver>,
}

/// Chooses.
///
/// # Errors
/// None works, or the one that was asked for does not.
pub fn choose(facts: &Facts, options: &Options) -> Result<Choice, Fault> {
    use Backing::{Loop, Native};
    use Driver::{Aufs, Btrfs, Overlay2, Zfs};
    if facts.mounted.is_some() && options.backing == Some(Native) {
        let fault =
            fault::IMAGE_MOUNTED.cannot("use", facts.data_root.path.display(), "an image is mounted on it");
        return Err(fault.hint("run `dind-storage release` first, or set DIND_STORAGE_BACKING=auto"));
    }
    let candidates = match options.driver {
        Some(driver) => vec![(driver, Native), (driver, Loop)],
        None => vec![
            (Overlay2, Native),
            (Btrfs, Native),
            (Zfs, Native),
            (Overlay2, Loop),
            (Aufs, Native),
            (Aufs, Loop),
        ],
    };
    let mut passed_over = Vec::new();
    for (driver, backing) in candidates {
        let allowed = options.backing.is_none_or(|asked| asked == backing);
        // The data root is on the mounted image now.
        if !allowed || (facts.mounted.is_some() && backing == Native) {
            continue;
        }
        match obstacle(driver, backing, facts) {
            None => return Ok(Choice { driver, backing, passed_over }),
            Some(reason) => passed_over.push(PassedOver { driver, backing, reason }),
        }
    }
    Err(nothing_works(facts, options, &passed_over))
}

/// Why a combination does not work here; nothing where it does.
fn obstacle(driver: Driver, backing: Backing, facts: &Facts) -> Option<String> {
    let beneath = facts.data_root.mount.kind.as_str();
    // The kernel mounts ext4 and xfs only for root of the machine (FS_USERNS_MOUNT, include/linux/fs.h).
    if backing == Backing::Loop && facts.in_user_namespace && facts.mounted.is_none() {
        return Some("root of a user namespace cannot mount a loop device".to_owned());
    }
    if backing == Backing::Native
        && let Some(reason) = mount_flags::obstacle(driver, facts)
    {
        return Some(reason);
    }
    let kernel_without =
        |name: &str| (!facts.kernel.contains(name)).then(|| format!("the kernel does not support {name}"));
    match (driver, backing) {
        (Driver::Overlay2, Backing::Native) => kernel_without("overlay").or_else(|| match &facts.overlay {
            Verdict::Holds => None,
            Verdict::Fails(reason) => Some(format!("on {beneath}, {reason}")),
            Verdict::NotRun(_) => NO_UPPER
                .contains(&base_type(beneath))
                .then(|| format!("overlay is known to fail on {beneath}")),
        }),
        (Driver::Overlay2, Backing::Loop) => kernel_without("overlay"),
        // aufs refuses itself and overlay as a writable branch (aufs(5), "Branch").
        (Driver::Aufs, Backing::Native) => kernel_without("aufs").or_else(|| {
            matches!(beneath, "aufs" | "overlay").then(|| format!("aufs does not work on {beneath}"))
        }),
        (Driver::Aufs, Backing::Loop) => kernel_without("aufs"),
        (Driver::Btrfs | Driver::Zfs, Backing::Native) => {
            (beneath != driver.name()).then(|| format!("the data root lies on {beneath}"))
        }
        (Driver::Btrfs | Driver::Zfs, Backing::Loop) => Some("images are made with ext4 or xfs".to_owned()),
        (Driver::FuseOverlayfs, _) => (!facts.fuse).then(|| "/dev/fuse cannot be opened".to_owned()),
        (Driver::Vfs, _) => None,
    }
}

/// `fuse.sshfs` is a kind of `fuse`.
fn base_type(kind: &str) -> &str {
    kind.split('.').next().unwrap_or(kind)
}

fn nothing_works(facts: &Facts, options: &Options, passed_over: &[PassedOver]) -> Fault {
    let object = options.data_root.display();
    // What a data root in the container's own layer can be where no loop image can be mounted.
    let unset = if options.backing == Some(Backing::Loop) { "unset DIND_STORAGE_BACKING, and " } else { "" };
    let volume = format!("{unset}mount a volume on it: docker run --volume {object}");
    let needs_volume = facts.in_user_namespace && facts.data_root.is_in_layer();
    let mut fault = match options.driver {
        Some(driver) => {
            let hint = match driver {
                Driver::FuseOverlayfs if !facts.fuse => "run the container with --device /dev/fuse",
                _ if needs_volume => &volume,
                _ if options.backing.is_some() => "set DIND_STORAGE_BACKING=auto",
                _ => "set DIND_STORAGE_DRIVER=auto",
            };
            let cause = format!("{driver} does not work here");
            fault::DRIVER_UNUSABLE.cannot("prepare", object, cause).hint(hint)
        }
        None => {
            let hint = match options.backing {
                _ if needs_volume => &volume,
                Some(Backing::Native) => "set DIND_STORAGE_BACKING=auto, or mount a volume on the data root",
                _ => "use a kernel with overlay, or set DIND_STORAGE_DRIVER=vfs, which copies every layer",
            };
            fault::NO_DRIVER.cannot("prepare", object, "no storage driver works here").hint(hint)
        }
    };
    for PassedOver { driver, backing, reason } in passed_over {
        let backing = if *backing == Backing::Native { "native" } else { "loop" };
        fault = fault.cause(format!("{driver} ({backing}): {reason}"));
    }
    fault
}
