//! `dind-reaper`: reads the command line, runs the verb, prints its document.

use clap::Parser;
use dind_contract::{Outcome, finish};
use dind_reaper::cli::{Cli, Verb};
use dind_reaper::{TOOL, drain, evidence, init, plan, reclaim, stop};
use serde::Serialize;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.verb {
        Verb::Plan { meaning } => print(&cli, "plan", plan::run(&cli, *meaning)),
        Verb::Stop { now, meaning } => print(&cli, "stop", stop::stop(&cli, *meaning, *now)),
        Verb::Watch { meaning } => print(&cli, "watch", stop::watch(&cli, *meaning)),
        Verb::Drain { timeout } => print(&cli, "drain", drain::drain(&cli, timeout.as_ref())),
        Verb::Evidence(args) => print(&cli, "evidence", evidence::evidence(&cli, args)),
        Verb::Reclaim(args) => print(&cli, "reclaim", reclaim::reclaim(&cli, args)),
        // stdout belongs to the command, so there is no document.
        Verb::Exec { engine, command } => init::run(&cli, *engine, command),
    }
}

fn print(cli: &Cli, mode: &str, outcome: Outcome<impl Serialize>) -> ExitCode {
    finish(TOOL, mode, cli.common.output, outcome)
}
