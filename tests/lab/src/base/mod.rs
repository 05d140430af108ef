//! The image that ours is built on: a given one, the default, or one bootstrapped from a package mirror.
//!
//! `debian` has the releases that bring another engine; `distribution` is this machine's own.

mod debian;
mod distribution;

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

/// The image to build on, present in the engine. Only the default has a substitute.
pub fn ensure(workspace: &Workspace, engine: &Engine, wanted: Base) -> Result<String> {
    let image = match wanted {
        Base::Release(release) => return of_release(workspace, engine, release),
        Base::Image(image) if !image.is_empty() => Some(image),
        Base::Image(_) | Base::Usual => None,
    };
    if has(workspace, engine, image.unwrap_or(DEFAULT)) {
        return Ok(image.unwrap_or(DEFAULT).to_owned());
    }
    if let Some(image) = image {
        progress::step(&format!("pull the base image {image}"), || pull(engine, image)).map_err(|error| {
            format!("cannot pull the base image `{image}`: {error}\nhint: give one that the engine has or can reach by --base or BASE_IMAGE, or leave it out")
        })?;
        return Ok(image.to_owned());
    }
    let machine = Distribution::read()
        .map_err(|error| format!("cannot pull `{DEFAULT}`, and cannot make a base instead: {error}"))?;
    let substitute = tag(&machine.suite);
    if !has(workspace, engine, &substitute) {
        if progress::step(&format!("pull the base image {DEFAULT}"), || pull(engine, DEFAULT)).is_ok() {
            return Ok(DEFAULT.to_owned());
        }
        bootstrap(workspace, engine, &machine)?;
    }
    progress::note(&format!(
        "{DEFAULT} cannot be pulled: using {substitute}, bootstrapped from this machine's package mirror"
    ));
    Ok(substitute)
}

fn has(workspace: &Workspace, engine: &Engine, image: &str) -> bool {
    engine.ask(workspace, &["image", "inspect", "--format", "{{.Id}}", image]).is_ok()
}

/// The registry must begin to answer within a limit; a slow download may take as long as it needs.
fn pull(engine: &Engine, image: &str) -> Result<()> {
    let mut docker = Command::new("docker")
        .args(["pull", image])
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

fn of_release(workspace: &Workspace, engine: &Engine, release: Release) -> Result<String> {
    let name = format!("debian-{}", release.suite());
    made(workspace, engine, &name, |fresh| {
        release.mmdebstrap(workspace, fresh, &["--variant=minbase", "--format=tar"])
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
    made(workspace, engine, &format!("debian-{}-{purpose}", release.suite()), |fresh| {
        release.mmdebstrap(workspace, fresh, &["--variant=minbase", "--format=tar", &include])
    })
}

/// The image of an archive, imported where the engine does not have it.
fn made<'a>(
    workspace: &'a Workspace,
    engine: &Engine,
    name: &str,
    make: impl FnOnce(&Path) -> Result<Cmd<'a>>,
) -> Result<String> {
    let tag = tag(name);
    if !has(workspace, engine, &tag) {
        let archive = archive(workspace, name, make)?;
        import(workspace, engine, &archive, &tag)?;
    }
    Ok(tag)
}

fn bootstrap(workspace: &Workspace, engine: &Engine, machine: &Distribution) -> Result<()> {
    let (shell, suite) = (&workspace.shell, &machine.suite);
    let archive = archive(workspace, suite, |fresh| {
        let sources = machine.sources(workspace)?;
        Ok(cmd!(shell, "mmdebstrap --variant=minbase --format=tar {suite} {fresh} {sources...}"))
    })?;
    import(workspace, engine, &archive, &tag(&machine.suite))
}

/// The archive of a base, made where it is not there yet. It outlives the engine's data root.
fn archive<'a>(
    workspace: &'a Workspace,
    name: &str,
    make: impl FnOnce(&Path) -> Result<Cmd<'a>>,
) -> Result<PathBuf> {
    let directory = workspace.target.join("base");
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

fn tag(name: &str) -> String {
    format!("dind-base:{name}")
}

fn import(workspace: &Workspace, engine: &Engine, archive: &Path, tag: &str) -> Result<()> {
    let archive = archive.display().to_string();
    progress::step(&format!("import {tag}"), || {
        engine.ask(workspace, &["import", "--change", r#"CMD ["bash"]"#, &archive, tag]).map(drop)
    })
}
