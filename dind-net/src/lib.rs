#![doc = include_str!("../README.md")]

pub mod apply;
pub mod cli;
pub mod facts;
pub mod fault;
pub mod firewall;
pub mod help;
pub mod json_file;
pub mod manual;
pub mod netlink;
pub mod options;
pub mod plan;
pub mod report;
pub mod values;

use cli::{Cli, Verb};
use dind_contract::cli::environment_root;
use dind_contract::{Outcome, Report, Tool};
use dind_system::Root;
use facts::Facts;
use options::Options;
use report::Network;

/// The name of the program, and the schema of its documents.
pub const TOOL: Tool = Tool { name: "dind-net", schema: "dind.net/v1" };

/// Does what the command line says.
///
/// # Errors
/// See the README's table of codes.
pub fn run(cli: &Cli) -> Outcome<Network> {
    let this_machine = || apply::check_root(&Root::at(environment_root()));
    match &cli.verb {
        Verb::Plan { address, gateway, texts, machine, .. } => {
            if plan::without_machine6::is_asked(address.as_ref()) {
                let options = Options::parse(texts)?;
                let question =
                    plan::without_machine6::question(address.as_ref(), gateway.as_ref(), &options)?;
                return Ok(plan::compute6(&question, &options)?.draft());
            }
            let question = plan::without_machine::question(address.as_ref(), gateway.as_ref(), texts)?;
            let options = Options::parse(texts)?;
            let plan = match question {
                Some(question) => plan::compute(&question, &options)?,
                None => plan::decide(&Facts::observe(&Root::at(&machine.root), &options)?, &options)?,
            };
            Ok(plan.draft())
        }
        Verb::Apply { texts, .. } => {
            let options = Options::parse(texts)?;
            this_machine()?;
            apply::apply(&options)
        }
        Verb::Probe { range, link, texts, .. } => {
            this_machine()?;
            match range.as_ref().zip(link.as_ref()) {
                Some((range, link)) => apply::probe(*range, link),
                None => apply::probe_planned(&Options::parse(texts)?),
            }
        }
        Verb::Release { state, .. } => {
            // What is to be taken away is in the state directory: a bad option is no reason to keep it.
            this_machine()?;
            apply::release(&state.directory)
        }
    }
}

/// The JSON Schema of every document that the tool prints.
#[must_use]
pub fn schema() -> serde_json::Value {
    dind_contract::document::schema(TOOL, |generator| vec![generator.subschema_for::<Report<Network>>()])
}
