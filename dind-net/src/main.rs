//! Parse, call, finish.

use clap::Parser;
use dind_net::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = dind_net::run(&cli);
    dind_contract::finish(dind_net::TOOL, cli.verb.name(), cli.common.output, outcome)
}
