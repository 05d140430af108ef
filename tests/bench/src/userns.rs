//! Nodes in user namespaces: on an engine that maps users, which the virtual machine has.

use dind_lab::arch::Arch;
use dind_lab::base::Release;
use dind_lab::engine::Engine;
use dind_lab::guest::{self, Guest, Program, Run, Suite};
use dind_lab::product::binaries;
use dind_lab::product::image::{self, Recipe};
use dind_lab::{Result, Workspace, progress, setup};

/// Measures in the guest, which prints the table.
pub(super) fn run(workspace: &Workspace, rounds: usize) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, setup::ENGINE, setup::VM, setup::machine(Arch::HOST)])?;
    binaries::build(workspace)?;
    let engine = Engine::find_or_start(workspace)?;
    let release = Release::Bookworm;
    let node = image::build(workspace, &engine, Recipe::default())?;
    progress::heading(&format!("measure nodes in user namespaces, {rounds} rounds"));
    let args = vec![rounds.to_string()];
    let runs = [Run { program: Program::Bench, args, env: Vec::new(), engine: Vec::new() }];
    let suite = Suite { node: &node, release, arch: Arch::HOST, runs: &runs };
    for (_, report) in guest::run(workspace, engine, &suite, &[Guest { counts: true, ..Guest::MAPPING }])? {
        let report = report?;
        if !report.passed() {
            return Err(report.trouble().into());
        }
    }
    Ok(())
}
