//! `dind-storage`: parse, call, finish.

use clap::Parser;
use dind_contract::finish;
use dind_storage::cli::Cli;
use dind_storage::{TOOL, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    finish(TOOL, cli.verb.name(), cli.common.output, run(&cli))
}
