//! Flags and variables, parsed: everything that can be wrong with them is found here, before anything changes.

use crate::cli::{ReleaseTexts, Texts};
use crate::image::superblock::Filesystem;
use crate::report::{Backing, Driver, ImageStore};
use crate::seed::options::SeedOptions;
use crate::{fault, safe_path, size};
use dind_contract::cli::given;
use dind_contract::{Code, Fault, value};
use dind_system::EngineVersion;
use std::path::{Path, PathBuf};

/// Where the engine keeps its data by default.
const DATA_ROOT: &str = "/var/lib/docker";
/// File of the loop image by default.
const IMAGE: &str = "/data/docker";

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the engine keeps its data: absolute, without `..`.
    pub data_root: PathBuf,
    /// File of the loop image: absolute, without `..`.
    pub image: PathBuf,
    /// The image's size in bytes, if it was given: an existing image only grows on request.
    pub size: Option<u64>,
    /// The driver, if it was given.
    pub driver: Option<Driver>,
    /// The image store, if it was given.
    pub store: Option<ImageStore>,
    /// The engine's version, if it was given.
    pub engine: Option<EngineVersion>,
    /// Whether the engine's settings are printed as flags of dockerd.
    pub as_flags: bool,
    /// The backing, if it was given.
    pub backing: Option<Backing>,
    /// File system of a new image.
    pub filesystem: Filesystem,
    /// Whether the space of a new image is not reserved.
    pub sparse: bool,
    /// Those of seeds.
    pub seeds: SeedOptions,
    /// The golden image that a new image is cloned from: absolute, without `..`.
    pub image_from: Option<PathBuf>,
    /// Those that were given and concern the image, as `VARIABLE=text`.
    pub of_image: Vec<String>,
}

impl Options {
    /// Whether overlay in the data root's own file system is one of the choices: only then it is probed.
    #[must_use]
    pub fn may_be_native_overlay(&self) -> bool {
        self.backing != Some(Backing::Loop) && self.driver.is_none_or(|driver| driver == Driver::Overlay2)
    }

    /// Parses flags and variables.
    ///
    /// # Errors
    /// Names the first that is invalid.
    pub fn parse(text: &Texts) -> Result<Self, Fault> {
        let filesystem = filesystem(given(text.filesystem.as_ref()))?;
        Ok(Self {
            data_root: data_root(given(text.data_root.as_ref()).unwrap_or(DATA_ROOT))?,
            image: path("DIND_STORAGE_IMAGE", given(text.image.as_ref()).unwrap_or(IMAGE))?,
            size: given(text.size.as_ref()).map(|text| parse_size(text, filesystem)).transpose()?,
            driver: driver(given(text.driver.as_ref()))?,
            store: store(given(text.store.as_ref()))?,
            engine: given(text.engine_version.as_ref()).map(engine).transpose()?,
            as_flags: text.as_flags,
            backing: backing(given(text.backing.as_ref()))?,
            filesystem,
            sparse: given(text.sparse.as_ref()).map_or(Ok(false), sparse)?,
            seeds: SeedOptions::parse(
                given(text.seed.as_ref()),
                given(text.seed_restore.as_ref()),
                given(text.seed_missing.as_ref()),
            )?,
            image_from: given(text.image_from.as_ref())
                .map(|text| path("DIND_STORAGE_IMAGE_FROM", text))
                .transpose()?,
            of_image: [
                ("DIND_STORAGE_IMAGE", &text.image),
                ("VAR_LIB_DOCKER_SIZE", &text.size),
                ("DIND_STORAGE_FS", &text.filesystem),
                ("DIND_STORAGE_SPARSE", &text.sparse),
                ("DIND_STORAGE_IMAGE_FROM", &text.image_from),
            ]
            .into_iter()
            .filter_map(|(name, text)| Some(format!("{name}={}", given(text.as_ref())?)))
            .collect(),
        })
    }

    /// Whether an option that concerns the image was given, by its variable.
    #[must_use]
    pub fn is_given(&self, variable: &str) -> bool {
        self.of_image.iter().any(|text| text.split('=').next() == Some(variable))
    }
}

/// What was applied, for its release. Other settings do not matter to it: a size that is wrong is no reason to keep a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseOptions {
    /// Where the engine has kept its data: absolute, without `..`.
    pub data_root: PathBuf,
    /// File of the loop image: absolute, without `..`.
    pub image: PathBuf,
    /// The backing, if it was given.
    pub backing: Option<Backing>,
}

impl ReleaseOptions {
    /// Parses flags and variables.
    ///
    /// # Errors
    /// Names the first that is invalid.
    pub fn parse(text: &ReleaseTexts) -> Result<Self, Fault> {
        Ok(Self {
            data_root: data_root(given(text.data_root.as_ref()).unwrap_or(DATA_ROOT))?,
            image: path("DIND_STORAGE_IMAGE", given(text.image.as_ref()).unwrap_or(IMAGE))?,
            backing: backing(given(text.backing.as_ref()))?,
        })
    }
}

fn parse_size(text: &str, filesystem: Filesystem) -> Result<u64, Fault> {
    // mkfs.xfs 5.19 and later refuse less than 300 MB.
    const XFS_MINIMUM: u64 = 300 << 20;
    size::parse(text)
        .and_then(|bytes| match filesystem {
            Filesystem::Xfs if bytes < XFS_MINIMUM => Err("xfs needs at least 300MiB".to_owned()),
            _ => Ok(bytes),
        })
        .map_err(|cause| {
            let fault = fault::SIZE_INVALID.invalid("VAR_LIB_DOCKER_SIZE", text, cause);
            fault.hint("set VAR_LIB_DOCKER_SIZE=5 for 5 GiB, or give a unit: 20GiB, 512MiB, 5GB")
        })
}

fn driver(text: Option<&str>) -> Result<Option<Driver>, Fault> {
    let Some(text) = text.filter(|text| *text != "auto") else { return Ok(None) };
    let found = Driver::ALL.into_iter().find(|driver| driver.name() == text);
    let names = format!("auto, {}", Driver::ALL.map(Driver::name).join(", "));
    found.map(Some).ok_or_else(|| unknown(fault::DRIVER_UNKNOWN, "DIND_STORAGE_DRIVER", text, &names))
}

fn store(text: Option<&str>) -> Result<Option<ImageStore>, Fault> {
    match text {
        None | Some("auto") => Ok(None),
        Some("graph") => Ok(Some(ImageStore::Graph)),
        Some("containerd") => Ok(Some(ImageStore::Containerd)),
        Some(text) => {
            Err(unknown(fault::STORE_UNKNOWN, "DIND_STORAGE_STORE", text, "auto, graph, containerd"))
        }
    }
}

fn engine(text: &str) -> Result<EngineVersion, Fault> {
    EngineVersion::parse(text).ok_or_else(|| {
        let fault = fault::ENGINE_VERSION_INVALID.invalid(
            "DIND_ENGINE_VERSION",
            text,
            "it does not start with a number",
        );
        fault.hint("set DIND_ENGINE_VERSION to a version such as 24.0.7, or leave it out")
    })
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

fn filesystem(text: Option<&str>) -> Result<Filesystem, Fault> {
    match text {
        None | Some("ext4") => Ok(Filesystem::Ext4),
        Some("xfs") => Ok(Filesystem::Xfs),
        Some(text) => Err(unknown(fault::FILESYSTEM_UNKNOWN, "DIND_STORAGE_FS", text, "ext4, xfs")),
    }
}

fn sparse(text: &str) -> Result<bool, Fault> {
    value::boolean(text).map_err(|cause| {
        let fault = fault::BOOLEAN_INVALID.invalid("DIND_STORAGE_SPARSE", text, cause);
        fault.hint("set DIND_STORAGE_SPARSE=true, or leave it out to reserve the space")
    })
}

/// A data root from users.
pub(crate) fn data_root(text: &str) -> Result<PathBuf, Fault> {
    let path = path("DIND_DATA_ROOT", text)?;
    if safe_path::is_system_directory(&path) { Err(system_directory(&path)) } else { Ok(path) }
}

/// The data root is a directory that others use too.
pub(crate) fn system_directory(path: &Path) -> Fault {
    let cause = "it is a system directory";
    let fault = fault::DATA_ROOT_UNSAFE.cannot("use as data root", path.display(), cause);
    fault.hint("set DIND_DATA_ROOT to a directory of its own, such as /var/lib/docker or /srv/docker")
}

/// A path from users: absolute, without `..`.
pub(crate) fn path(name: &str, text: &str) -> Result<PathBuf, Fault> {
    safe_path::plain(text).map_err(|cause| {
        let fault = fault::PATH_INVALID.invalid(name, text, cause);
        fault.hint(format!("set {name} to an absolute path without `..`"))
    })
}

fn unknown(code: Code, name: &str, text: &str, names: &str) -> Fault {
    let fault = code.invalid(name, text, format!("expected one of {names}"));
    fault.hint(format!("set {name} to one of them, or leave it out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(texts: Texts) -> &'static str {
        Options::parse(&texts).unwrap_err().code.name
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn defaults_and_empty_variables() {
        let empty = Texts { size: some(""), driver: some(" "), ..Texts::default() };
        let options = Options::parse(&empty).unwrap();
        assert_eq!(options, Options::parse(&Texts::default()).unwrap());
        assert_eq!(options.data_root, PathBuf::from("/var/lib/docker"));
        assert_eq!(
            (options.size, options.driver, options.backing, options.sparse),
            (None, None, None, false)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(code(Texts { size: some("abc"), ..Texts::default() }), "size-invalid");
        let xfs = Texts { size: some("128MiB"), filesystem: some("xfs"), ..Texts::default() };
        assert_eq!(code(xfs), "size-invalid");
        assert_eq!(code(Texts { driver: some("overlay3"), ..Texts::default() }), "driver-unknown");
        assert_eq!(code(Texts { store: some("overlay2"), ..Texts::default() }), "store-unknown");
        let engine = Texts { engine_version: some("latest"), ..Texts::default() };
        assert_eq!(code(engine), "engine-version-invalid");
        assert_eq!(code(Texts { backing: some("zram"), ..Texts::default() }), "backing-unknown");
        assert_eq!(code(Texts { filesystem: some("ntfs"), ..Texts::default() }), "filesystem-unknown");
        assert_eq!(code(Texts { sparse: some("perhaps"), ..Texts::default() }), "boolean-invalid");
        assert_eq!(code(Texts { image: some("data/docker"), ..Texts::default() }), "path-invalid");
        assert_eq!(code(Texts { data_root: some("/srv/../etc"), ..Texts::default() }), "path-invalid");
        for directory in ["/", "/etc", "/usr/share/docker", "/proc/1", "/var/lib", "//var//lib/"] {
            assert_eq!(
                code(Texts { data_root: some(directory), ..Texts::default() }),
                "data-root-unsafe",
                "{directory}"
            );
        }
    }
}
