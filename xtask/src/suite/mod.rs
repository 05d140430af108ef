//! `test`: the tiers, each by cargo's own test runner, with what the tests need in their environment.

use crate::base::Base;
use crate::debian::Release;
use crate::engine::Engine;
use crate::leftovers::Snapshot;
use crate::support::{self, Row};
use crate::vm::{self, Guest};
use crate::workspace::Workspace;
use crate::{Result, ahead, binaries, image, mesos, progress, setup};
use clap::ValueEnum;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// What a group of tests needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Nothing: tables and captured machines.
    Unit,
    /// The static binaries, with stubs beside them.
    Stub,
    /// Own network namespaces.
    Netns,
    /// Root and loop devices.
    Root,
    /// An engine and the image.
    Image,
    /// An engine and a Mesos cluster of nodes.
    Mesos,
    /// The image in a virtual machine: a host's kernel, cgroup v2, every capability.
    Vm,
}

impl Tier {
    /// The files below `tests/tests` that belong to the tier.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Unit => &[],
            Self::Stub => &["contract", "chain", "init"],
            Self::Netns => &["netns"],
            Self::Root => &["loopback"],
            Self::Image => &[
                "support",
                "engines",
                "image",
                "cgroups",
                "engine",
                "net_image",
                "storage_image",
                "reaper",
                "reduced",
                "faults",
            ],
            Self::Mesos => &["mesos", "release"],
            Self::Vm => &["vm"],
        }
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// How to run the suites.
#[derive(Debug, Default)]
pub(crate) struct Options<'a> {
    /// All where this is empty.
    pub(crate) tiers: &'a [Tier],
    /// The base of the image to build.
    pub(crate) base: Base<'a>,
    /// An existing image to test instead of a new one.
    pub(crate) image: Option<&'a str>,
    /// The virtual machines of the `vm` tier; the usual one where this is empty.
    pub(crate) guests: &'a [Guest],
    /// Whether the support table gets the outcome.
    pub(crate) record: bool,
    /// For the test programs: filters, `--nocapture`.
    pub(crate) extra: &'a [String],
}

impl Options<'_> {
    /// The guests' system: outside and inside the same engine.
    pub(crate) fn release(&self) -> Release {
        if let Base::Release(release) = self.base { release } else { Release::Bookworm }
    }

    /// The guests to run.
    pub(crate) fn guests(&self) -> &[Guest] {
        if self.guests.is_empty() { &[Guest::USUAL] } else { self.guests }
    }
}

/// Runs the tiers, whatever becomes of the ones before, and then tells about each.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tiers = if options.tiers.is_empty() { Tier::value_variants() } else { options.tiers };
    let present = present(workspace)?;
    let vm = if tiers.contains(&Tier::Vm) { setup::VM } else { &[] };
    setup::install(workspace, &[setup::BUILD, setup::ENGINE, setup::TESTS, vm])?;
    let binaries = ahead::beside(tiers, options, || binaries::build(workspace))?;
    let before = Snapshot::take(&binaries);
    let mut summary = Vec::new();
    for tier in tiers {
        progress::heading(&format!("tier {}", tier.name()));
        let start = Instant::now();
        let outcome = tier_run(workspace, *tier, &present, options).and_then(|()| before.check(&binaries));
        let verdict = outcome.as_ref().map_or_else(|error| format!("FAILED: {error}"), |()| "ok".to_owned());
        summary.push((
            format!("{:6} {:4} s  {verdict}", tier.name(), start.elapsed().as_secs()),
            outcome.is_ok(),
        ));
    }
    progress::heading("summary");
    summary.iter().for_each(|(line, _)| progress::note(line));
    if summary.iter().all(|(_, ok)| *ok) { Ok(()) } else { Err("not all tiers passed".into()) }
}

/// The test programs that there are; each must belong to a tier, or nobody would run it.
fn present(workspace: &Workspace) -> Result<Vec<String>> {
    let mut present = Vec::new();
    for entry in fs::read_dir(workspace.root.join("tests/tests"))? {
        let path = entry?.path();
        let Some(name) = program(&path) else { continue };
        if !Tier::value_variants().iter().any(|tier| tier.programs().contains(&name)) {
            return Err(
                format!("`{}` belongs to no tier: add it to xtask/src/suite.rs", path.display()).into()
            );
        }
        present.push(name.to_owned());
    }
    Ok(present)
}

fn program(path: &Path) -> Option<&str> {
    path.extension().filter(|extension| *extension == "rs")?;
    path.file_stem()?.to_str()
}

fn tier_run(workspace: &Workspace, tier: Tier, present: &[String], options: &Options) -> Result<()> {
    match tier {
        Tier::Unit => unit(workspace, options.extra),
        Tier::Image | Tier::Mesos => with_engine(workspace, tier, present, options),
        Tier::Vm => in_guests(workspace, options),
        _ => programs(workspace, tier, present, &[], options.extra)?.1,
    }
}

fn unit(workspace: &Workspace, extra: &[String]) -> Result<()> {
    let mut args = vec!["test", "--locked", "--no-fail-fast", "--workspace", "--exclude", "dind-tests", "--"];
    args.extend(extra.iter().map(String::as_str));
    Ok(workspace.cargo(&args).run()?)
}

/// Makes the images that the engine lacks; gives the name of the one under test.
fn images(workspace: &Workspace, engine: &Engine, tier: Tier, options: &Options) -> Result<String> {
    if tier == Tier::Mesos {
        mesos::build(workspace, engine, options.base)?;
        return Ok(mesos::NODE.to_owned());
    }
    let Some(image) = options.image else { return image::build(workspace, engine, options.base) };
    image::inner(workspace, engine)?;
    Ok(image.to_owned())
}

/// A private engine that was not there before does not outlive the tier, whatever happens.
fn with_engine(workspace: &Workspace, tier: Tier, present: &[String], options: &Options) -> Result<()> {
    let engine = Engine::find_or_start(workspace)?;
    let image = images(workspace, &engine, tier, options)?;
    let mut env = vec![
        ("DIND_TEST_DOCKER_HOST", engine.host.clone()),
        ("DIND_TEST_ENGINE_PID", engine.pid.to_string()),
        ("DIND_TEST_IMAGE", image.clone()),
        ("DIND_TEST_INNER_IMAGE", image::INNER.to_owned()),
        ("DIND_TEST_FRAMEWORK_IMAGE", mesos::BASE.to_owned()),
        ("DIND_TEST_PRELOAD", workspace.preload().display().to_string()),
        ("DIND_TEST_XTASK", std::env::current_exe()?.display().to_string()),
    ];
    if tier == Tier::Mesos {
        let validator = mesos::validator(workspace)?;
        env.push(("DIND_TEST_KUBERNETES_VALIDATE", validator.display().to_string()));
    }
    let (tests, outcome) = programs(workspace, tier, present, &env, options.extra)?;
    if options.record && tier == Tier::Image {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let cgroup = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "v2" } else { "v1" };
        let outer = engine.ask(workspace, &["version", "--format", "{{.Server.Version}}"])?;
        let inner = inner_version(workspace, &engine, &image)?;
        let command = format!("cargo xtask test image{}", options.base.flags());
        let row = Row { command, kernel, cgroup: cgroup.to_owned(), outer, inner, tests };
        support::record(workspace, &row)?;
    }
    engine.release(workspace)?;
    outcome
}

/// The version of a node image's engine.
fn inner_version(workspace: &Workspace, engine: &Engine, image: &str) -> Result<String> {
    let told = engine.ask(workspace, &["run", "--rm", "--entrypoint", "dockerd", image, "--version"])?;
    let version = told.split([' ', ',']).nth(2);
    Ok(version.ok_or_else(|| format!("`dockerd --version` of {image} says `{told}`"))?.to_owned())
}

/// Of the `vm` program, what depends on the host: the rest of what it shares with the image tier does not.
const OF_THE_HOST: [&str; 3] =
    ["support::", "an_engine_that_was_started_unprepared", "reduced::the_reduced_set_makes_a_whole_node"];

/// The guests' own engines run the nodes; this machine's builds the image and is gone before they boot.
fn in_guests(workspace: &Workspace, options: &Options) -> Result<()> {
    let engine = Engine::find_or_start(workspace)?;
    let image = images(workspace, &engine, Tier::Vm, options)?;
    let suite = vm::Suite {
        node: &image,
        release: options.release(),
        args: if options.extra.is_empty() { &OF_THE_HOST.map(str::to_owned) } else { options.extra },
    };
    let guests = options.guests();
    let inner = inner_version(workspace, &engine, &image)?;
    let outcomes = vm::run(workspace, engine, &suite, guests)?;
    for (guest, said) in outcomes.iter().filter(|_| options.record) {
        let said = said.as_ref().ok().cloned().unwrap_or_default();
        let Guest { kernel, cgroup } = guest;
        let command =
            format!("cargo xtask test vm --kernel {kernel} --cgroup {cgroup}{}", options.base.flags());
        let (cgroup, inner) = (cgroup.to_string(), inner.clone());
        let row = Row { command, kernel: said.linux, cgroup, outer: said.docker, inner, tests: said.tests };
        support::record(workspace, &row)?;
    }
    let failed: Vec<_> = outcomes
        .iter()
        .filter_map(|(guest, said)| match said {
            Ok(said) if said.passed() => None,
            Ok(said) => Some(format!("{guest}: {}", said.trouble())),
            Err(error) => Some(format!("{guest}: {error}")),
        })
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

/// The verdicts of a program's tests.
type Verdicts = Vec<(String, bool)>;

/// Runs a tier's programs, whatever becomes of the ones before. The verdicts are of the support table's program.
fn programs(
    workspace: &Workspace,
    tier: Tier,
    present: &[String],
    env: &[(&str, String)],
    extra: &[String],
) -> Result<(Verdicts, Result<()>)> {
    let (mut failed, mut verdicts, mut ran) = (Vec::new(), Vec::new(), 0);
    for program in tier.programs().iter().filter(|program| present.iter().any(|name| name == *program)) {
        let build = ["test", "--locked", "--package", "dind-tests", "--test", program];
        workspace.cargo(&[&build[..], &["--no-run"]].concat()).run()?;
        let mut args = build.to_vec();
        args.push("--");
        args.extend(extra.iter().map(String::as_str));
        let test = workspace.cargo_as_root(&args).envs(env.iter().map(|(key, value)| (key, value)));
        let test = test.env("DIND_BIN_DIR", workspace.binaries());
        let passed = if *program == support::PROGRAM {
            let (passed, lines) = progress::shown(test)?;
            verdicts.extend(lines.iter().filter_map(|line| support::verdict(line)));
            passed
        } else {
            test.run().is_ok()
        };
        if !passed {
            failed.push(*program);
        }
        ran += 1;
    }
    let outcome = match (ran, failed.as_slice()) {
        (0, _) => Err("there are no tests".into()),
        (_, []) => Ok(()),
        (_, failed) => Err(format!("failures in {}", failed.join(", ")).into()),
    };
    Ok((verdicts, outcome))
}
