//! The tiers on an engine of this machine: the image, and a Mesos cluster of it.

use super::programs::Programs;
use super::tier::{OF_CLIENTS, OF_PACKAGES, Options, Tier};
use crate::dist;
use crate::support_table::{self, Row};
use dind_lab::arch::Arch;
use dind_lab::base::{self, Base, Release};
use dind_lab::engine::Engine;
use dind_lab::product::image::{self, Recipe};
use dind_lab::{Result, Workspace, clients, mesos, outside};
use std::fs;
use std::path::Path;

/// What the nodes get as `DIND_NET_FIREWALL`.
pub(super) const FIREWALL: &str = "DIND_TEST_FIREWALL";

/// Runs a tier. A private engine that was not there before does not outlive it, whatever happens.
pub(super) fn run(programs: &Programs, tier: Tier, options: &Options) -> Result<()> {
    let workspace = programs.workspace;
    let engine = Engine::find_or_start(workspace)?;
    let image = images(workspace, &engine, tier, options)?;
    let mut env = vec![
        ("DIND_TEST_DOCKER_HOST", engine.host.clone()),
        ("DIND_TEST_ENGINE_PID", engine.pid.to_string()),
        ("DIND_TEST_IMAGE", image.clone()),
        ("DIND_TEST_INNER_IMAGE", image::INNER.to_owned()),
        ("DIND_TEST_FRAMEWORK_IMAGE", mesos::images::BASE.to_owned()),
        ("DIND_TEST_PRELOAD", workspace.preload().display().to_string()),
        ("DIND_TEST_XTASK", std::env::current_exe()?.display().to_string()),
    ];
    env.extend(options.firewall.map(|firewall| (FIREWALL, firewall.name())));
    let validator = mesos::images::validator(workspace)?;
    env.push(("DIND_TEST_KUBERNETES_VALIDATE", validator.display().to_string()));
    if tier == Tier::Image && options.chose(OF_CLIENTS) {
        clients::images(workspace, &engine)?;
        env.push(("DIND_TEST_CLIENT_IMAGE", clients::IMAGE.to_owned()));
        env.push(("DIND_TEST_CLIENTS", clients::programs(workspace)?.display().to_string()));
    }
    if tier == Tier::Image && options.chose(OF_PACKAGES) {
        env.push((
            "DIND_TEST_DIST",
            dist::of_binaries(workspace, &workspace.binaries())?.display().to_string(),
        ));
        let bare = base::ensure(workspace, &engine, Base::Release(Release::Bookworm), Arch::HOST)?;
        env.push(("DIND_TEST_DEBIAN_IMAGE", bare));
        let with_man =
            base::with_packages(workspace, &engine, Release::Bookworm, "man", "man-db,bash-completion,jq")?;
        env.push(("DIND_TEST_MAN_IMAGE", with_man));
    }
    if tier == Tier::Outside {
        let store = outside::podman_store(workspace, &engine, &image)?;
        env.push(("DIND_TEST_PODMAN_STORE", store.display().to_string()));
        env.push(("DIND_TEST_CRUN", engine.crun().display().to_string()));
        let archive = outside::archive(workspace, &engine, &image)?;
        env.push(("DIND_TEST_IMAGE_ARCHIVE", archive.display().to_string()));
        env.push(("DIND_TEST_RUNTIME", std::env::current_exe()?.display().to_string()));
    }
    let (verdicts, outcome) = programs.run(tier, &env)?;
    if options.record && [Tier::Image, Tier::Outside].contains(&tier) {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let cgroup = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "v2" } else { "v1" };
        let outer = engine.ask(workspace, &["version", "--format", "{{.Server.Version}}"])?;
        let inner = inner_version(workspace, &engine, &image, options)?;
        let command = format!("cargo xtask test {}{}", tier.name(), options.flags());
        let (cgroup, processor) = (cgroup.to_owned(), support_table::processor(Arch::HOST.machine()));
        let row = Row { command, processor, kernel, cgroup, outer, inner, tests: Vec::new() };
        support_table::record(workspace, &row, &verdicts)?;
    }
    engine.release(workspace)?;
    outcome
}

/// Makes the images that the engine does not have; returns the name of the one under test.
pub(super) fn images(
    workspace: &Workspace,
    engine: &Engine,
    tier: Tier,
    options: &Options,
) -> Result<String> {
    if tier == Tier::Mesos {
        mesos::images::build(workspace, engine, options.base)?;
        return Ok(mesos::images::NODE.to_owned());
    }
    let Some(image) = options.image else {
        let from_archive = options.engine_archive.is_some();
        let tag = from_archive.then_some(image::OF_ARCHIVE);
        return image::build(
            workspace,
            engine,
            Recipe { base: options.base, from_archive, tag, arch: Some(options.arch) },
        );
    };
    image::inner(workspace, engine, options.arch)?;
    Ok(image.to_owned())
}

/// The version of a node image's engine, and the firewall that it was asked for.
pub(super) fn inner_version(
    workspace: &Workspace,
    engine: &Engine,
    image: &str,
    options: &Options,
) -> Result<String> {
    let output = engine.ask(workspace, &["run", "--rm", "--entrypoint", "dockerd", image, "--version"])?;
    let version = output.split([' ', ',']).nth(2);
    let version =
        version.ok_or_else(|| format!("`dockerd --version` of {image} printed no version: `{output}`"))?;
    let firewall = options.firewall.map_or(String::new(), |firewall| format!(", {}", firewall.name()));
    Ok(format!("{version}{firewall}"))
}
