//! The images of a Mesos agent with its own engine: one with Mesos, and the node image on top of it.
//!
//! They need no registry of images: Mesos itself comes from PyPI, as `tests/mesos/Dockerfile` explains.

use crate::arch::Arch;
use crate::base::{self, Base};
use crate::engine::Engine;
use crate::product::image::{self, Recipe};
use crate::workspace::Workspace;
use crate::{Result, progress, setup};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::cmd;

/// Mesos and the test framework on a distribution.
pub const BASE: &str = "dind-mesos-base:dev";

/// The node image on top of it.
pub const NODE: &str = "dind-mesos:dev";

/// Names an image with a real Mesos to put the node image on, instead of [`BASE`].
const GIVEN: &str = "DIND_TEST_MESOS_IMAGE";

/// Of mesos.scheduler-1.11.0-py2.7-linux-x86_64.egg: the programs made of it rely on exactly this build.
const EGG_SHA256: &str = "4940ebb70894ee004cf8a12b7b66b52a351be1070ec2a4e6f7dae4ec04f8cb61";

/// Checks manifests against the schemas of Kubernetes, which it brings along.
const VALIDATOR: &str = "kubernetes-validate==1.37.0";

/// What goes into the image beside the egg, from `tests/mesos`.
const SOURCES: [&str; 5] = ["Dockerfile", "shims.py", "mesos.cpp", "mesos-docker-executor", "framework.py"];

/// Builds all images that a cluster needs. The static binaries are there already.
pub fn build(workspace: &Workspace, engine: &Engine, wanted: Base) -> Result<()> {
    fixture(workspace, engine, wanted)?;
    let given = std::env::var(GIVEN).ok().filter(|image| !image.is_empty());
    let base = Base::Image(given.as_deref().unwrap_or(BASE));
    image::node(workspace, engine, Recipe { base, tag: Some(NODE), ..Recipe::default() })?;
    image::inner(workspace, engine, Arch::HOST)
}

fn fixture(workspace: &Workspace, engine: &Engine, wanted: Base) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err(format!("PyPI has Mesos for x86-64 only: name an image that has it by {GIVEN}").into());
    }
    setup::install(workspace, &[setup::MESOS])?;
    let context = workspace.target.join("mesos/context");
    fs::create_dir_all(&context)?;
    fs::copy(egg(workspace)?, context.join("mesos.egg"))?;
    for source in SOURCES {
        fs::copy(workspace.root.join("tests/mesos").join(source), context.join(source))?;
    }
    let base = format!("BASE_IMAGE={}", base::ensure(workspace, engine, wanted, Arch::HOST)?);
    let context = context.display().to_string();
    progress::step(&format!("build the image {BASE}"), || {
        let build = engine.docker(workspace, &["build", "--build-arg", &base, "--tag", BASE, &context]);
        progress::logged(workspace, "mesos-build", build)
    })
}

/// The egg, downloaded once.
fn egg(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("mesos");
    let egg = directory.join("mesos.egg");
    if egg.exists() && sha256(workspace, &egg)? == EGG_SHA256 {
        return Ok(egg);
    }
    progress::step("download Mesos from PyPI", || {
        let (shell, fetch) = (&workspace.shell, workspace.root.join("tests/mesos/fetch.py"));
        // The distribution's own interpreter is the one that finds the distribution's setuptools.
        let fetched = cmd!(shell, "/usr/bin/python3 {fetch} {directory}").quiet().read()?;
        let found = sha256(workspace, Path::new(&fetched))?;
        if found != EGG_SHA256 {
            return Err(format!("`{fetched}` has an unexpected SHA-256: {found}").into());
        }
        Ok(fs::rename(fetched, &egg)?)
    })?;
    Ok(egg)
}

fn sha256(workspace: &Workspace, file: &Path) -> Result<String> {
    let shell = &workspace.shell;
    let line = cmd!(shell, "sha256sum {file}").quiet().read()?;
    Ok(line.split(' ').next().unwrap_or_default().to_owned())
}

/// The program that validates manifests, in a Python environment of its own.
pub fn validator(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("mesos/validator");
    let program = directory.join("bin/kubernetes-validate");
    if program.exists() {
        return Ok(program);
    }
    setup::install(workspace, &[setup::CLIENTS])?;
    progress::step(&format!("install {VALIDATOR} from PyPI"), || {
        let shell = &workspace.shell;
        cmd!(shell, "/usr/bin/python3 -m venv {directory}").quiet().run()?;
        let pip = cmd!(shell, "{directory}/bin/pip --disable-pip-version-check --quiet install {VALIDATOR}");
        progress::logged(workspace, "pip", pip)
    })?;
    Ok(program)
}
