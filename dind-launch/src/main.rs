//! `dind-launch`: parses the command line, calls the verb, prints its document.

use dind_contract::cli::{parse, refuse_root};
use dind_contract::{Failed, Fault, Outcome, finish};
use dind_launch::cli::{Cli, TlsVerb, Verb};
use dind_launch::engine::preload;
use dind_launch::help::HELP;
use dind_launch::run::command_form;
use dind_launch::{
    TOOL, claim, doctor, drain, entrypoint, fault, plan, reload, rootless, run, status, tls, top,
};
use dind_system::Root;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words = command_form::arguments(std::env::args_os());
    let cli: Cli = parse(words.iter().cloned(), &HELP);
    let root = Root::at(cli.verb.root());
    if !matches!(cli.verb, Verb::Run(_)) && root.is_host() {
        match rootless::into_node(&words, matches!(cli.verb, Verb::Wait(_))) {
            Ok(None) => {}
            Ok(Some(status)) => return ExitCode::from(status),
            Err(fault) => return ExitCode::from(run::report(&fault)),
        }
    }
    match &cli.verb {
        // stdout belongs to the main process, so no document is printed there; `status` prints the record instead.
        Verb::Run(args) => ExitCode::from(match on_this_machine("run a node") {
            Ok(()) => run::run(&args.options, &args.command, &words),
            Err(fault) => run::report(&fault),
        }),
        Verb::Plan(args) => finish(TOOL, "plan", args.printing.output(), plan::plan(args)),
        Verb::Status(args) => status::finish(args),
        Verb::Wait(args) => {
            let outcome = here("wait for a node", || status::wait::wait(args.timeout.as_ref()));
            finish(TOOL, "wait", args.printing.output(), outcome)
        }
        Verb::Drain(args) => {
            let outcome = here("drain a node", || drain::drain(args.timeout.as_ref()));
            finish(TOOL, "drain", args.printing.output(), outcome)
        }
        Verb::Reload(printing) => {
            finish(TOOL, "reload", printing.output(), here("reload settings", reload::ask))
        }
        Verb::Top(args) => top::finish(args),
        Verb::Doctor(args) => doctor::finish(args),
        Verb::Preload(args) => {
            let outcome = here("load images", || preload::preload(&args.directory));
            finish(TOOL, "preload", args.printing.output(), outcome)
        }
        Verb::Enter(args) => ExitCode::from(match on_this_machine("enter a node") {
            Ok(()) => run::report(&command_form::become_program(&args.command)),
            Err(fault) => run::report(&fault),
        }),
        Verb::Claim(args) => ExitCode::from(match on_this_machine("claim a node") {
            Ok(()) => claim::claim(&args.command).unwrap_or_else(|fault| run::report(&fault)),
            Err(fault) => run::report(&fault),
        }),
        Verb::Tls(args) => match &args.verb {
            TlsVerb::Plan { args, printing, .. } => {
                let options = tls::TlsOptions::read(args).map_err(Failed::from);
                let outcome = options.and_then(|options| tls::plan(&root, &options));
                finish(TOOL, "plan", printing.output(), outcome)
            }
            TlsVerb::Apply { args, printing } => {
                let outcome = here("make certificates", || tls::apply(&tls::TlsOptions::read(args)?));
                finish(TOOL, "apply", printing.output(), outcome)
            }
        },
        Verb::Prepare(args) => {
            finish(TOOL, "prepare", args.printing.output(), entrypoint::prepare(&root, args))
        }
    }
}

/// Refuses the root of another machine.
fn on_this_machine(verb: &str) -> Result<(), Fault> {
    refuse_root(verb, fault::ROOT_IS_FAKE)
}

fn here<T>(verb: &str, run: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    on_this_machine(verb)?;
    run()
}
