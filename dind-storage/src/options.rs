//! Flags and variables, read: everything that can be wrong about them is found here, before anything changes.

use crate::cli::Wanted;
use crate::document::{Backing, Driver};
use crate::{fault, paths, size};
use dind_contract::cli::given;
use dind_contract::{Code, Fault, value};
use std::path::PathBuf;

/// File systems that an image can be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFilesystem {
    /// The default.
    Ext4,
    /// Needs `mkfs.xfs` and 300 MiB.
    Xfs,
}

impl ImageFilesystem {
    /// As mount(8) spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the engine keeps its data; absolute, without `..`.
    pub data_root: PathBuf,
    /// The loop image; absolute, without `..`.
    pub image: PathBuf,
    /// The image's size in bytes, if it was named: an image that is there is only grown on request.
    pub size: Option<u64>,
    /// The driver, if it was named.
    pub driver: Option<Driver>,
    /// The backing, if it was named.
    pub backing: Option<Backing>,
    /// For a new image.
    pub filesystem: ImageFilesystem,
    /// For a new image.
    pub sparse: bool,
}

impl Options {
    /// Whether overlay in the data root's own file system is among the choices: only then it has to be tried.
    #[must_use]
    pub fn may_be_native_overlay(&self) -> bool {
        self.backing != Some(Backing::Loop) && self.driver.is_none_or(|driver| driver == Driver::Overlay2)
    }

    /// Reads flags and variables.
    ///
    /// # Errors
    /// Names the first that cannot be read.
    pub fn read(text: &Wanted) -> Result<Self, Fault> {
        let filesystem = filesystem(given(text.filesystem.as_ref()))?;
        Ok(Self {
            data_root: data_root(given(text.data_root.as_ref()).unwrap_or("/var/lib/docker"))?,
            image: path("DIND_STORAGE_IMAGE", given(text.image.as_ref()).unwrap_or("/data/docker"))?,
            size: given(text.size.as_ref()).map(|text| read_size(text, filesystem)).transpose()?,
            driver: driver(given(text.driver.as_ref()))?,
            backing: backing(given(text.backing.as_ref()))?,
            filesystem,
            sparse: given(text.sparse.as_ref()).map_or(Ok(false), sparse)?,
        })
    }
}

fn read_size(text: &str, filesystem: ImageFilesystem) -> Result<u64, Fault> {
    // mkfs.xfs 5.19 and later refuse less than 300 MB.
    const XFS_MINIMUM: u64 = 300 << 20;
    size::parse(text)
        .and_then(|bytes| match filesystem {
            ImageFilesystem::Xfs if bytes < XFS_MINIMUM => {
                Err("it is less than the 300MiB that xfs takes".to_owned())
            }
            _ => Ok(bytes),
        })
        .map_err(|cause| {
            let fault = fault::SIZE_INVALID.cannot("read VAR_LIB_DOCKER_SIZE", text, cause);
            fault.hint("set VAR_LIB_DOCKER_SIZE=5 for 5 GiB, or give a unit: 20GiB, 512MiB, 5GB")
        })
}

fn driver(text: Option<&str>) -> Result<Option<Driver>, Fault> {
    let Some(text) = text.filter(|text| *text != "auto") else { return Ok(None) };
    let found = Driver::ALL.into_iter().find(|driver| driver.name() == text);
    let names = format!("auto, {}", Driver::ALL.map(Driver::name).join(", "));
    found.map(Some).ok_or_else(|| unknown(fault::DRIVER_UNKNOWN, "DIND_STORAGE_DRIVER", text, &names))
}

fn backing(text: Option<&str>) -> Result<Option<Backing>, Fault> {
    match text {
        None | Some("auto") => Ok(None),
        Some("native") => Ok(Some(Backing::Native)),
        Some("loop") => Ok(Some(Backing::Loop)),
        Some(text) => {
            Err(unknown(fault::BACKING_UNKNOWN, "DIND_STORAGE_BACKING", text, "auto, native, loop"))
        }
    }
}

fn filesystem(text: Option<&str>) -> Result<ImageFilesystem, Fault> {
    match text {
        None | Some("ext4") => Ok(ImageFilesystem::Ext4),
        Some("xfs") => Ok(ImageFilesystem::Xfs),
        Some(text) => Err(unknown(fault::FILESYSTEM_UNKNOWN, "DIND_STORAGE_FS", text, "ext4, xfs")),
    }
}

fn sparse(text: &str) -> Result<bool, Fault> {
    value::boolean(text).map_err(|cause| {
        let fault = fault::BOOLEAN_INVALID.cannot("read DIND_STORAGE_SPARSE", text, cause);
        fault.hint("set DIND_STORAGE_SPARSE=true, or leave it out to reserve the space")
    })
}

fn data_root(text: &str) -> Result<PathBuf, Fault> {
    let path = path("DIND_DATA_ROOT", text)?;
    if paths::is_system_folder(&path) { Err(system_folder(&path)) } else { Ok(path) }
}

/// The data root is a folder that holds more than the engine's data.
pub(crate) fn system_folder(path: &std::path::Path) -> Fault {
    let cause = "it is a folder of the system";
    let fault = fault::DATA_ROOT_UNSAFE.cannot("use as data root", path.display(), cause);
    fault.hint("set DIND_DATA_ROOT to a folder of its own, such as /var/lib/docker or /srv/docker")
}

fn path(name: &str, text: &str) -> Result<PathBuf, Fault> {
    paths::plain(text).map_err(|cause| {
        let fault = fault::PATH_INVALID.cannot(&format!("read {name}"), text, cause);
        fault.hint(format!("set {name} to an absolute path without `..`"))
    })
}

fn unknown(code: Code, name: &str, text: &str, names: &str) -> Fault {
    let fault = code.cannot(&format!("read {name}"), text, "there is no such choice");
    fault.hint(format!("set {name} to one of: {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(wanted: Wanted) -> &'static str {
        Options::read(&wanted).unwrap_err().code.name
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn defaults_and_empty_variables() {
        let empty = Wanted { size: some(""), driver: some(" "), ..Wanted::default() };
        let options = Options::read(&empty).unwrap();
        assert_eq!(options, Options::read(&Wanted::default()).unwrap());
        assert_eq!(options.data_root, PathBuf::from("/var/lib/docker"));
        assert_eq!(
            (options.size, options.driver, options.backing, options.sparse),
            (None, None, None, false)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(code(Wanted { size: some("abc"), ..Wanted::default() }), "size-invalid");
        let xfs = Wanted { size: some("128MiB"), filesystem: some("xfs"), ..Wanted::default() };
        assert_eq!(code(xfs), "size-invalid");
        assert_eq!(code(Wanted { driver: some("overlay3"), ..Wanted::default() }), "driver-unknown");
        assert_eq!(code(Wanted { backing: some("zram"), ..Wanted::default() }), "backing-unknown");
        assert_eq!(code(Wanted { filesystem: some("ntfs"), ..Wanted::default() }), "filesystem-unknown");
        assert_eq!(code(Wanted { sparse: some("perhaps"), ..Wanted::default() }), "boolean-invalid");
        assert_eq!(code(Wanted { image: some("data/docker"), ..Wanted::default() }), "path-invalid");
        assert_eq!(code(Wanted { data_root: some("/srv/../etc"), ..Wanted::default() }), "path-invalid");
        for folder in ["/", "/etc", "/usr/share/docker", "/proc/1", "/var/lib", "//var//lib/"] {
            assert_eq!(
                code(Wanted { data_root: some(folder), ..Wanted::default() }),
                "data-root-unsafe",
                "{folder}"
            );
        }
    }
}
