//! The test programs: which there are, and a run of those of one tier.

use super::tier::Tier;
use crate::support_table;
use clap::ValueEnum;
use dind_lab::arch::Arch;
use dind_lab::toolchain::{STATIC, Toolchain};
use dind_lab::verdict::Verdicts;
use dind_lab::{Result, Workspace, outside, progress, setup};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

/// How many tests of a program run at once (rustc's book, "Tests").
const THREADS: &str = "RUST_TEST_THREADS";

/// The test programs, and what all of them get.
#[derive(Debug)]
pub(super) struct Programs<'a> {
    pub(super) workspace: &'a Workspace,
    /// The names of those that there are.
    pub(super) present: Vec<String>,
    /// The tiers that run.
    pub(super) together: &'a [Tier],
    /// The variable with the directory for temporary files.
    pub(super) temporary: (&'static str, String),
    /// The only ones to run of the tiers image and outside; all of them where this is empty.
    pub(super) suites: &'a [&'static str],
    /// Their arguments.
    pub(super) extra: &'a [String],
}

/// The tools that read captured machines without more of the kernel than QEMU has by itself. dind-reaper needs to be what orphans get for a
/// parent (prctl(2), `PR_SET_CHILD_SUBREAPER`), and so does `dind-launch plan`, which is not among its cases.
const CAPTURED: [&str; 3] = ["dind-storage", "dind-net", "dind-launch"];

impl Programs<'_> {
    /// Runs the unit tests of all crates; of the suites' own crate those of its library, for its programs belong to other tiers. For
    /// another processor: the captured machines of the tools.
    pub(super) fn unit(&self, arch: Arch) -> Result<()> {
        if !arch.is_host() {
            return self.captured(arch);
        }
        let (name, directory) = &self.temporary;
        let own = [vec!["--package", "dind-tests", "--lib"], self.features()].concat();
        for of in [&["--workspace", "--exclude", "dind-tests"][..], &own] {
            let mut args = [&["test", "--locked", "--no-fail-fast"], of, &["--"]].concat();
            args.extend(self.extra.iter().map(String::as_str));
            self.workspace.cargo(&args).env(name, directory).run()?;
        }
        Ok(())
    }

    /// Everything is for the other processor, tools and tests, and QEMU runs each program by itself: that needs no privilege. It stands for
    /// the processor, not for its kernel, so what asks the kernel for more belongs to the guest.
    fn captured(&self, arch: Arch) -> Result<()> {
        setup::install(self.workspace, &[setup::EMULATION])?;
        let toolchain = Toolchain::ensure(self.workspace, arch)?;
        let mut args = vec!["test", "--locked", "--no-fail-fast"];
        args.extend(CAPTURED.iter().flat_map(|tool| ["--package", *tool]));
        args.extend(["--test", "cases", "--"]);
        args.extend(self.extra.iter().map(String::as_str));
        let (name, directory) = &self.temporary;
        let runner = format!("CARGO_TARGET_{}_RUNNER", arch.triple().replace('-', "_").to_uppercase());
        let test = toolchain.cargo(&args).env(name, directory).env("RUSTFLAGS", STATIC);
        let test = test.env(runner, format!("qemu-{}-static", arch.machine()));
        Ok(test.run()?)
    }

    /// Compiles the programs of all tiers that run at once, which takes less time than one after the other.
    pub(super) fn compile(&self) -> Result<()> {
        let programs: Vec<_> = self.together.iter().flat_map(|tier| self.of(*tier)).collect();
        if programs.is_empty() {
            return Ok(());
        }
        progress::heading("compile the suites");
        let mut args = vec!["test", "--locked", "--package", "dind-tests", "--no-run"];
        args.extend(programs.iter().flat_map(|program| ["--test", *program]));
        args.extend(self.features());
        Ok(self.workspace.cargo(&args).run()?)
    }

    /// Runs a tier's programs, whatever becomes of the ones before. The verdicts are of the support table's programs.
    pub(super) fn run(&self, tier: Tier, env: &[(&str, String)]) -> Result<(Verdicts, Result<()>)> {
        let (mut failed, mut verdicts, mut ran) = (Vec::new(), Verdicts::default(), 0);
        let threads = thread::available_parallelism()?.get() * tier.threads_per_processor();
        // A person who wants to see what a test prints has given a flag for it.
        let as_it_comes = self.extra.iter().any(|argument| argument.starts_with('-'));
        for program in self.of(tier) {
            let mut args = vec!["test", "--locked", "--package", "dind-tests", "--test", program];
            args.extend(self.features());
            args.push("--");
            args.extend(self.extra.iter().map(String::as_str));
            let env = env.iter().chain([&self.temporary]).map(|(key, value)| (key, value));
            let test = self.workspace.cargo_as_root(&args).envs(env);
            let test = test.env("DIND_BIN_DIR", self.workspace.binaries());
            // The flag --test-threads and the caller's own variable come first.
            let test = match std::env::var_os(THREADS) {
                None => test.env(THREADS, threads.to_string()),
                Some(_) => test,
            };
            let tested = progress::tested(self.workspace, program, test, as_it_comes)?;
            let mut seen = Verdicts::default();
            tested.lines.iter().for_each(|line| seen.note(line));
            if !tested.passed {
                let tests = seen.tests.iter().filter(|(_, passed)| !passed).map(|(name, _)| name.as_str());
                failed.push(format!("{program} ({})", tests.collect::<Vec<_>>().join(", ")));
            }
            if support_table::PROGRAMS.contains(&program) {
                tested.lines.iter().for_each(|line| verdicts.note(line));
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

    /// What they need of cargo: the same for all that run together, or their library would be compiled again.
    fn features(&self) -> Vec<&'static str> {
        let programs = self.together.iter().flat_map(|tier| self.of(*tier));
        let needed: BTreeSet<_> = programs.map(outside::features).collect();
        needed.into_iter().flatten().copied().collect()
    }

    /// The chosen programs of a tier that there are, and that run on this machine.
    fn of(&self, tier: Tier) -> Vec<&'static str> {
        if tier == Tier::Vm {
            return Vec::new();
        }
        let is_chosen = |program: &&str| {
            let chosen = self.suites.is_empty() || self.suites.contains(program);
            chosen && self.present.iter().any(|name| name == program)
        };
        tier.programs().iter().copied().filter(is_chosen).collect()
    }
}

/// The test programs that there are; each must belong to a tier, or nobody would run it.
pub(super) fn present(workspace: &Workspace) -> Result<Vec<String>> {
    let mut present = Vec::new();
    for entry in fs::read_dir(workspace.root.join("tests/tests"))? {
        let path = entry?.path();
        let Some(name) = program(&path) else { continue };
        if !Tier::value_variants().iter().any(|tier| tier.programs().contains(&name)) {
            let (path, tiers) = (path.display(), "xtask/src/suite/tier.rs");
            return Err(format!("`{path}` belongs to no tier: add it to {tiers}").into());
        }
        present.push(name.to_owned());
    }
    Ok(present)
}

/// `NAME.rs`, or a directory `NAME` with a `main.rs`: cargo takes both for a program (Cargo's book, "Target
/// auto-discovery").
fn program(path: &Path) -> Option<&str> {
    let file = path.extension().is_some_and(|extension| extension == "rs");
    (file || path.join("main.rs").is_file()).then(|| path.file_stem()?.to_str()).flatten()
}
