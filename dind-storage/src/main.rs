//! `dind-storage`: parse, call, finish.

use clap::Parser;
use dind_contract::cli::Output;
use dind_contract::finish;
use dind_storage::cli::{Cli, Texts, Verb};
use dind_storage::{TOOL, run_apply, run_plan, run_release, seal};
use dind_system::Root;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (mode, output, root) = (cli.verb.name(), cli.common.output, Root::at(&cli.common.root));
    let texts = |texts: &Texts| Texts { as_flags: output == Some(Output::Flags), ..texts.clone() };
    match &cli.verb {
        Verb::Plan(given) => finish(TOOL, mode, output, run_plan(&root, &texts(given))),
        Verb::Apply(given) => finish(TOOL, mode, output, run_apply(&root, &texts(given))),
        Verb::Release(texts) => finish(TOOL, mode, output, run_release(&root, texts)),
        Verb::Seal(texts) => finish(TOOL, mode, output, seal::seal(&root, texts)),
    }
}
