//! `test`: the tiers, each by cargo's own test runner, with what the tests need in their environment.
//!
//! * `tier`: the tiers and their test programs
//! * `ahead`: what a first run makes while cargo builds
//! * `lanes`: what runs at the same time; `programs`: runs the programs of one tier
//! * `engine`, `guests`: the tiers that need an engine, or virtual machines

mod ahead;
mod engine;
mod guests;
mod lanes;
mod programs;
mod tier;

use dind_lab::leftovers::{Run, Snapshot};
use dind_lab::product::{archive, binaries};
use dind_lab::setup::{self, emulation};
use dind_lab::{Result, Workspace, progress};
use programs::Programs;
use std::time::Instant;
pub(crate) use tier::{Firewall, Options, Tier, suite_named};

/// Runs the tiers, whatever becomes of the ones before, and prints the outcome of each.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let arch = options.arch;
    if !arch.is_host() && !options.tiers().iter().all(|tier| [Tier::Unit, Tier::Vm].contains(tier)) {
        return Err(
            format!("--arch {arch} is for the tiers unit and vm: cargo xtask test vm --arch {arch}").into()
        );
    }
    options.check()?;
    if let Some(file) = options.engine_archive {
        archive::unpack(workspace, file, arch)?;
    }
    let present = programs::present(workspace)?;
    let with_guests = options.tiers().contains(&Tier::Vm);
    let vm = if with_guests { [setup::VM, setup::machine(arch)].concat() } else { Vec::new() };
    let outside = if options.tiers().contains(&Tier::Outside) { setup::OUTSIDE } else { &[] };
    setup::install(workspace, &[setup::BUILD, setup::ENGINE, setup::TESTS, outside, &vm])?;
    // Whether programs of another processor run here is known before they are built.
    let _emulation = with_guests.then(|| emulation::begin(workspace, arch)).transpose()?;
    let binaries = ahead::beside(options, || match arch.is_host() || with_guests {
        true => binaries::build_for(workspace, arch),
        false => Ok(workspace.binaries_for(arch)),
    })?;
    let run = Run::begin(workspace, &binaries)?;
    let temporary = run.environment();
    let programs = Programs { workspace, present, temporary, suites: options.suites, extra: options.extra };
    let mut before = Snapshot::take(&run);
    let mut summary = Vec::new();
    lanes.programs(workspace).compile()?;
    for together in lanes::of(options.tiers()) {
        summary.extend(lanes.run(workspace, &together));
        if let Err(error) = before.check() {
            summary.push(("leftovers".to_owned(), Err(error.to_string())));
        }
    }
    progress::heading("summary");
    let line = |(name, outcome): &lanes::Outcome| match outcome {
        Ok(()) => format!("{name}  ok"),
        Err(error) => format!("{name}  FAILED: {error}"),
    };
    summary.iter().for_each(|tier| progress::note(&line(tier)));
    if summary.iter().all(|(_, outcome)| outcome.is_ok()) {
        Ok(())
    } else {
        Err("not all tiers passed".into())
    }
}
