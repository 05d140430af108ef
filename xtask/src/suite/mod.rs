//! `test`: the tiers, each by cargo's own test runner, with what the tests need in their environment.
//!
//! * `tier`: the tiers and their test programs
//! * `ahead`: what a first run makes while cargo builds
//! * `programs`: runs the programs of one tier
//! * `engine`, `guests`: the tiers that need an engine, or virtual machines

mod ahead;
mod engine;
mod guests;
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
    let programs = Programs {
        workspace,
        present,
        together: options.tiers(),
        temporary: run.environment(),
        suites: options.suites,
        extra: options.extra,
    };
    let mut before = Snapshot::take(&run);
    let mut summary = Vec::new();
    programs.compile()?;
    for tier in options.tiers() {
        progress::heading(&format!("tier {}", tier.name()));
        let start = Instant::now();
        let outcome = run_tier(&programs, *tier, options).and_then(|()| before.check());
        let verdict = outcome.as_ref().map_or_else(|error| format!("FAILED: {error}"), |()| "ok".to_owned());
        summary.push((
            format!("{:7} {:4} s  {verdict}", tier.name(), start.elapsed().as_secs()),
            outcome.is_ok(),
        ));
    }
    progress::heading("summary");
    summary.iter().for_each(|(line, _)| progress::note(line));
    if summary.iter().all(|(_, ok)| *ok) { Ok(()) } else { Err("not all tiers passed".into()) }
}

fn run_tier(programs: &Programs, tier: Tier, options: &Options) -> Result<()> {
    match tier {
        Tier::Unit => programs.unit(options.arch),
        Tier::Image | Tier::Outside | Tier::Mesos => engine::run(programs, tier, options),
        Tier::Vm => guests::run(programs.workspace, options),
        _ => programs.run(tier, &[])?.1,
    }
}
