//! `dind-reaper`: parse, call, finish.

use clap::Parser;
use dind_contract::finish;
use dind_contract::finish::plain_flags;
use dind_reaper::cli::{Cli, Verb};
use dind_reaper::{TOOL, init, plan, stop};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = cli.common.output;
    match &cli.verb {
        Verb::Plan => finish(TOOL, "plan", output, plan::run(&cli), |report| plain_flags(&report.engine)),
        Verb::Stop(how) => {
            finish(TOOL, "stop", output, stop::stop(&cli, how.now), |report| plain_flags(&report.engine))
        }
        Verb::Watch => finish(TOOL, "watch", output, stop::watch(&cli), |report| plain_flags(&report.engine)),
        // stdout belongs to the command, so there is no document.
        Verb::Exec(exec) => init::run(&cli, &exec.command),
    }
}
