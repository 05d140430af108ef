//! What changes from run to run: the programs, linked statically, with what they need in their environment.

use super::Suite;
use super::program::{self, Program, Run};
use crate::product::{binaries, image};
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::cmd;

/// Builds the programs and packs them into an archive that the guest reads from a disk.
pub(super) fn pack(workspace: &Workspace, suite: &Suite) -> Result<PathBuf> {
    let place = workspace.guests().join("payload");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(place.join("bin"))?;
    let shell = &workspace.shell;
    let toolchain = Toolchain::ensure(workspace, suite.arch)?;
    progress::heading("build the guest's programs");
    for (number, run) in suite.runs.iter().enumerate() {
        let copy = place.join(run.program.name());
        if !copy.exists() {
            let built = program::build(&toolchain, run.program)?;
            fs::copy(&built, &copy)?;
            // Those for another processor are built without.
            if suite.arch.is_host() {
                cmd!(shell, "strip --strip-debug {copy}").quiet().run()?;
            }
        }
        describe(run, &place.join(format!("run.{number}")))?;
    }
    let attempts = Program::Attempts;
    fs::copy(program::build(&toolchain, attempts)?, place.join("bin").join(attempts.name()))?;
    for tool in binaries::TOOLS {
        fs::copy(workspace.binaries_for(suite.arch).join(tool), place.join("bin").join(tool))?;
    }
    let preload = workspace.preload_for(suite.arch);
    cmd!(shell, "cp --recursive {preload} {place}/preload").quiet().run()?;
    // Root of a node in a user namespace is one of the others.
    cmd!(shell, "chmod --recursive a+rX {place}/preload").quiet().run()?;
    let env = [
        ("DIND_TEST_DOCKER_HOST", "unix:///var/run/docker.sock"),
        ("DIND_TEST_ENGINE_PID", "1"),
        ("DIND_TEST_IMAGE", suite.node),
        ("DIND_TEST_INNER_IMAGE", &image::inner_name(suite.arch)),
        ("DIND_TEST_PRELOAD", "/payload/preload"),
        ("DIND_TEST_PODMAN_STORE", "/var/lib/docker/podman"),
        ("DIND_TEST_CRUN", "crun"),
        ("DIND_TEST_RUNTIME", "/usr/sbin/runc"),
        ("DIND_TEST_IMAGE_ARCHIVE", "/var/lib/docker/images.tar"),
        ("DIND_BIN_DIR", "/payload/bin"),
    ];
    let slowness = std::env::var("DIND_TEST_SLOWNESS").ok();
    let slowness = slowness.iter().map(|factor| ("DIND_TEST_SLOWNESS", factor.as_str()));
    fs::write(place.join("env"), assignments(env.into_iter().chain(slowness)))?;
    let archive = workspace.guests().join("payload.tar");
    cmd!(shell, "tar --create --file {archive} --directory {place} .").quiet().run()?;
    Ok(archive)
}

/// What the guest's first program reads of a run.
fn describe(run: &Run, directory: &Path) -> Result<()> {
    let lines = |words: &[&str]| -> String { words.iter().map(|word| format!("{word}\n")).collect() };
    fs::create_dir_all(directory)?;
    fs::write(directory.join("program"), run.program.name())?;
    fs::write(directory.join("args"), lines(&run.args.iter().map(String::as_str).collect::<Vec<_>>()))?;
    fs::write(directory.join("engine"), lines(&run.engine))?;
    let env = run.env.iter().map(|(name, value)| (*name, value.as_str()));
    Ok(fs::write(directory.join("env"), assignments(env))?)
}

/// Lines for a shell.
fn assignments<'a>(env: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    env.map(|(name, value)| format!("{name}='{value}'\n")).collect()
}
