//! `dind-launch`: parse, call, finish.

use clap::Parser;
use dind_contract::finish;
use dind_contract::finish::plain_flags;
use dind_launch::cli::{Cli, Verb};
use dind_launch::engine::{flags, preload};
use dind_launch::prepare::{self, Caller};
use dind_launch::{TOOL, doctor, plan, run, status};
use dind_system::Root;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = cli.common.output;
    match &cli.verb {
        // stdout belongs to the main process, so there is no document; the record is read by `status`.
        Verb::Run(wanted) => ExitCode::from(run::run(&wanted.options, &wanted.command)),
        Verb::Plan(wanted) => {
            let outcome = plan::plan(&wanted.options, &wanted.command, &cli.common);
            finish(TOOL, "plan", output, outcome, |report| flags::words(&report.engine))
        }
        Verb::Status(wanted) => status::finish(wanted, output),
        Verb::Doctor(wanted) => doctor::finish(wanted, &cli.common),
        Verb::Preload(wanted) => {
            let outcome = preload::preload(&wanted.folder);
            finish(TOOL, "preload", output, outcome, |report| plain_flags(&report.engine))
        }
        Verb::Prepare => {
            let outcome = prepare::prepare(&Root::at(&cli.common.root), Caller::Shell);
            finish(TOOL, "prepare", output, outcome, |report| plain_flags(&report.engine))
        }
    }
}
