//! `dind-reaper`: reads the command line, runs the verb, prints its document.

use clap::Parser;
use dind_contract::Outcome;
use dind_contract::finish::{finish, plain_flags};
use dind_reaper::cli::{Cli, Verb};
use dind_reaper::{TOOL, init, plan, stop};
use serde::Serialize;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.verb {
        Verb::Plan => print(&cli, "plan", plan::run(&cli)),
        Verb::Stop { now } => print(&cli, "stop", stop::stop(&cli, *now)),
        Verb::Watch => print(&cli, "watch", stop::watch(&cli)),
        // stdout belongs to the command, so there is no document.
        Verb::Exec { command } => init::run(&cli, command),
    }
}

fn print(cli: &Cli, mode: &str, outcome: Outcome<impl Serialize>) -> ExitCode {
    finish(TOOL, mode, cli.common.output, outcome, |report| plain_flags(&report.engine))
}
