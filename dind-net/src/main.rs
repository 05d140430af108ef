//! Parse, call, finish.

use dind_contract::cli::parse;
use dind_net::cli::Cli;
use dind_net::help::HELP;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli: Cli = parse(std::env::args_os(), &HELP);
    let outcome = dind_net::run(&cli);
    dind_contract::finish(dind_net::TOOL, cli.verb.name(), cli.verb.output(), outcome)
}
