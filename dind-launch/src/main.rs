//! `dind-launch`: parse, call, finish.

use clap::Parser;
use dind_contract::finish;
use dind_launch::cli::{Cli, Verb};
use dind_launch::prepare::Caller;
use dind_launch::{TOOL, chain, doctor, overview, preload, prepare, status};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = cli.common.output;
    match &cli.verb {
        // stdout belongs to the main process, so there is no document; the record is read by `status`.
        Verb::Run(run) => ExitCode::from(chain::run(&run.options, &run.command)),
        Verb::Plan(run) => {
            finish(TOOL, "plan", output, overview::plan(&run.options, &run.command, &cli.common))
        }
        Verb::Status(wanted) => status::finish(wanted, output),
        Verb::Doctor(wanted) => doctor::finish(wanted, &cli.common),
        Verb::Preload(wanted) => finish(TOOL, "preload", output, preload::preload(&wanted.folder)),
        Verb::Prepare => {
            finish(TOOL, "prepare", output, prepare::prepare(&cli.common.facts(), Caller::Shell))
        }
    }
}
