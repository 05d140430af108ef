//! `dind-reaper`: parse, call, finish.

use clap::Parser;
use dind_contract::finish;
use dind_reaper::cli::{Cli, Verb};
use dind_reaper::{TOOL, apply, init, plan};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = cli.common.output;
    match &cli.verb {
        Verb::Plan => finish(TOOL, "plan", output, plan::run(&cli)),
        Verb::Stop(how) => finish(TOOL, "stop", output, apply::stop(&cli, how.now)),
        Verb::Watch => finish(TOOL, "watch", output, apply::watch(&cli)),
        // stdout belongs to the command, so there is no document.
        Verb::Exec(exec) => init::run(&cli, &exec.command),
    }
}
