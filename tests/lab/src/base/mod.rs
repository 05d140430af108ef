//! The image that ours is built on: a given one, the default, or one bootstrapped from a package mirror.
//!
//! `debian` has the releases that bring another engine; `distribution` is this machine's own. [`platform`] is what an image says of the
//! processor that it is for.

mod debian;
mod distribution;
pub mod platform;

use crate::arch::Arch;
use crate::engine::Engine;
use crate::workspace::Workspace;
use crate::{Result, progress, setup};
pub use debian::Release;
use distribution::Distribution;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use xshell::{Cmd, cmd};

/// As in the Dockerfile.
const DEFAULT: &str = "ubuntu:24.04";

/// A registry that has not begun to answer by then will not.
const REGISTRY_TIME: Duration = Duration::from_secs(20);

/// What to build on.
#[derive(Clone, Copy, Debug, Default)]
pub enum Base<'a> {
    /// The default, or what stands in for it.
    #[default]
    Usual,
    /// An image that the engine has or can pull.
    Image(&'a str),
    /// The release of Debian that has the wanted engine.
    Release(Release),
}

impl Base<'_> {
    /// The options that choose it again, each with a space before it.
    pub fn flags(self) -> String {
        match self {
            Self::Usual => String::new(),
            Self::Image(image) => format!(" --base {image}"),
            Self::Release(release) => format!(" --engine {}", release.engine()),
        }
    }
}

/// The image to build on, present in the engine and for the processor. Only the default has a substitute.
pub fn ensure(workspace: &Workspace, engine: &Engine, wanted: Base, arch: Arch) -> Result<String> {
    let image = match wanted {
        Base::Release(release) => return of_release(workspace, engine, release, arch),
        Base::Image(image) if !image.is_empty() => Some(image),
        Base::Image(_) | Base::Usual => None,
    };
    if has(workspace, engine, image.unwrap_or(DEFAULT), arch) {
        return Ok(image.unwrap_or(DEFAULT).to_owned());
    }
    if let Some(image) = image {
        progress::step(&format!("pull the base image {image}"), || pull(engine, image, arch)).map_err(|error| {
            format!("cannot pull the base image `{image}`: {error}\nhint: give one that the engine has or can reach by --base or BASE_IMAGE, or leave it out")
        })?;
        return Ok(image.to_owned());
    }
    let machine = Distribution::read()
        .map_err(|error| format!("cannot pull `{DEFAULT}`, and cannot make a base instead: {error}"))?;
    let substitute = tag(&machine.suite, arch);
    if !has(workspace, engine, &substitute, arch) {
        if progress::step(&format!("pull the base image {DEFAULT}"), || pull(engine, DEFAULT, arch)).is_ok() {
            return Ok(DEFAULT.to_owned());
        }
        bootstrap(workspace, engine, &machine, arch)?;
    }
    progress::note(&format!(
        "{DEFAULT} cannot be pulled: using {substitute}, bootstrapped from this machine's package mirror"
    ));
    Ok(substitute)
}

/// Whether the engine has an image by this name, for this processor: one name may stand for the same image of several.
fn has(workspace: &Workspace, engine: &Engine, image: &str, arch: Arch) -> bool {
    let found = engine.ask(workspace, &["image", "inspect", "--format", "{{.Architecture}}", image]);
    found.is_ok_and(|found| found == arch.debian())
}

/// The registry must begin to answer within a limit; a slow download may take as long as it needs.
fn pull(engine: &Engine, image: &str, arch: Arch) -> Result<()> {
    let platform = format!("--platform={}", arch.platform());
    let mut docker = Command::new("docker")
        .args(["pull", &platform, image])
        .env("DOCKER_HOST", &engine.host)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (sender, first_line) = mpsc::channel();
    if let Some(stdout) = docker.stdout.take() {
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            let _ = sender.send(lines.next().is_some());
            lines.for_each(drop);
        });
    }
    if first_line.recv_timeout(REGISTRY_TIME).is_err() {
        docker.kill()?;
        docker.wait()?;
        return Err(format!("the registry did not answer within {} s", REGISTRY_TIME.as_secs()).into());
    }
    let mut complaint = String::new();
    if let Some(mut stderr) = docker.stderr.take() {
        stderr.read_to_string(&mut complaint)?;
    }
    if docker.wait()?.success() { Ok(()) } else { Err(complaint.trim().into()) }
}

fn of_release(workspace: &Workspace, engine: &Engine, release: Release, arch: Arch) -> Result<String> {
    let name = format!("debian-{}", release.suite());
    made(workspace, engine, &name, arch, |fresh| {
        release.mmdebstrap(workspace, arch, fresh, &["--variant=minbase", "--format=tar"])
    })
}

/// An image of a release with some of its packages, present in the engine; `purpose` is part of its name.
pub fn with_packages(
    workspace: &Workspace,
    engine: &Engine,
    release: Release,
    purpose: &str,
    packages: &str,
) -> Result<String> {
    let include = format!("--include={packages}");
    made(workspace, engine, &format!("debian-{}-{purpose}", release.suite()), Arch::HOST, |fresh| {
        release.mmdebstrap(workspace, Arch::HOST, fresh, &["--variant=minbase", "--format=tar", &include])
    })
}

/// The image of an archive, imported where the engine does not have it.
fn made<'a>(
    workspace: &'a Workspace,
    engine: &Engine,
    name: &str,
    arch: Arch,
    make: impl FnOnce(&Path) -> Result<Cmd<'a>>,
) -> Result<String> {
    let tag = tag(name, arch);
    if !has(workspace, engine, &tag, arch) {
        let archive = archive(workspace, name, arch, make)?;
        import_base(workspace, engine, &archive, &tag, arch)?;
    }
    Ok(tag)
}

fn bootstrap(workspace: &Workspace, engine: &Engine, machine: &Distribution, arch: Arch) -> Result<()> {
    let (shell, suite) = (&workspace.shell, &machine.suite);
    let archive = archive(workspace, suite, arch, |fresh| {
        let sources = machine.sources(workspace, arch)?;
        let other = (!arch.is_host()).then(|| format!("--architectures={arch}"));
        Ok(cmd!(shell, "mmdebstrap {other...} --variant=minbase --format=tar {suite} {fresh} {sources...}"))
    })?;
    import_base(workspace, engine, &archive, &tag(suite, arch), arch)
}

/// The archive of a base, made where it is not there yet. It outlives the engine's data root.
fn archive<'a>(
    workspace: &'a Workspace,
    name: &str,
    arch: Arch,
    make: impl FnOnce(&Path) -> Result<Cmd<'a>>,
) -> Result<PathBuf> {
    let directory = workspace.target.join("base");
    let name = &format!("{name}{}", arch.suffix());
    let archive = directory.join(format!("{name}.tar"));
    if !archive.exists() {
        setup::install(workspace, &[setup::BASE])?;
        fs::create_dir_all(&directory)?;
        let fresh = archive.with_extension("tar.new");
        progress::step(&format!("bootstrap {name} from this machine's package mirror"), || {
            progress::logged(workspace, "mmdebstrap", make(&fresh)?)
        })?;
        fs::rename(&fresh, &archive)?;
    }
    Ok(archive)
}

fn tag(name: &str, arch: Arch) -> String {
    format!("dind-base:{name}{}", arch.suffix())
}

fn import_base(workspace: &Workspace, engine: &Engine, archive: &Path, tag: &str, arch: Arch) -> Result<()> {
    let archive = archive.display().to_string();
    progress::step(&format!("import {tag}"), || {
        import(workspace, engine, &archive, tag, arch, &["--change", r#"CMD ["bash"]"#])
    })
}

/// Makes an image of an archive, for a processor.
///
/// # Errors
/// The engine's.
pub fn import(
    workspace: &Workspace,
    engine: &Engine,
    archive: &str,
    tag: &str,
    arch: Arch,
    changes: &[&str],
) -> Result<()> {
    let platform = (!arch.is_host()).then(|| format!("--platform={}", arch.platform()));
    let args = ["import"].into_iter().chain(platform.as_deref()).chain(changes.iter().copied());
    engine.ask(workspace, &args.chain([archive, tag]).collect::<Vec<_>>())?;
    platform::correct(workspace, engine, tag, arch)
}

/// A busybox without libraries: this machine's, or Debian's for another processor.
///
/// # Errors
/// It cannot be had.
pub fn static_busybox(workspace: &Workspace, arch: Arch) -> Result<PathBuf> {
    if arch.is_host() {
        return setup::static_busybox(workspace).ok_or_else(|| "no static busybox on this machine".into());
    }
    let place = workspace.target.join("base").join(format!("busybox{}", arch.suffix()));
    let program = place.join("bin/busybox");
    if program.exists() {
        return Ok(program);
    }
    setup::install(workspace, &[setup::DEBIAN])?;
    let fresh = place.with_extension("new");
    progress::step(&format!("fetch a busybox for {arch}"), || {
        for old in [&fresh, &place] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        let packages = ["--variant=extract", "--include=busybox-static"];
        let fetch = Release::Bookworm.mmdebstrap(workspace, arch, &fresh, &packages)?;
        progress::logged(workspace, "busybox", fetch)?;
        Ok(fs::rename(&fresh, &place)?)
    })?;
    Ok(program)
}
