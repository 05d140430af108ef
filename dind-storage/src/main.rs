//! `dind-storage`: parse, call, finish.

use dind_contract::cli::{Output, environment_root, parse};
use dind_contract::finish;
use dind_storage::cli::{Cli, Texts, Verb};
use dind_storage::help::HELP;
use dind_storage::{TOOL, run_apply, run_plan, run_release, seal};
use dind_system::Root;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli: Cli = parse(std::env::args_os(), &HELP);
    let (mode, output) = (cli.verb.name(), cli.verb.output());
    let texts = |texts: &Texts| Texts { as_flags: output == Some(Output::Flags), ..texts.clone() };
    let here = || Root::at(environment_root());
    match &cli.verb {
        Verb::Plan { texts: given, machine, .. } => {
            finish(TOOL, mode, output, run_plan(&Root::at(&machine.root), &texts(given)))
        }
        Verb::Apply { texts: given, .. } => finish(TOOL, mode, output, run_apply(&here(), &texts(given))),
        Verb::Release { texts, .. } => finish(TOOL, mode, output, run_release(&here(), texts)),
        Verb::Seal { texts, .. } => finish(TOOL, mode, output, seal::seal(&here(), texts)),
    }
}
