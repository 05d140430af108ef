//! The node image, and the tiny image that runs inside nodes.

use super::archive;
use crate::arch::Arch;
use crate::base::{self, Base, platform};
use crate::engine::Engine;
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use xshell::cmd;

/// The node image.
pub const NODE: &str = "dind:dev";

/// One whose engine comes from an archive, for the suites.
pub const OF_ARCHIVE: &str = "dind:engine-archive";

/// A static busybox and nothing else.
pub const INNER: &str = "dind-inner:dev";

/// What a node image is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recipe<'a> {
    /// The image that it is built on.
    pub base: Base<'a>,
    /// What [`archive::unpack`] has left, in place of the distribution's engine.
    pub from_archive: bool,
    /// Its name, if not the usual one.
    pub tag: Option<&'a str>,
    /// The processor that it is for; this machine's where there is none.
    pub arch: Option<Arch>,
}

impl Recipe<'_> {
    /// The processor that it is for.
    #[must_use]
    pub fn arch(self) -> Arch {
        self.arch.unwrap_or(Arch::HOST)
    }

    /// The image's name.
    #[must_use]
    pub fn name(self) -> String {
        let suffix = self.arch().suffix();
        match (self.tag, self.base) {
            (Some(tag), _) => tag.to_owned(),
            (None, Base::Release(release)) => format!("dind:engine-{}{suffix}", release.engine()),
            (None, Base::Image(_) | Base::Usual) => format!("{NODE}{suffix}"),
        }
    }
}

/// The tiny image's name for a processor.
#[must_use]
pub fn inner_name(arch: Arch) -> String {
    format!("{INNER}{}", arch.suffix())
}

/// Builds both images, and gives the node image's name. The static binaries are there already, and programs of the processor run here
/// ([`emulation`](crate::setup::emulation)).
pub fn build(workspace: &Workspace, engine: &Engine, recipe: Recipe) -> Result<String> {
    let tag = recipe.name();
    node(workspace, engine, Recipe { tag: Some(&tag), ..recipe })?;
    inner(workspace, engine, recipe.arch())?;
    Ok(tag)
}

/// Builds the node image.
pub fn node(workspace: &Workspace, engine: &Engine, recipe: Recipe) -> Result<()> {
    archive::none(workspace)?;
    let source = if recipe.from_archive { "ENGINE=archive" } else { "ENGINE=packages" };
    let arch = recipe.arch();
    let base = base_of(workspace, engine, recipe.base, arch)?;
    let binaries = format!("BINARIES=bin{}", arch.suffix());
    let version = concat!("VERSION=", env!("CARGO_PKG_VERSION"));
    let tag = recipe.tag.unwrap_or(NODE);
    progress::step(&format!("build the image {tag}"), || {
        let arguments = [&base, "XFS", version, source, &binaries].map(|argument| ["--build-arg", argument]);
        let args = [&["build"][..], arguments.as_flattened(), &["--tag", tag, "."]].concat();
        let build = engine.docker(workspace, &args);
        progress::logged(workspace, "docker-build", build)
    })?;
    platform::correct(workspace, engine, tag, arch)
}

/// Builds the stage of the node image that needs no binaries, while these are still being compiled.
pub fn ahead(workspace: &Workspace, engine: &Engine, wanted: Base, arch: Arch) -> Result<()> {
    archive::none(workspace)?;
    let base = base_of(workspace, engine, wanted, arch)?;
    progress::step("install the engine into the base image", || {
        let build = engine.docker(
            workspace,
            &["build", "--build-arg", &base, "--build-arg", "XFS", "--target", "engine", "."],
        );
        progress::logged(workspace, "docker-build-engine", build)
    })
}

/// The build's argument for the base. That for xfs is passed without a value: docker takes it from our environment.
fn base_of(workspace: &Workspace, engine: &Engine, wanted: Base, arch: Arch) -> Result<String> {
    Ok(format!("BASE_IMAGE={}", base::ensure(workspace, engine, wanted, arch)?))
}

/// Makes the inner image where the engine or the preload directory does not have it. The same bytes in both.
pub fn inner(workspace: &Workspace, engine: &Engine, arch: Arch) -> Result<()> {
    let archive = workspace.preload_for(arch).join("inner.tar");
    let path = archive.display().to_string();
    if archive.exists() {
        return engine.ask(workspace, &["load", "--input", &path]).map(drop);
    }
    let name = inner_name(arch);
    progress::step(&format!("make the image {name}"), || {
        fs::create_dir_all(workspace.preload_for(arch))?;
        let (shell, rootfs) = (&workspace.shell, root_file_system(workspace, arch)?);
        let layer = workspace.image().join("rootfs.tar");
        cmd!(shell, "tar --create --file {layer} --directory {rootfs} --owner=0 --group=0 .")
            .quiet()
            .run()?;
        let layer = layer.display().to_string();
        let changes = ["--change", r#"CMD ["sh"]"#, "--change", "ENV PATH=/bin"];
        base::import(workspace, engine, &layer, &name, arch, &changes)?;
        engine.ask(workspace, &["save", "--output", &path, &name])?;
        // Root of a node in a user namespace is one of the others.
        Ok(fs::set_permissions(&archive, fs::Permissions::from_mode(0o644))?)
    })
}

fn root_file_system(workspace: &Workspace, arch: Arch) -> Result<PathBuf> {
    let busybox = base::static_busybox(workspace, arch)?;
    let rootfs = workspace.image().join("rootfs");
    if rootfs.exists() {
        fs::remove_dir_all(&rootfs)?;
    }
    fs::create_dir_all(rootfs.join("bin"))?;
    fs::create_dir_all(rootfs.join("tmp"))?;
    fs::copy(&busybox, rootfs.join("bin/busybox"))?;
    let shell = &workspace.shell;
    let applets = cmd!(shell, "{busybox} --list").quiet().read()?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", rootfs.join("bin").join(applet))?;
    }
    Ok(rootfs)
}
