//! `dind-reaper`: reads the command line, runs the verb, prints its document.

use dind_contract::cli::{Printing, parse};
use dind_contract::{Outcome, finish};
use dind_reaper::cli::{Cli, Verb};
use dind_reaper::help::HELP;
use dind_reaper::{TOOL, drain, evidence, init, plan, reclaim, stop};
use serde::Serialize;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli: Cli = parse(std::env::args_os(), &HELP);
    match &cli.verb {
        Verb::Plan { stopping, machine, printing } => {
            print(*printing, "plan", plan::run(stopping, &machine.root))
        }
        Verb::Stop { stopping, now, printing } => print(*printing, "stop", stop::stop(stopping, *now)),
        Verb::Watch { stopping, printing } => print(*printing, "watch", stop::watch(stopping)),
        Verb::Drain { engine, timeout, printing } => {
            print(*printing, "drain", drain::drain(engine, timeout.as_ref()))
        }
        Verb::Evidence { args, printing } => print(*printing, "evidence", evidence::evidence(args)),
        Verb::Reclaim { args, printing } => print(*printing, "reclaim", reclaim::reclaim(args)),
        // stdout belongs to the command, so there is no document.
        Verb::Exec(args) => init::run(args),
    }
}

fn print(printing: Printing, mode: &str, outcome: Outcome<impl Serialize>) -> ExitCode {
    finish(TOOL, mode, printing.output(), outcome)
}
