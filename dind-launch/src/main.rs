//! `dind-launch`: parses the command line, calls the verb, prints its document.

use clap::Parser;
use dind_contract::finish;
use dind_contract::finish::plain_flags;
use dind_launch::cli::{Cli, Verb};
use dind_launch::engine::{flags, preload};
use dind_launch::{TOOL, doctor, entrypoint, plan, run, status};
use dind_system::Root;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = cli.common.output;
    match &cli.verb {
        // stdout belongs to the main process, so no document is printed there; `status` prints the record instead.
        Verb::Run(args) => ExitCode::from(run::run(&args.options, &args.command)),
        Verb::Plan(args) => {
            let outcome = plan::plan(&args.options, &args.command, &cli.common);
            finish(TOOL, "plan", output, outcome, |report| flags::words(&report.engine))
        }
        Verb::Status(args) => status::finish(args, output),
        Verb::Doctor(args) => doctor::finish(args, &cli.common),
        Verb::Preload(args) => {
            let outcome = preload::preload(&args.directory);
            finish(TOOL, "preload", output, outcome, |report| plain_flags(&report.engine))
        }
        Verb::Prepare => {
            let outcome = entrypoint::prepare(&Root::at(&cli.common.root));
            finish(TOOL, "prepare", output, outcome, |report| plain_flags(&report.engine))
        }
    }
}
