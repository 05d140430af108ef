//! The errors and warnings of `dind-storage`.

use dind_contract::{Code, ExitCode};

/// A size is invalid, or too small for a file system.
pub const SIZE_INVALID: Code = Code::new("size-invalid", ExitCode::Config);
/// An unknown storage driver.
pub const DRIVER_UNKNOWN: Code = Code::new("driver-unknown", ExitCode::Config);
/// An unknown image store.
pub const STORE_UNKNOWN: Code = Code::new("store-unknown", ExitCode::Config);
/// A version of the engine that does not start with a number.
pub const ENGINE_VERSION_INVALID: Code = Code::new("engine-version-invalid", ExitCode::Config);
/// The requested image store does not work here.
pub const STORE_UNUSABLE: Code = Code::new("store-unusable", ExitCode::Config);
/// The image store cannot be chosen by a flag of this engine.
pub const STORE_NOT_A_FLAG: Code = Code::new("store-not-a-flag", ExitCode::Config);
/// An unknown backing.
pub const BACKING_UNKNOWN: Code = Code::new("backing-unknown", ExitCode::Config);
/// Images are not made with this file system.
pub const FILESYSTEM_UNKNOWN: Code = Code::new("filesystem-unknown", ExitCode::Config);
/// Neither true nor false.
pub const BOOLEAN_INVALID: Code = Code::new("boolean-invalid", ExitCode::Config);
/// A path is relative, contains `..`, or does not name a file.
pub const PATH_INVALID: Code = Code::new("path-invalid", ExitCode::Config);
/// A path leads through a symbolic link, or through something that is not a directory.
pub const PATH_UNSAFE: Code = Code::new("path-unsafe", ExitCode::Config);
/// The data root is `/` or a system directory.
pub const DATA_ROOT_UNSAFE: Code = Code::new("data-root-unsafe", ExitCode::Config);
/// A mount would hide the files in the data root.
pub const DATA_ROOT_NOT_EMPTY: Code = Code::new("data-root-not-empty", ExitCode::Config);
/// Another node or engine has the data root.
pub const DATA_ROOT_IN_USE: Code = Code::new("data-root-in-use", ExitCode::InUse);
/// Another image is mounted on the data root.
pub const DATA_ROOT_MOUNTED: Code = Code::new("data-root-mounted", ExitCode::Config);
/// The image is mounted, and the options ask for the data root as it is.
pub const IMAGE_MOUNTED: Code = Code::new("image-mounted", ExitCode::Config);
/// The image's file is not root's alone: owner, mode, links or type.
pub const IMAGE_UNSAFE: Code = Code::new("image-unsafe", ExitCode::Config);
/// The golden image does not exist.
pub const GOLDEN_IMAGE_MISSING: Code = Code::new("golden-image-missing", ExitCode::Config);
/// The golden image has errors, or was not unmounted.
pub const GOLDEN_IMAGE_UNCLEAN: Code = Code::new("golden-image-unclean", ExitCode::Config);
/// The golden image is that of a member of a swarm.
pub const GOLDEN_IMAGE_SWARM: Code = Code::new("golden-image-swarm", ExitCode::Config);
/// The file under the image's name is not an image of ours.
pub const IMAGE_FOREIGN: Code = Code::new("image-foreign", ExitCode::Config);
/// The image is shorter than its file system, or has errors that cannot be repaired automatically.
pub const IMAGE_BROKEN: Code = Code::new("image-broken", ExitCode::Io);
/// Another process has the image attached, or is making it.
pub const IMAGE_IN_USE: Code = Code::new("image-in-use", ExitCode::InUse);
/// The image cannot be made.
pub const IMAGE_NOT_MADE: Code = Code::new("image-not-made", ExitCode::CannotCreate);
/// The image cannot be opened or read.
pub const IMAGE_UNREADABLE: Code = Code::new("image-unreadable", ExitCode::Io);
/// The image cannot be made larger.
pub const IMAGE_NOT_GROWN: Code = Code::new("image-not-grown", ExitCode::Io);
/// The requested size is smaller than the image.
pub const SIZE_SHRINKS: Code = Code::new("size-shrinks", ExitCode::Config);
/// The image does not fit.
pub const SPACE_SHORT: Code = Code::new("space-short", ExitCode::CannotCreate);
/// The file system below cannot reserve space.
pub const RESERVE_UNSUPPORTED: Code = Code::new("reserve-unsupported", ExitCode::CannotCreate);
/// A directory cannot be made.
pub const DIRECTORY_NOT_MADE: Code = Code::new("directory-not-made", ExitCode::CannotCreate);
/// A helper program is not installed.
pub const HELPER_MISSING: Code = Code::new("helper-missing", ExitCode::Config);
/// No storage driver works on this machine.
pub const NO_DRIVER: Code = Code::new("no-driver", ExitCode::Config);
/// The requested driver does not work here.
pub const DRIVER_UNUSABLE: Code = Code::new("driver-unusable", ExitCode::Config);
/// `/dev/loop-control` does not exist.
pub const LOOP_CONTROL_MISSING: Code = Code::new("loop-control-missing", ExitCode::Privilege);
/// `/dev/loop-control` may not be opened.
pub const LOOP_CONTROL_DENIED: Code = Code::new("loop-control-denied", ExitCode::Privilege);
/// A loop device may not be made or opened.
pub const LOOP_DEVICE_DENIED: Code = Code::new("loop-device-denied", ExitCode::Privilege);
/// Something else lies where a loop device should be.
pub const LOOP_DEVICE_FOREIGN: Code = Code::new("loop-device-foreign", ExitCode::Config);
/// Other processes took every free loop device before we got one.
pub const LOOP_DEVICES_BUSY: Code = Code::new("loop-devices-busy", ExitCode::InUse);
/// The kernel refuses to attach the image.
pub const ATTACH_FAILED: Code = Code::new("attach-failed", ExitCode::Io);
/// The kernel refuses the mount.
pub const MOUNT_FAILED: Code = Code::new("mount-failed", ExitCode::Io);
/// The kernel refuses to unmount.
pub const UNMOUNT_FAILED: Code = Code::new("unmount-failed", ExitCode::Io);
/// Processes still use the file system that is to be released.
pub const STILL_IN_USE: Code = Code::new("still-in-use", ExitCode::Io);
/// The file system met errors while it was mounted.
pub const FILESYSTEM_ERRORS: Code = Code::new("filesystem-errors", ExitCode::Io);
/// A fact about the machine cannot be read.
pub const FACTS_UNREADABLE: Code = Code::new("facts-unreadable", ExitCode::Io);
/// The caller is not root.
pub const NOT_ROOT: Code = Code::new("not-root", ExitCode::Privilege);
/// `CAP_SYS_ADMIN` is missing.
pub const CAP_SYS_ADMIN_MISSING: Code = Code::new("cap-sys-admin-missing", ExitCode::Privilege);
/// `DIND_ROOT` names another machine, and the verb changes this one.
pub const ROOT_IS_FAKE: Code = Code::new("root-is-fake", ExitCode::Config);
/// A seed that was given is not there.
pub const SEED_MISSING: Code = Code::new("seed-missing", ExitCode::Config);
/// Others than root may change a seed, or it belongs to others.
pub const SEED_UNSAFE: Code = Code::new("seed-unsafe", ExitCode::Config);
/// What was given as a seed is none, is damaged, or has a newer format.
pub const SEED_INVALID: Code = Code::new("seed-invalid", ExitCode::Config);
/// A seed does not fit the driver, the engine's image store, or the file system that it lies on.
pub const SEED_UNSUITABLE: Code = Code::new("seed-unsuitable", ExitCode::Config);
/// Containers need layers of a seed that is gone.
pub const SEED_NEEDED: Code = Code::new("seed-needed", ExitCode::Config);
/// What should happen to containers that need a seed that is gone is unknown.
pub const MISSING_UNKNOWN: Code = Code::new("missing-unknown", ExitCode::Config);
/// The images of a seed cannot be brought into the data root, or its record cannot be read.
pub const SEED_NOT_MERGED: Code = Code::new("seed-not-merged", ExitCode::Io);
/// There is something under the name that a new seed is to have.
pub const SEED_EXISTS: Code = Code::new("seed-exists", ExitCode::CannotCreate);
/// Another process is making a seed.
pub const SEED_IN_USE: Code = Code::new("seed-in-use", ExitCode::InUse);
/// A seed cannot be made.
pub const SEED_NOT_MADE: Code = Code::new("seed-not-made", ExitCode::CannotCreate);
/// An unknown format of seeds.
pub const FORMAT_UNKNOWN: Code = Code::new("format-unknown", ExitCode::Config);
/// No image has this name, or several have.
pub const IMAGE_UNKNOWN: Code = Code::new("image-unknown", ExitCode::Config);
/// The data root has no images, or those of another image store.
pub const DATA_ROOT_UNSUITABLE: Code = Code::new("data-root-unsuitable", ExitCode::Config);
/// The images in the data root are not whole.
pub const DATA_ROOT_BROKEN: Code = Code::new("data-root-broken", ExitCode::Io);

/// All codes; README.md explains each.
pub const CODES: &[Code] = &[
    SIZE_INVALID,
    DRIVER_UNKNOWN,
    STORE_UNKNOWN,
    ENGINE_VERSION_INVALID,
    STORE_UNUSABLE,
    STORE_NOT_A_FLAG,
    BACKING_UNKNOWN,
    FILESYSTEM_UNKNOWN,
    BOOLEAN_INVALID,
    PATH_INVALID,
    PATH_UNSAFE,
    DATA_ROOT_UNSAFE,
    DATA_ROOT_NOT_EMPTY,
    DATA_ROOT_IN_USE,
    DATA_ROOT_MOUNTED,
    IMAGE_MOUNTED,
    IMAGE_UNSAFE,
    GOLDEN_IMAGE_MISSING,
    GOLDEN_IMAGE_UNCLEAN,
    GOLDEN_IMAGE_SWARM,
    IMAGE_FOREIGN,
    IMAGE_BROKEN,
    IMAGE_IN_USE,
    IMAGE_NOT_MADE,
    IMAGE_UNREADABLE,
    IMAGE_NOT_GROWN,
    SIZE_SHRINKS,
    SPACE_SHORT,
    RESERVE_UNSUPPORTED,
    DIRECTORY_NOT_MADE,
    HELPER_MISSING,
    NO_DRIVER,
    DRIVER_UNUSABLE,
    LOOP_CONTROL_MISSING,
    LOOP_CONTROL_DENIED,
    LOOP_DEVICE_DENIED,
    LOOP_DEVICE_FOREIGN,
    LOOP_DEVICES_BUSY,
    ATTACH_FAILED,
    MOUNT_FAILED,
    UNMOUNT_FAILED,
    STILL_IN_USE,
    FILESYSTEM_ERRORS,
    FACTS_UNREADABLE,
    NOT_ROOT,
    CAP_SYS_ADMIN_MISSING,
    ROOT_IS_FAKE,
    SEED_MISSING,
    SEED_UNSAFE,
    SEED_INVALID,
    SEED_UNSUITABLE,
    SEED_NEEDED,
    MISSING_UNKNOWN,
    SEED_NOT_MERGED,
    SEED_EXISTS,
    SEED_IN_USE,
    SEED_NOT_MADE,
    FORMAT_UNKNOWN,
    IMAGE_UNKNOWN,
    DATA_ROOT_UNSUITABLE,
    DATA_ROOT_BROKEN,
];

/// The driver was chosen by the file system's type: the probe could not be run.
pub const PROBE_NOT_RUN: &str = "probe-not-run";
/// The image lies in the container's own layer, and is removed with it.
pub const IMAGE_ON_OVERLAY: &str = "image-on-overlay";
/// The image's space is not reserved.
pub const IMAGE_SPARSE: &str = "image-sparse";
/// The image shares blocks with the one that it was cloned from, and they are not reserved.
pub const IMAGE_SHARES_BLOCKS: &str = "image-shares-blocks";
/// The data root also holds images of the store that is not used.
pub const IMAGES_NOT_SEEN: &str = "images-not-seen";
/// The engine will not see the images of seeds.
pub const SEED_NOT_USED: &str = "seed-not-used";
/// The image has another file system than requested.
pub const FILESYSTEM_KEPT: &str = "filesystem-kept";
/// The image is mounted and can only grow at the next start.
pub const GROW_DEFERRED: &str = "grow-deferred";
/// Direct I/O does not work here: pages are cached twice.
pub const BUFFERED_IO: &str = "buffered-io";
/// The mount that holds the data root no longer propagates mounts to other namespaces.
pub const PROPAGATION_STOPPED: &str = "propagation-stopped";
/// The data root is a mount that is not ours, and was left alone.
pub const MOUNT_NOT_OURS: &str = "mount-not-ours";
/// Options that have no effect here.
pub const OPTION_IGNORED: &str = "option-ignored";
/// Less than a tenth of the data root is left.
pub const SPACE_LOW: &str = "space-low";
/// Single containers have no quotas, though the data lies on xfs.
pub const QUOTA_UNAVAILABLE: &str = "quota-unavailable";
/// The file system has met errors, or is read-only. The error [`FILESYSTEM_ERRORS`] reports the same at a release.
pub const FILESYSTEM_HAS_ERRORS: &str = FILESYSTEM_ERRORS.name;

/// The mount that holds the data root has flags that inner containers notice.
pub const MOUNT_FLAGS: &str = "mount-flags";

/// Images of a seed went with it.
pub const SEED_IMAGES_REMOVED: &str = "seed-images-removed";
/// Images or containers of the user's own wait for a seed that is gone.
pub const SEED_IMAGES_SET_ASIDE: &str = "seed-images-set-aside";

/// All warnings; README.md explains each.
pub const WARNINGS: &[&str] = &[
    PROBE_NOT_RUN,
    IMAGE_ON_OVERLAY,
    IMAGE_SPARSE,
    IMAGE_SHARES_BLOCKS,
    IMAGES_NOT_SEEN,
    SEED_NOT_USED,
    FILESYSTEM_KEPT,
    GROW_DEFERRED,
    BUFFERED_IO,
    PROPAGATION_STOPPED,
    MOUNT_NOT_OURS,
    MOUNT_FLAGS,
    OPTION_IGNORED,
    SPACE_LOW,
    QUOTA_UNAVAILABLE,
    FILESYSTEM_HAS_ERRORS,
    SEED_IMAGES_REMOVED,
    SEED_IMAGES_SET_ASIDE,
];
