//! `dind-launch`: parses the command line, calls the verb, prints its document.

use clap::Parser;
use dind_contract::{Failed, finish};
use dind_launch::cli::{Cli, TlsVerb, Verb};
use dind_launch::engine::preload;
use dind_launch::run::command_form;
use dind_launch::{TOOL, claim, doctor, drain, entrypoint, fault, plan, reload, rootless, run, status, tls};
use dind_system::Root;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words = command_form::arguments(std::env::args_os());
    let cli = Cli::parse_from(&words);
    if !matches!(cli.verb, Verb::Run(_)) && Root::at(&cli.common.root).is_host() {
        match rootless::into_node(&words, matches!(cli.verb, Verb::Wait(_))) {
            Ok(None) => {}
            Ok(Some(status)) => return ExitCode::from(status),
            Err(fault) => return ExitCode::from(run::report(&fault)),
        }
    }
    let (output, common) = (cli.common.output, &cli.common);
    let on_this_machine = |verb| common.refuse_root(verb, fault::ROOT_IS_FAKE);
    match &cli.verb {
        // stdout belongs to the main process, so no document is printed there; `status` prints the record instead.
        Verb::Run(args) => ExitCode::from(match on_this_machine("run a node") {
            Ok(()) => run::run(&args.options, &args.command, &words),
            Err(fault) => run::report(&fault),
        }),
        Verb::Plan(args) => {
            let outcome = plan::plan(&args.options, &args.command, &cli.common);
            finish(TOOL, "plan", output, outcome)
        }
        Verb::Status(args) => status::finish(args, common),
        Verb::Wait(args) => {
            let outcome = on_this_machine("wait for a node").map_err(Failed::from);
            let outcome = outcome.and_then(|()| status::wait::wait(args.timeout.as_ref()));
            finish(TOOL, "wait", output, outcome)
        }
        Verb::Drain(args) => {
            let outcome = on_this_machine("drain a node").map_err(Failed::from);
            let outcome = outcome.and_then(|()| drain::drain(args.timeout.as_ref()));
            finish(TOOL, "drain", output, outcome)
        }
        Verb::Reload => {
            let outcome =
                on_this_machine("reload settings").map_err(Failed::from).and_then(|()| reload::ask());
            finish(TOOL, "reload", output, outcome)
        }
        Verb::Doctor(args) => doctor::finish(args, &cli.common),
        Verb::Preload(args) => {
            let outcome = on_this_machine("load images").map_err(Failed::from);
            let outcome = outcome.and_then(|()| preload::preload(&args.directory));
            finish(TOOL, "preload", output, outcome)
        }
        Verb::Enter(args) => ExitCode::from(match on_this_machine("enter a node") {
            Ok(()) => run::report(&command_form::become_program(&args.command)),
            Err(fault) => run::report(&fault),
        }),
        Verb::Claim(args) => ExitCode::from(match on_this_machine("claim a node") {
            Ok(()) => claim::claim(&args.command).unwrap_or_else(|fault| run::report(&fault)),
            Err(fault) => run::report(&fault),
        }),
        Verb::Tls(args) => {
            let options = tls::TlsOptions::read(&args.args).map_err(Failed::from);
            let (mode, outcome) = match args.verb {
                TlsVerb::Plan => {
                    ("plan", options.and_then(|options| tls::plan(&Root::at(&common.root), &options)))
                }
                TlsVerb::Apply => {
                    let here = on_this_machine("make certificates").map_err(Failed::from);
                    ("apply", here.and(options).and_then(|options| tls::apply(&options)))
                }
            };
            finish(TOOL, mode, output, outcome)
        }
        Verb::Prepare(args) => {
            let outcome = entrypoint::prepare(&Root::at(&cli.common.root), args);
            finish(TOOL, "prepare", output, outcome)
        }
    }
}
